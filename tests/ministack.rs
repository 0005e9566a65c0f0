//! Stacks that live in `MiniStack`, a stand-in for AWS with a CloudFormation engine of its own, which
//! runs the real `bootstrap` as their function; and `execute-sql demo`, which shows the same.
//!
//! Its events, answers and order of calls are not ours, so this holds what the other tests take for
//! granted of CloudFormation against a second reading of it. It sends no Delete after a failed Create;
//! `tests/lifecycle.rs` does.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use std::fs::{self, DirBuilder};
use std::io::{BufRead, BufReader, Lines, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use execute_sql::commands::demo::aws::{Aws, architecture};
use execute_sql::commands::demo::guard::Guard;
use execute_sql::commands::demo::ministack;
use execute_sql::commands::demo::stack::{Event, Stack};
use serde_json::{Value, json};
use stage::extensions;
use support::cluster::Run;
use support::processes::{self, unique};
use support::{Client, Database, Server, wait_until};
use tokio::runtime::{Builder, Runtime};

const QUICKSTART: &str = include_str!("../cfn/quickstart.yaml");
const TENANTS: &str = include_str!("../cfn/tenants.yaml");
const BUCKET: &str = "code";
const KEY: &str = "bootstrap.zip";
const POSTGIS: &str = "3.3.2";

/// A database, its secret, and the stand-in that has the function's zip. It ends with the value; if
/// that is never dropped, [`Guard`]'s script ends it.
struct World {
    database: Database,
    secret: String,
    aws: Aws,
    guard: Option<Guard>,
    runtime: Runtime,
}

/// A stack, for blocking tests.
struct Deployed<'a> {
    world: &'a World,
    stack: Stack<'a>,
}

impl World {
    fn new() -> World {
        Self::on(Server::shared())
    }

    fn on(server: &Server) -> World {
        let program = ministack()
            .unwrap_or_else(|why| panic!("this test needs {why}; .ci/setup installs it"));
        let database = server.database();
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (guard, aws) = runtime.block_on(async {
            let guard = Guard::start().unwrap();
            let aws = Aws::start(&guard, &program, &server.ca_pem_path()).await.unwrap();
            let bootstrap = Path::new(env!("CARGO_BIN_EXE_bootstrap"));
            aws.upload(bootstrap, BUCKET, KEY).await.unwrap();
            (guard, aws)
        });
        let mut world = World { database, secret: String::new(), aws, guard: Some(guard), runtime };
        world.secret = world.secret_of(server, &world.database);
        world
    }

    fn secret_of(&self, server: &Server, database: &Database) -> String {
        let text = server.secret_json(database).to_string();
        self.runtime.block_on(self.aws.create_secret(&database.name, &text)).unwrap()
    }

    /// The text in a secret.
    fn login(&self, secret: &str) -> Value {
        let input = json!({ "SecretId": secret, "VersionStage": "AWSCURRENT" });
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = http
            .post(&self.aws.url)
            .header("x-amz-target", "secretsmanager.GetSecretValue")
            .header("content-type", "application/x-amz-json-1.1")
            .body(input.to_string());
        let answer = self
            .runtime
            .block_on(async { request.send().await?.error_for_status()?.text().await })
            .unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        serde_json::from_str(answer["SecretString"].as_str().unwrap()).unwrap()
    }

