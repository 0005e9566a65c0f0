//! Ledgers of their own: the same engine over the login of an ordinary role, in its own database
//! and in a schema of one that it shares. No property asks for it, so these tests call the library.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use execute_sql::aws::Aws;
use execute_sql::budget::Budget;
use execute_sql::desired::{Desired, Mode};
use execute_sql::engine::{self, Task, Trigger, World, delete, login};
use execute_sql::failure::Failure;
use execute_sql::ident::Identifier;
use execute_sql::ledger::{self, Labels};
use execute_sql::lock;
use execute_sql::outcome::Outcome;
use execute_sql::postgres::{Endpoint, Session, SessionOptions};
use execute_sql::request::{Ids, RequestType, properties};
use execute_sql::secrets::Login;
use execute_sql::secrets::aws::SecretsManager;
use execute_sql::source::Places;
use execute_sql::trust::Https;
use execute_sql::world;
use secrecy::SecretString;
use serde_json::{Value, json};
use support::{Bundle, Database, GENEROUS, Proxy, Secrets, Server, wait_until};
use tokio::runtime::Builder;

const PASSWORD: &str = "tenant-Wq4zT8";

/// Whatever the engine does beside running a text: a condition, a setting that must not stay, a lock
/// that is given up, a statement outside of a transaction.
const CHANGELOG: &str = "\
--liquibase formatted sql
--changeset ann:1
CREATE TABLE orders (id int PRIMARY KEY);
--changeset ann:2
SET search_path = pg_catalog; SELECT pg_advisory_unlock_all();
--changeset ann:3 runInTransaction:false
CREATE INDEX CONCURRENTLY orders_by_id ON orders (id);
--changeset ann:4
--preconditions onFail:HALT
--precondition-sql-check expectedResult:0 SELECT count(*) FROM orders
INSERT INTO orders VALUES (1);
";

fn block_on<F: Future>(future: F) -> F::Output {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn name(text: &str) -> Identifier {
    Identifier::new(text).unwrap()
}

fn budget() -> Budget {
    Budget::new(tokio::time::Instant::now() + GENEROUS)
}

/// A world whose secrets are played, with the master's among them, and the files of `bundle`.
fn the_world(secrets: &Secrets, database: &Database, bundle: &Bundle) -> World {
    secrets.put("master", Server::shared().secret_json(database));
    let https = Arc::new(Https::default());
    let credentials = Credentials::new("AKIDEXAMPLE", "example", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .endpoint_url(secrets.endpoint())
        .http_client(execute_sql::secrets::http::Client(https.clone()))
        .build();
    let aws = Arc::new(Aws::of(https.clone(), config));
    let places =
        Places { roots: vec![bundle.path().into()], temp: std::env::temp_dir(), s3_endpoint: None };
    let secrets = Arc::new(SecretsManager::new(aws.clone()));
    World { secrets, aws, ..world::real(https, None, places) }
}

/// What the resource wants; its connection names the master, whose login is in the secret.
fn desired(more: Value) -> Desired {
    let mut wanted = json!({
        "DBSecret": "master",
        "Connection": {
            "Username": support::MASTER,
            "Database": "postgres",
            "SslRootCert": Server::shared().ca_pem_path(),
        },
    });
    wanted.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    properties::read(wanted.as_object().unwrap()).unwrap()
}

/// An ordinary role that may log in, and where it works.
struct Tenant {
    login: Login,
    ledger: Identifier,
    search_path: Option<String>,
}

impl Tenant {
    /// The role `<database>_<role>`, which has no attribute and no membership.
    fn new(database: &Database, role: &str) -> Tenant {
        let role = format!("{}_{role}", database.name);
        let sql = format!("CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'");
        database.admin().exec(&sql);
        let secret = Server::shared().secret_json_for(&role, PASSWORD, &database.name);
        let login = Login::read(&secret.to_string()).unwrap();
        Tenant { login, ledger: ledger::default_schema(), search_path: None }
    }

    /// One that has a schema in a database, and another one for its ledger.
    fn of_schema(database: &Database, schema: &str) -> Tenant {
        let ledger = format!("execute_sql_{schema}");
        let tenant = Tenant {
            ledger: name(&ledger),
            search_path: Some(schema.to_owned()),
            ..Tenant::new(database, schema)
        };
        let sql = |schema: &str| format!("CREATE SCHEMA {schema} AUTHORIZATION {}", tenant.role());
        database.admin().exec(&sql(schema));
        database.admin().exec(&sql(&ledger));
        tenant
    }

    fn role(&self) -> &str {
        self.login.username.as_deref().unwrap()
    }

    fn client(&self, database: &Database) -> support::Client {
        database.client(self.role(), PASSWORD)
    }

    /// A request like every other tenant's: only the ledger tells them apart.
    fn task<'a>(
        &'a self,
        desired: &'a Desired,
        ids: &'a Ids,
        budget: &'a Budget,
        rehearse: bool,
    ) -> Task<'a> {
        Task {
            desired,
            ids,
            physical_id: "Db-1".into(),
            properties_sha256: "of the same properties".into(),
            trigger: Trigger::Call,
            ledger: self.ledger.clone(),
            login: Some(&self.login),
            search_path: self.search_path.clone(),
            rehearse,
            event_at: None,
            labels: Labels::default(),
            started: Instant::now(),
            budget,
        }
    }

    fn run(&self, world: &World, desired: &Desired, request: &str) -> Result<Outcome, Failure> {
        let ids = ids(request);
        block_on(async {
            let budget = budget();
            engine::run(world, &self.task(desired, &ids, &budget, false)).await
        })
    }

    /// Runs, which must succeed; gives whether it changed anything.
    #[track_caller]
    fn applies(&self, world: &World, desired: &Desired, request: &str) -> bool {
        match self.run(world, desired, request) {
            Ok(outcome) => outcome.changed,
            Err(failure) => panic!("{failure}"),
        }
    }

    /// Nothing is left to do, and trying what is left changes nothing.
    #[track_caller]
    fn is_up_to_date(&self, world: &World, desired: &Desired) {
        assert!(!self.applies(world, desired, "again"));
        for mode in [Mode::Plan, Mode::Verify] {
            let desired = Desired { mode, ..desired.clone() };
            let outcome = self.run(world, &desired, "looks").unwrap();
            assert_eq!(outcome.plan.steps, Vec::new());
        }
    }
}

