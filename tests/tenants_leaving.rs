//! The end of tenants: what goes, what stays and why, and what a crash in the middle leaves.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use serde_json::{Value, json};
use stage::{Stage, data};
use support::{Client, Invocation, Server, Stack, wait_until};

const MAJORS: [u32; 2] = [15, 17];

/// The stage of a test: a private server, for databases and roles belong to all of it.
struct Scene<'s> {
    server: &'s Server,
    stage: Stage,
}

impl<'s> Scene<'s> {
    fn on(server: &'s Server) -> Scene<'s> {
        Scene { server, stage: Stage::on(server) }
    }

    fn properties(&self, tenants: Value) -> Value {
        self.stage.properties(json!({ "Tenants": tenants }))
    }

    /// A stack with these tenants.
    #[track_caller]
    fn stack(&self, tenants: Value) -> Stack<'_> {
        let mut stack = self.stage.stack();
        let create = stack.create(self.properties(tenants));
        self.stage.succeed(&mut stack, &create);
        stack
    }

    /// An Update to these tenants; gives its reason.
    #[track_caller]
    fn update(&self, stack: &mut Stack<'_>, tenants: Value) -> String {
        let update = stack.update(self.properties(tenants));
        reason(&self.stage.succeed(stack, &update))
    }

    /// A Delete; gives its reason.
    #[track_caller]
    fn delete(&self, stack: &mut Stack<'_>) -> String {
        let delete = stack.delete();
        reason(&self.stage.succeed(stack, &delete))
    }

    /// What an Update to these tenants would do; the stack goes on as it is.
    #[track_caller]
    fn plan(&self, tenants: Value, stack: &mut Stack<'_>) -> String {
        let mut properties = self.properties(tenants);
        properties["Mode"] = "Plan".into();
        let answer = self.stage.ask(&stack.update(properties));
        assert_eq!(answer["Status"], "SUCCESS", "{answer:#}");
        reason(&answer) + data(&answer, "Plan")
    }

    fn admin(&self) -> Client {
        self.server.admin("postgres")
    }

    /// A session with the login in a tenant's secret.
    #[track_caller]
    fn login(&self, tenant: &str) -> Client {
        self.try_login(tenant).unwrap_or_else(|refused| panic!("{tenant}: {refused}"))
    }

    fn try_login(&self, tenant: &str) -> Result<Client, support::client::Refused> {
        let text = self.stage.secrets.text(&secret(tenant), "AWSCURRENT").unwrap();
        let login: Value = serde_json::from_str(&text).unwrap();
        let text = |key: &str| login[key].as_str().unwrap().to_owned();
        let config = self.server.config(&text("username"), &text("password"), &text("dbname"));
        Client::try_connect(&config)
    }

    fn has_database(&self, name: &str) -> bool {
        self.exists(&format!("SELECT FROM pg_database WHERE datname = '{name}'"))
    }

    fn has_role(&self, name: &str) -> bool {
        self.exists(&format!("SELECT FROM pg_roles WHERE rolname = '{name}'"))
    }

    fn may_log_in(&self, name: &str) -> bool {
        self.exists(&format!("SELECT FROM pg_roles WHERE rolname = '{name}' AND rolcanlogin"))
    }

    fn exists(&self, sql: &str) -> bool {
        !self.admin().rows(sql).is_empty()
    }

    fn is_deleted(&self, tenant: &str) -> bool {
        self.stage.secrets.get(&secret(tenant)).unwrap().deleted == Some(30)
    }

    /// What the ledger has of tenants: `kind name`, with a star where it was let go.
    fn held(&self) -> String {
        self.stage.database.admin().value(
            "SELECT coalesce(string_agg(kind || ' ' || regexp_replace(name, '^arn.*:secret:|-......$', '', 'g') \
             || CASE WHEN released THEN '*' ELSE '' END, ', ' ORDER BY kind, name), '') FROM execute_sql.tenant",
        )
    }

    /// The master is a member of no tenant's role.
    #[track_caller]
    fn assert_no_membership(&self) {
        let members = self.admin().value(
            "SELECT count(*) FROM pg_auth_members m WHERE pg_get_userbyid(m.member) = 'postgres' \
             AND pg_get_userbyid(m.roleid) ~ '_user$' \
             AND coalesce((to_jsonb(m)->>'set_option')::bool, true)",
        );
        assert_eq!(members, "0");
    }
}

fn secret(tenant: &str) -> String {
    format!("/execute-sql/db/{tenant}")
}

fn reason(answer: &Value) -> String {
    answer["Reason"].as_str().unwrap().to_owned()
}

