//! A private server with its stage, and the questions that these tests ask of it.

use serde_json::{Value, json};

use crate::stage::{Stage, data};
use crate::support::client::Refused;
use crate::support::{Client, Server, Stack, wait_until};

/// Two that differ in what the master may do: before and after PostgreSQL 16.
pub const MAJORS: [u32; 2] = [15, 17];

/// The stage of a test: a private server, for databases and roles belong to all of it.
pub struct Scene<'s> {
    pub server: &'s Server,
    pub stage: Stage,
}

impl<'s> Scene<'s> {
    pub fn on(server: &'s Server) -> Scene<'s> {
        Scene { server, stage: Stage::on(server) }
    }

    pub fn properties(&self, tenants: Value) -> Value {
        self.stage.properties(json!({ "Tenants": tenants }))
    }

    /// A stack with these tenants.
    #[track_caller]
    pub fn stack(&self, tenants: Value) -> Stack<'_> {
        let mut stack = self.stage.stack();
        let create = stack.create(self.properties(tenants));
        self.stage.succeed(&mut stack, &create);
        stack
    }

    /// An Update to these tenants; gives its reason.
    #[track_caller]
    pub fn update(&self, stack: &mut Stack<'_>, tenants: Value) -> String {
        let update = stack.update(self.properties(tenants));
        reason(&self.stage.succeed(stack, &update))
    }

    /// A Delete; gives its reason.
    #[track_caller]
    pub fn delete(&self, stack: &mut Stack<'_>) -> String {
        let delete = stack.delete();
        reason(&self.stage.succeed(stack, &delete))
    }

    /// What an Update to these tenants would do; the stack goes on as it is.
    #[track_caller]
    pub fn plan(&self, tenants: Value, stack: &mut Stack<'_>) -> String {
        let mut properties = self.properties(tenants);
        properties["Mode"] = "Plan".into();
        let answer = self.stage.ask(&stack.update(properties));
        assert_eq!(answer["Status"], "SUCCESS", "{answer:#}");
        reason(&answer) + data(&answer, "Plan")
    }

    pub fn admin(&self) -> Client {
        self.server.admin("postgres")
    }

    /// A session with the login in a tenant's secret.
    #[track_caller]
    pub fn login(&self, tenant: &str) -> Client {
        self.try_login(tenant).unwrap_or_else(|refused| panic!("{tenant}: {refused}"))
    }

    pub fn try_login(&self, tenant: &str) -> Result<Client, Refused> {
        let text = self.stage.secrets.text(&secret(tenant), "AWSCURRENT").unwrap();
        let login: Value = serde_json::from_str(&text).unwrap();
        let text = |key: &str| login[key].as_str().unwrap().to_owned();
        let config = self.server.config(&text("username"), &text("password"), &text("dbname"));
        Client::try_connect(&config)
    }

    pub fn has_database(&self, name: &str) -> bool {
        self.exists(&format!("SELECT FROM pg_database WHERE datname = '{name}'"))
    }

    pub fn has_role(&self, name: &str) -> bool {
        self.exists(&format!("SELECT FROM pg_roles WHERE rolname = '{name}'"))
    }

    pub fn may_log_in(&self, name: &str) -> bool {
        self.exists(&format!("SELECT FROM pg_roles WHERE rolname = '{name}' AND rolcanlogin"))
    }

    pub fn exists(&self, sql: &str) -> bool {
        !self.admin().rows(sql).is_empty()
    }

    pub fn is_deleted(&self, tenant: &str) -> bool {
        self.stage.secrets.get(&secret(tenant)).unwrap().deleted == Some(30)
    }

    pub fn is_deleted_at_all(&self, tenant: &str) -> bool {
        self.stage.secrets.get(&secret(tenant)).unwrap().deleted.is_some()
    }

    /// A session that was closed takes a moment to be gone.
    pub fn wait_for_no_session(&self, database: &str) {
        let admin = self.admin();
        let count = format!("SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'");
        wait_until("its sessions are gone", || admin.value(&count) == "0");
    }

    /// What the ledger has of tenants: `kind name`, with a star where it was let go.
    pub fn held(&self) -> String {
        self.stage.database.admin().value(
            "SELECT coalesce(string_agg(kind || ' ' || regexp_replace(name, '^arn.*:secret:|-......$', '', 'g') \
             || CASE WHEN released THEN '*' ELSE '' END, ', ' ORDER BY kind, name), '') FROM execute_sql.tenant",
        )
    }

    /// The master is a member of no tenant's role.
    #[track_caller]
    pub fn assert_no_membership(&self) {
        let members = self.admin().value(
            "SELECT count(*) FROM pg_auth_members m WHERE pg_get_userbyid(m.member) = 'postgres' \
             AND pg_get_userbyid(m.roleid) ~ '_user$' \
             AND coalesce((to_jsonb(m)->>'set_option')::bool, true)",
        );
        assert_eq!(members, "0");
    }
}

pub fn secret(tenant: &str) -> String {
    format!("/execute-sql/db/{tenant}")
}

pub fn reason(answer: &Value) -> String {
    answer["Reason"].as_str().unwrap().to_owned()
}

/// The acme of most tests, with a policy.
pub fn acme(policy: &str) -> Value {
    json!({ "Name": "acme", "OnRemove": policy })
}

pub fn globex() -> Value {
    json!({ "Name": "globex" })
}