fn ids(request: &str) -> Ids {
    Ids {
        stack_id: "stack".into(),
        request_id: request.into(),
        logical_resource_id: "Db".into(),
        physical_resource_id: None,
    }
}

fn options(search_path: Option<&str>) -> SessionOptions {
    SessionOptions {
        application_name: "execute-sql test".into(),
        lock_timeout: Duration::from_secs(10),
        statement_timeout: GENEROUS,
        read_only: false,
        search_path: search_path.map(str::to_owned),
        guarded: false,
    }
}

/// The tables of a database, with schema and owner, but for those of PostgreSQL.
fn tables(database: &Database, which: &str) -> String {
    let sql = format!(
        "SELECT coalesce(string_agg(schemaname || '.' || tablename, ' ' \
         ORDER BY schemaname, tablename), '') FROM pg_tables \
         WHERE schemaname <> ALL ('{{pg_catalog,information_schema}}') AND {which}"
    );
    database.admin().value(&sql)
}

/// The tables of a ledger, as `schema.sql` has them.
fn ledger_tables(schema: &str) -> String {
    let text = ledger::schema(&ledger::default_schema());
    let names = text.split("CREATE TABLE IF NOT EXISTS execute_sql.").skip(1);
    let names = names.map(|it| format!("{schema}.{}", it.split_once(' ').unwrap().0));
    let mut names: Vec<_> = names.collect();
    names.sort();
    names.join(" ")
}

#[test]
fn a_login_without_any_privilege_runs_its_changelog_in_its_own_database() {
    let database = Server::shared().database();
    let tenant = Tenant::new(&database, "user");
    let owner = format!("ALTER DATABASE {} OWNER TO {}", database.name, tenant.role());
    database.admin().exec(&owner);
    let (secrets, bundle) = (Secrets::start(), Bundle::of(&[("a.sql", CHANGELOG)]));
    let world = the_world(&secrets, &database, &bundle);
    let desired = desired(json!({ "Changelog": "a.sql" }));

    let plan = Desired { mode: Mode::Plan, ..desired.clone() };
    let rehearsed = block_on(async {
        let (ids, budget) = (ids("rehearses"), budget());
        engine::run(&world, &tenant.task(&plan, &ids, &budget, true)).await.unwrap()
    });
    let results: Vec<_> = rehearsed.rehearsal.iter().map(|it| it.result).collect();
    assert_eq!(results, ["ran", "ran", "left out", "ran"], "{:?}", rehearsed.rehearsal);
    assert_eq!(tables(&database, "true"), "");

    assert!(tenant.applies(&world, &desired, "first"));
    tenant.is_up_to_date(&world, &desired);
    assert_eq!(
        tables(&database, &format!("tableowner = '{}'", tenant.role())),
        format!(
            "{} public.databasechangelog public.databasechangeloglock public.orders",
            ledger_tables("execute_sql")
        )
    );
    assert_eq!(tables(&database, &format!("tableowner <> '{}'", tenant.role())), "");
    assert_eq!(secrets.calls(), Vec::new());
}