    /// The parameters that both templates need, and more.
    fn quickstart<'a>(&'a self, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
        let all = [
            ("CodeBucket", BUCKET),
            ("CodeKey", KEY),
            ("Architecture", architecture()),
            ("DBSecret", &self.secret),
        ];
        all.iter().chain(more).copied().collect()
    }

    /// A template with the function and one resource, `Plugins`, that has these properties.
    fn template(&self, properties: Value) -> String {
        let mut all =
            json!({ "ServiceToken": {"Fn::GetAtt": "Function.Arn"}, "DBSecret": self.secret });
        all.as_object_mut().unwrap().extend(properties.as_object().cloned().unwrap());
        let function = json!({
            "Runtime": "provided.al2023",
            "Handler": "custom-resource",
            "Architectures": [architecture()],
            "Code": {"S3Bucket": BUCKET, "S3Key": KEY},
            "Timeout": 60,
            "Role": "arn:aws:iam::000000000000:role/any",
        });
        let resources = json!({
            "Function": {"Type": "AWS::Lambda::Function", "Properties": function},
            "Plugins": {"Type": "Custom::ExecuteSQL", "Properties": all},
        });
        json!({ "Resources": resources }).to_string()
    }

    fn create(&self, template: &str, parameters: &[(&str, &str)]) -> Deployed<'_> {
        let created = Stack::create(&self.aws, "tested", template, parameters);
        Deployed { world: self, stack: self.runtime.block_on(created).unwrap() }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let Some(guard) = self.guard.take() else { return };
        let folder = guard.folder().to_owned();
        let stopped = self.runtime.block_on(guard.stop());
        if !std::thread::panicking() {
            stopped.unwrap();
            assert_eq!(processes::of_folder(&folder), Vec::<String>::new());
        }
    }
}

impl Deployed<'_> {
    fn update(&self, template: &str, parameters: &[(&str, &str)]) {
        self.world.runtime.block_on(self.stack.update(template, parameters)).unwrap();
    }

    fn delete(&self) {
        self.world.runtime.block_on(self.stack.delete()).unwrap();
    }

    /// Waits for the end of what was asked for last, which is to be this status.
    #[track_caller]
    fn ends(&mut self, wanted: &str) {
        let before = self.stack.events.len();
        let status = self.world.runtime.block_on(self.stack.end(|_| ()));
        let events = &self.stack.events[before..];
        assert_eq!(status.as_deref().ok(), Some(wanted), "{status:?}, after {events:#?}");
        // The clean-up after an update may fail without changing the stack's status.
        let failed = events.iter().any(|it| it.status.ends_with("_FAILED"));
        assert_eq!(failed, wanted.contains("ROLLBACK"), "{events:#?}");
    }

    /// The last event in which the resource got this status.
    #[track_caller]
    fn event(&self, status: &str) -> &Event {
        self.event_of("Plugins", status)
    }

    #[track_caller]
    fn event_of(&self, resource: &str, status: &str) -> &Event {
        let found =
            self.stack.events.iter().rfind(|it| it.resource == resource && it.status == status);
        found.unwrap_or_else(|| panic!("no {status} among {:#?}", self.stack.events))
    }

    #[track_caller]
    fn output(&self, key: &str) -> String {
        let outputs = self.world.runtime.block_on(self.stack.outputs()).unwrap();
        let found = outputs.iter().find(|(known, _)| known == key);
        found.unwrap_or_else(|| panic!("no {key} in {outputs:?}")).1.clone()
    }
}

#[test]
fn a_stack_is_created_updated_and_deleted() {
    let world = World::new();
    let versions = [("PostgisVersion", POSTGIS), ("PgcryptoVersion", "1.3")];
    let mut stack = world.create(QUICKSTART, &world.quickstart(&versions));
    stack.ends("CREATE_COMPLETE");
    let created = stack.event("CREATE_COMPLETE").physical_id.clone();
    assert_eq!(extensions(&world.database), "pgcrypto=1.3,postgis=3.3.2");
    assert_eq!(stack.output("ExtensionsBefore"), "plpgsql=1.0");
    assert_eq!(stack.output("ExtensionsAfter"), "pgcrypto=1.3,plpgsql=1.0,postgis=3.3.2");
    assert_eq!(stack.output("Database"), world.database.name);

    let more = [versions[0], versions[1], ("AnotherExtension", "pg_trgm")];
    stack.update(QUICKSTART, &world.quickstart(&more));
    stack.ends("UPDATE_COMPLETE");
    assert_eq!(stack.event("UPDATE_COMPLETE").physical_id, created);
    assert_eq!(extensions(&world.database), "pg_trgm=1.6,pgcrypto=1.3,postgis=3.3.2");
    assert_eq!(stack.output("ExtensionsBefore"), "pgcrypto=1.3,plpgsql=1.0,postgis=3.3.2");
    assert_eq!(
        stack.output("ExtensionsAfter"),
        "pg_trgm=1.6,pgcrypto=1.3,plpgsql=1.0,postgis=3.3.2"
    );
    assert_eq!(stack.output("Plan"), "+ extension pg_trgm 1.6");

    stack.delete();
    stack.ends("DELETE_COMPLETE");
    assert_eq!(stack.event("DELETE_COMPLETE").physical_id, created);
    assert_eq!(extensions(&world.database), "pg_trgm=1.6,pgcrypto=1.3,postgis=3.3.2");
}