/// The acme of most tests, with a policy.
fn acme(policy: &str) -> Value {
    json!({ "Name": "acme", "OnRemove": policy })
}

fn globex() -> Value {
    json!({ "Name": "globex" })
}

#[test]
fn a_tenant_that_is_retained_stays_and_can_come_back() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        let mut stack = scene.stack(json!([acme("Retain"), globex()]));
        assert!(scene.plan(json!([globex()]), &mut stack).contains("leaves the list"));
        assert!(!scene.held().contains('*'), "a plan changes nothing");
        let reason = scene.update(&mut stack, json!([globex()]));
        assert!(
            reason.contains("~ tenant acme: it leaves the list and stays as it is"),
            "{reason}"
        );
        assert_eq!(
            scene.held(),
            "database acme*, database globex, role acme_user*, role globex_user, \
             secret /execute-sql/db/acme*, secret /execute-sql/db/globex"
        );
        scene.login("acme");
        let reason = scene.update(&mut stack, json!([globex(), acme("Drop")]));
        assert!(!reason.contains("leaves"), "{reason}");
        assert!(!scene.held().contains('*'));
        scene.delete(&mut stack);
        assert!(!scene.has_database("acme") && scene.has_database("globex"));
    }
}

#[test]
fn a_tenant_that_is_dropped_takes_its_database_roles_and_secrets_along() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        let whole = json!({
            "Name": "acme", "OnRemove": "Drop",
            "Roles": [{"Name": "acme_reader", "Access": "readonly"}, {"Name": "acme_dba", "Access": "migrate"}],
        });
        let owner = json!({ "Name": "owner", "Owner": "tenant", "OnRemove": "Drop" });
        let mut stack = scene.stack(json!([whole, owner, globex()]));
        scene.login("acme").exec("CREATE TABLE t (id int); INSERT INTO t VALUES (1)");
        scene.login("owner").exec("CREATE SCHEMA s; CREATE TABLE s.t (id int)");
        let reason = scene.update(&mut stack, json!([globex()]));
        for said in [
            "- tenant acme: database acme;",
            "- tenant acme: role acme_user;",
            "- tenant acme: role acme_reader;",
            "- tenant owner: database owner;",
            "- tenant owner: role owner_user;",
            "- tenant owner: secret arn:",
        ] {
            assert!(reason.contains(said), "{said}: {reason}");
        }
        for gone in ["acme", "owner"] {
            assert!(!scene.has_database(gone) && !scene.has_role(&format!("{gone}_user")));
            assert!(scene.is_deleted(gone));
        }
        assert!(!scene.has_role("acme_reader") && !scene.has_role("acme_dba"));
        assert_eq!(
            scene.held(),
            "database globex, role globex_user, secret /execute-sql/db/globex"
        );
        let reason = scene.update(&mut stack, json!([globex()]));
        assert!(!reason.contains("acme"), "{reason}");
        scene.assert_no_membership();
        // It comes back, empty, with its secret.
        scene.update(&mut stack, json!([globex(), whole]));
        assert_eq!(
            scene.login("acme").value("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
            "0"
        );
    }
}

#[test]
fn a_tenant_that_is_disabled_keeps_its_data_and_works_again_when_it_comes_back() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        let scene = Scene::on(&server);
        let mut stack = scene.stack(json!([acme("Disable"), globex()]));
        let session = scene.login("acme");
        session.exec("CREATE TABLE t (id int); INSERT INTO t VALUES (7)");
        let reason = scene.update(&mut stack, json!([globex()]));
        assert!(reason.contains("~ tenant acme: role acme_user may not log in"), "{reason}");
        assert!(session.try_rows("SELECT 1").is_err(), "its session is ended");
        assert_eq!(scene.try_login("acme").err().unwrap().sqlstate, "28000");
        assert!(!scene.held().contains('*'));
        // Nothing of it in the next run.
        let mut nonce = scene.properties(json!([globex()]));
        nonce["Nonce"] = "2".into();
        let update = stack.update(nonce);
        let answer = scene.stage.succeed(&mut stack, &update);
        assert_eq!((data(&answer, "Changed"), data(&answer, "Plan")), ("false", ""), "{answer:#}");
        scene.update(&mut stack, json!([globex(), acme("Drop")]));
        assert_eq!(scene.login("acme").value("SELECT id FROM t"), "7");
        scene.update(&mut stack, json!([globex()]));
        assert!(!scene.has_database("acme") && !scene.has_role("acme_user"));
        scene.assert_no_membership();
    }
}