#[test]
fn tenants_of_one_database_have_a_history_and_a_ledger_each() {
    let database = Server::shared().database();
    let tenants = ["acme", "beta"].map(|it| Tenant::of_schema(&database, it));
    let (secrets, bundle) = (Secrets::start(), Bundle::of(&[("a.sql", CHANGELOG)]));
    let world = the_world(&secrets, &database, &bundle);
    let desired = desired(json!({ "Changelog": "a.sql" }));
    for tenant in &tenants {
        assert!(tenant.applies(&world, &desired, "first"));
        tenant.is_up_to_date(&world, &desired);
    }
    for (tenant, schema) in tenants.iter().zip(["acme", "beta"]) {
        let own = format!("tableowner = '{}'", tenant.role());
        let expected = format!(
            "{schema}.databasechangelog {schema}.databasechangeloglock {schema}.orders {}",
            ledger_tables(&format!("execute_sql_{schema}"))
        );
        assert_eq!(tables(&database, &own), expected);
        let admin = database.admin();
        let ran = format!(
            "SELECT string_agg(id || exectype, ' ' ORDER BY orderexecuted) FROM {schema}.databasechangelog"
        );
        assert_eq!(admin.value(&ran), "1EXECUTED 2EXECUTED 3EXECUTED 4EXECUTED");
        let kept = format!(
            "SELECT count(*) || string_agg(DISTINCT status || history, ' ') FROM execute_sql_{schema}.changeset"
        );
        assert_eq!(admin.value(&kept), format!("4applied\"{schema}\".\"databasechangelog\""));
        // The functions are its own too.
        let guard = format!("SELECT execute_sql_{schema}.assert_wanted('', '', 'x', NULL, now())");
        assert_eq!(tenant.client(&database).refused(&guard).sqlstate, ledger::TRANSACTION_ENDED);
    }
    let others = tables(&database, "schemaname IN ('public', 'execute_sql')");
    assert_eq!(others, "");
}

#[test]
fn what_the_ledger_remembers_of_one_tenant_is_not_taken_for_anothers() {
    let database = Server::shared().database();
    let tenants = ["acme", "beta"].map(|it| Tenant::of_schema(&database, it));
    let [acme, beta] = &tenants;
    let (secrets, bundle) = (Secrets::start(), Bundle::of(&[("a.sql", CHANGELOG)]));
    let world = the_world(&secrets, &database, &bundle);
    let desired = desired(json!({ "Changelog": "a.sql" }));
    assert!(acme.applies(&world, &desired, "first"));
    // The same request of the same resource succeeded there, not here.
    assert!(beta.applies(&world, &desired, "first"));

    // The text that ran comes from the ledger that it is in.
    bundle.write("a.sql", CHANGELOG.replace("id int", "id bigint").as_bytes());
    let edited = acme.run(&world, &desired, "edited").unwrap_err().to_string();
    assert!(edited.contains("bigint"), "{edited}");
    let failures = |tenant: &Tenant| {
        let schema = &tenant.ledger;
        let sql = format!("SELECT count(*) FROM {schema}.request WHERE status = 'failed'");
        database.admin().value(&sql)
    };
    assert_eq!((failures(acme), failures(beta)), ("1".into(), "0".into()));

    // A newer program has written in one of them.
    database.admin().exec("UPDATE execute_sql_acme.resource SET version = 99");
    bundle.write("a.sql", CHANGELOG.as_bytes());
    let newer = acme.run(&world, &desired, "newer").unwrap_err().to_string();
    assert!(newer.contains("schema `execute_sql_acme` is of version 99"), "{newer}");
    assert!(!beta.applies(&world, &desired, "newer"));
}