#[test]
fn a_stack_with_tenants_is_created_updated_and_deleted() {
    // Tenants close the databases of their whole server. MiniStack's RotateSecret calls nobody and
    // makes an empty version current, so nothing rotates here.
    let server = Server::rds_like(15);
    let world = World::on(&server);
    let mut stack = world.create(TENANTS, &world.quickstart(&[("Rotation", "none")]));
    stack.ends("CREATE_COMPLETE");
    let created = stack.event_of("Databases", "CREATE_COMPLETE").physical_id.clone();
    assert_eq!(stack.output("Tenants"), "2");
    let session = |secret: &str| {
        let login = world.login(secret);
        let text = |key: &str| login[key].as_str().unwrap().to_owned();
        let config = server.config(&text("username"), &text("password"), &text("dbname"));
        let client = Client::connect(&config);
        let sql = "SELECT current_user::text || ' in ' || current_database()";
        (client.value(sql), text("username"))
    };
    let (acme, globex) = (stack.output("AcmeSecret"), stack.output("GlobexSecret"));
    assert!(acme.contains(":secret:/execute-sql/prod/db/acme-"), "{acme}");
    assert_eq!(session(&acme).0, "acme_user in acme");
    assert_eq!(session(&globex).0, "globex_user in globex");
    assert_eq!(session("/execute-sql/prod/db/globex/globex_report").1, "globex_report");

    let fewer = [("Rotation", "none"), ("ConnectionLimit", "20")];
    stack.update(TENANTS, &world.quickstart(&fewer));
    stack.ends("UPDATE_COMPLETE");
    assert_eq!(stack.event_of("Databases", "UPDATE_COMPLETE").physical_id, created);
    let plan = stack.output("Plan");
    assert!(plan.contains("connection limit 50 -> 20"), "{plan}");
    assert_eq!(stack.output("AcmeSecret"), acme);

    let drops = [fewer[0], fewer[1], ("OnRemove", "Drop")];
    stack.update(TENANTS, &world.quickstart(&drops));
    stack.ends("UPDATE_COMPLETE");
    assert_eq!(session(&acme).0, "acme_user in acme");
    // With a session of its roles a tenant would stay.
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename ~ '^(acme|globex)_'";
    wait_until("the sessions of this test are gone", || {
        server.admin("postgres").value(sessions) == "0"
    });
    stack.delete();
    stack.ends("DELETE_COMPLETE");
    let left = "SELECT (SELECT count(*) FROM pg_database WHERE datname IN ('acme', 'globex')) \
                + (SELECT count(*) FROM pg_roles WHERE rolname ~ '^(acme|globex)_')";
    assert_eq!(server.admin("postgres").value(left), "0");
}

#[test]
fn a_replacement_cleans_up_what_the_old_target_had() {
    let world = World::new();
    let other = Server::shared().database();
    let mut stack = world.create(
        &world.template(json!({ "Extensions": ["hstore", "pgcrypto"], "OnDelete": "Drop" })),
        &[],
    );
    stack.ends("CREATE_COMPLETE");
    let created = stack.event("CREATE_COMPLETE").physical_id.clone();
    let there = json!({
        "Extensions": ["hstore"], "OnDelete": "Drop", "DBSecret": world.secret_of(Server::shared(), &other),
    });
    stack.update(&world.template(there), &[]);
    stack.ends("UPDATE_COMPLETE");
    assert_ne!(stack.event("UPDATE_COMPLETE").physical_id, created);
    assert_eq!(extensions(&world.database), "");
    assert_eq!(extensions(&other), "hstore=1.8");
    stack.delete();
    stack.ends("DELETE_COMPLETE");
    assert_eq!(extensions(&other), "");
}