#[test]
fn runs_with_ledgers_of_their_own_do_not_wait_for_each_other() {
    let database = Server::shared().database();
    let acme = Tenant::of_schema(&database, "acme");
    let beta = Tenant::of_schema(&database, "beta");
    acme.client(&database).exec("CREATE TABLE acme.held ()");
    let text = "--liquibase formatted sql\n--changeset ann:1\nSELECT * FROM acme.held;\n";
    // Without the index: it is built when all older snapshots of the database are gone.
    let free = CHANGELOG.replace("CONCURRENTLY", "");
    let bundle = Bundle::of(&[("a.sql", &free), ("held.sql", text)]);
    let secrets = Secrets::start();
    let world = the_world(&secrets, &database, &bundle);
    let holder = acme.client(&database);
    holder.exec("BEGIN; LOCK TABLE acme.held");
    std::thread::scope(|scope| {
        let held = scope.spawn(|| {
            let desired = desired(json!({ "Changelog": "held.sql" }));
            acme.applies(&world, &desired, "first")
        });
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'relation' \
             AND relation = 'acme.held'::regclass";
        let admin = database.admin();
        wait_until("a run stands in the middle", || admin.value(waits) == "1");
        // A run of the resource itself, and another tenant's.
        let desired = desired(json!({ "Changelog": "a.sql" }));
        assert!(beta.applies(&world, &desired, "first"));
        let usual = format!("{};", lock::attempt(&ledger::default_schema()));
        assert_eq!(admin.value(&usual), "t");
        assert_eq!(admin.value(&lock::attempt(&acme.ledger)), "f");
        holder.exec("COMMIT");
        assert!(held.join().unwrap());
    });
}

#[test]
fn a_delete_is_remembered_in_the_ledger_of_its_own() {
    let database = Server::shared().database();
    let tenants = ["acme", "beta"].map(|it| Tenant::of_schema(&database, it));
    let (secrets, bundle) = (Secrets::start(), Bundle::of(&[("a.sql", CHANGELOG)]));
    let world = the_world(&secrets, &database, &bundle);
    let desired = desired(json!({
        "Changelog": "a.sql", "OnDelete": {"Policy": "Drop", "Sql": "DROP TABLE orders"},
    }));
    let request = |tenant: &Tenant, kind: RequestType| {
        let (ids, budget) = (ids(kind.as_str()), budget());
        let task = tenant.task(&desired, &ids, &budget, false);
        let task = Task { trigger: Trigger::Stack(kind), ..task };
        block_on(async {
            match kind {
                RequestType::Delete => delete::run(&world, &task).await,
                _ => engine::run(&world, &task).await,
            }
        })
    };
    let [acme, beta] = &tenants;
    for tenant in &tenants {
        assert!(request(tenant, RequestType::Create).unwrap().changed);
    }
    assert!(request(acme, RequestType::Delete).unwrap().changed);
    assert_eq!(tables(&database, "tablename = 'orders'"), "beta.orders");
    // What the Delete took away stays away, and only there.
    let failure = request(acme, RequestType::Create).unwrap_err();
    assert!(matches!(failure, Failure::Gone(_)), "{failure}");
    assert!(!request(beta, RequestType::Update).unwrap().changed);
}

#[test]
fn a_delete_that_comes_first_leaves_its_tombstone_in_a_ledger_of_its_own() {
    let database = Server::shared().database();
    let tenant = Tenant::of_schema(&database, "acme");
    let (secrets, bundle) = (Secrets::start(), Bundle::of(&[]));
    let world = the_world(&secrets, &database, &bundle);
    let desired = desired(json!({ "OnDelete": "Drop" }));
    let (ids, budget) = (ids("delete"), budget());
    let task = tenant.task(&desired, &ids, &budget, false);
    let task = Task { trigger: Trigger::Stack(RequestType::Delete), ..task };
    block_on(delete::run(&world, &task)).unwrap();
    let by = "SELECT tombstone_by FROM execute_sql_acme.resource";
    assert_eq!(database.admin().value(by), "delete");
}

/// A session at an endpoint.
async fn session(world: &World, endpoint: &Endpoint, search_path: Option<&str>) -> Session {
    let wanted = desired(json!({}));
    let session = login::at(world, endpoint, &wanted, &options(search_path), &budget()).await;
    session.unwrap_or_else(|failure| panic!("{failure}"))
}

/// The target and the master's login to it, from the secret.
async fn master(world: &World) -> Endpoint {
    let wanted = desired(json!({ "Connection": {"SslRootCert": Server::shared().ca_pem_path()} }));
    login::resolve(world, &wanted, &budget()).await.unwrap()
}

#[test]
fn the_holder_of_each_ledgers_lock_is_found() {
    let database = Server::shared().database();
    let (secrets, bundle) = (Secrets::start(), Bundle::of(&[]));
    let world = the_world(&secrets, &database, &bundle);
    block_on(async {
        let endpoint = master(&world).await;
        let (one, other) =
            (session(&world, &endpoint, None).await, session(&world, &endpoint, None).await);
        let pid = one.value("SELECT pg_backend_pid()").await.unwrap().unwrap();
        for schema in ["execute_sql", "a", "b", "c", "d", "e", "f", "Ünï \"code\""].map(name) {
            assert_eq!(lock::holder(&other, &schema).await.unwrap(), None);
            let attempt = lock::attempt(&schema);
            assert_eq!(one.value(&attempt).await.unwrap().as_deref(), Some("t"));
            assert_eq!(other.value(&attempt).await.unwrap().as_deref(), Some("f"));
            let holder = lock::holder(&other, &schema).await.unwrap().unwrap();
            assert!(holder.starts_with(&format!("process {pid} ")), "{holder}");
        }
        // Two sessions, one look into the secret.
        assert_eq!(secrets.calls().len(), 1);
    });
}

#[test]
fn a_session_has_its_search_path_from_the_first_moment_and_resets_to_it() {
    let database = Server::shared().database();
    let (secrets, bundle) = (Secrets::start(), Bundle::of(&[]));
    let world = the_world(&secrets, &database, &bundle);
    let schema = name("a \\ \"b\" -c lock_timeout=1");
    database.master().exec(&format!("CREATE SCHEMA {}", schema.quoted()));
    block_on(async {
        let endpoint = master(&world).await;
        let path = format!("{},\tpublic", schema.quoted());
        let session = session(&world, &endpoint, Some(&path)).await;
        let value = async |sql: &str| session.value(sql).await.unwrap().unwrap();
        for change in ["SELECT 1", "SET search_path = pg_catalog; RESET search_path", "RESET ALL"] {
            session.run(change).await.unwrap();
            assert_eq!(value("SELECT current_schema()").await, schema.as_str());
            assert_eq!(value("SHOW search_path").await, path);
            assert_eq!(value("SHOW lock_timeout").await, "10s");
        }
    });
}

#[test]
fn a_refused_login_of_a_task_does_not_make_the_secret_be_read() {
    let database = Server::shared().database();
    let mut tenant = Tenant::new(&database, "user");
    tenant.login.password = Some(SecretString::from("n0t-the-password"));
    let (secrets, bundle) = (Secrets::start(), Bundle::of(&[]));
    let world = the_world(&secrets, &database, &bundle);
    let failure = tenant.run(&world, &desired(json!({})), "first").unwrap_err();
    assert_eq!(failure.sqlstate(), Some("28P01"), "{failure}");
    assert_eq!(secrets.calls(), Vec::new());
}

#[test]
fn a_named_ledger_costs_no_more_round_trips_than_the_usual_one() {
    let proxied = Proxy::start(&format!("127.0.0.1:{}", Server::shared().port()));
    let bundle = Bundle::of(&[("a.sql", CHANGELOG)]);
    let secrets = Secrets::start();
    // Without TLS, whose tickets come when they like.
    let mut desired = desired(json!({ "Changelog": "a.sql" }));
    desired.connection.ssl_mode = execute_sql::desired::SslMode::Disable;
    let round_trips = |ledger: &Identifier| {
        let database = Server::shared().database();
        let world = the_world(&secrets, &database, &bundle);
        let mut tenant = Tenant { ledger: ledger.clone(), ..Tenant::new(&database, "user") };
        let owner = format!("ALTER DATABASE {} OWNER TO {}", database.name, tenant.role());
        database.admin().exec(&owner);
        tenant.login.port = Some(proxied.port());
        let admin = database.admin();
        let sessions = "SELECT count(*) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid() AND usesysid > 0";
        ["first", "second"].map(|request| {
            let before = proxied.round_trips();
            tenant.applies(&world, &desired, request);
            wait_until("the session has said good-bye", || admin.value(sessions) == "0");
            proxied.round_trips() - before
        })
    };
    let usual = round_trips(&ledger::default_schema());
    assert_eq!(round_trips(&name("execute_sql_acme")), usual);
}