#[test]
fn a_replacement_by_another_name_of_the_same_database_keeps_what_the_new_one_has() {
    let world = World::new();
    let mut stack = world.create(
        &world.template(json!({ "Extensions": ["hstore", "pgcrypto"], "OnDelete": "Drop" })),
        &[],
    );
    stack.ends("CREATE_COMPLETE");
    let created = stack.event("CREATE_COMPLETE").physical_id.clone();
    let oid = "SELECT oid FROM pg_extension WHERE extname = 'hstore'";
    let hstore = world.database.admin().value(oid);
    let by_address = json!({
        "Extensions": ["hstore"], "OnDelete": "Drop", "Connection": {"Host": "127.0.0.1"},
    });
    stack.update(&world.template(by_address), &[]);
    stack.ends("UPDATE_COMPLETE");
    assert_ne!(stack.event("UPDATE_COMPLETE").physical_id, created);
    assert_eq!(extensions(&world.database), "hstore=1.8");
    assert_eq!(world.database.admin().value(oid), hstore, "it was dropped and made again");
    stack.delete();
    stack.ends("DELETE_COMPLETE");
    assert_eq!(extensions(&world.database), "");
}

#[test]
fn a_failed_update_is_rolled_back() {
    let world = World::new();
    let good = world.quickstart(&[("PostgisVersion", POSTGIS)]);
    let mut stack = world.create(QUICKSTART, &good);
    stack.ends("CREATE_COMPLETE");
    let created = stack.event("CREATE_COMPLETE").physical_id.clone();
    let impossible = [("PostgisVersion", "9.9.9"), ("AnotherExtension", "pg_trgm")];
    stack.update(QUICKSTART, &world.quickstart(&impossible));
    stack.ends("UPDATE_ROLLBACK_COMPLETE");
    let reason = &stack.event("UPDATE_FAILED").reason;
    assert!(reason.contains("extension `postgis` has no version 9.9.9"), "{reason}");
    assert!(reason.contains("to be had: ") && reason.contains("Hint: "), "{reason}");
    // The answer to the rollback's own Update.
    assert_eq!(stack.event("UPDATE_COMPLETE").physical_id, created);
    assert_eq!(extensions(&world.database), "pgcrypto=1.3,postgis=3.3.2");

    let possible = [("PostgisVersion", POSTGIS), ("AnotherExtension", "pg_trgm")];
    stack.update(QUICKSTART, &world.quickstart(&possible));
    stack.ends("UPDATE_COMPLETE");
    assert_eq!(extensions(&world.database), "pg_trgm=1.6,pgcrypto=1.3,postgis=3.3.2");
}

#[test]
fn a_failed_create_says_why_and_leaves_nothing() {
    let world = World::new();
    let template = world.template(json!({
        "Extensions": ["pgcrypto"], "OnCreate": ["CREATE TABLE t ()", "SELECT nope()"],
    }));
    let mut stack = world.create(&template, &[]);
    stack.ends("ROLLBACK_COMPLETE");
    let reason = &stack.event("CREATE_FAILED").reason;
    assert!(reason.contains("`! OnCreate statement 2: SELECT nope()` failed at 1:8"), "{reason}");
    assert!(reason.contains("(42883)") && reason.contains("Hint: "), "{reason}");
    assert_eq!(extensions(&world.database), "");
    let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!(world.database.admin().value(tables), "0");
    stack.delete();
    stack.ends("DELETE_COMPLETE");
}

#[test]
fn a_delete_with_drop_removes_what_the_stack_made() {
    let world = World::new();
    world.database.master().exec("CREATE EXTENSION hstore");
    let template = world.template(json!({
        "Extensions": ["hstore", "pgcrypto", "pg_trgm"],
        "OnCreate": "CREATE TABLE t ()",
        "OnDelete": {"Policy": "Drop", "Sql": "DROP TABLE t"},
    }));
    let mut stack = world.create(&template, &[]);
    stack.ends("CREATE_COMPLETE");
    assert_eq!(extensions(&world.database), "hstore=1.8,pg_trgm=1.6,pgcrypto=1.3");
    stack.delete();
    stack.ends("DELETE_COMPLETE");
    assert_eq!(extensions(&world.database), "hstore=1.8", "it was there before");
    assert_eq!(world.database.admin().rows("SELECT to_regclass('t')"), [[None]]);
}

/// The demo under way, with a folder of its own for all that it makes.
struct Demo {
    process: Child,
    output: Lines<BufReader<ChildStdout>>,
    folder: PathBuf,
}

impl Demo {
    /// Starts it; its programs run when this returns.
    fn start() -> Demo {
        // The run's guardian removes it with the rest. PostgreSQL's user has to get through.
        let folder = Run::get().folder.join(format!("demo-{}", unique()));
        DirBuilder::new().mode(0o755).create(&folder).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_execute-sql"))
            .arg("demo")
            .env("TMPDIR", &folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap()).lines();
        let mut demo = Demo { process, output, folder };
        let told = demo.output.by_ref().map(Result::unwrap).find(|it| it.contains("MiniStack at"));
        assert!(told.is_some(), "{}", demo.errors());
        let running = demo.processes();
        for name in ["execute-sql", "postgres", "ministack"] {
            assert!(running.iter().any(|it| it.contains(name)), "no {name}: {running:#?}");
        }
        demo
    }

    fn errors(&mut self) -> String {
        let mut text = String::new();
        self.process.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    fn processes(&self) -> Vec<String> {
        processes::of_folder(&self.folder)
    }

    fn files(&self) -> Vec<PathBuf> {
        fs::read_dir(&self.folder).unwrap().map(|it| it.unwrap().path()).collect()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // After a failed test it still runs; its guard ends the rest.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

#[test]
fn the_demo_runs_to_its_end_and_leaves_nothing() {
    let mut demo = Demo::start();
    let lines: Vec<_> = demo.output.by_ref().map(Result::unwrap).collect();
    let told = lines.join("\n");
    let status = demo.process.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{told}\n{}", demo.errors());
    assert_eq!(demo.processes(), Vec::<String>::new());
    assert_eq!(demo.files(), Vec::<PathBuf>::new());
    for wanted in ["CREATE_COMPLETE", "UPDATE_COMPLETE", "DELETE_COMPLETE"] {
        for resource in ["demo", "Plugins"] {
            let is_it = |line: &String| line.split_whitespace().skip(1).eq([resource, wanted]);
            assert!(lines.iter().any(is_it), "no {wanted} of {resource} in\n{told}");
        }
    }
    for wanted in [
        "  ExtensionsBefore  plpgsql=1.0",
        "  ExtensionsAfter   pgcrypto=1.3,plpgsql=1.0,postgis=3.3.2",
        "  -- the changelog's table and PostGIS, from Berlin to Paris: 880 km",
        "  -- pgcrypto, a password against its hash: t",
        "  ExtensionsAfter   pg_trgm=1.6,pgcrypto=1.3,plpgsql=1.0,postgis=3.3.2",
        "Everything is stopped and removed.",
    ] {
        assert!(lines.iter().any(|line| line == wanted), "no `{wanted}` in\n{told}");
    }
}

#[test]
fn a_demo_that_is_killed_leaves_nothing() {
    let mut demo = Demo::start();
    demo.process.kill().unwrap();
    demo.process.wait().unwrap();
    wait_until("everything is gone", || demo.processes().is_empty() && demo.files().is_empty());
}
