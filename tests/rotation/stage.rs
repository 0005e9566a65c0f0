//! One test's world: a tenant as provisioning makes it, its secret and the master's, and a function
//! whose handler is `rotation`.

use serde_json::{Value, json};

use crate::support::client::Refused;
use crate::support::secrets::{Rotation, RotationRules, Text};
use crate::support::{
    Client, Database, Function, FunctionOptions, GENEROUS, Invocation, MASTER, MASTER_PASSWORD,
    Secrets, Server,
};

pub const FIRST_PASSWORD: &str = "first-Lk3vW8sHn5";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    Single,
    Alternating,
}

pub use Strategy::{Alternating, Single};

pub struct Stage<'a> {
    pub server: &'a Server,
    pub database: Database,
    /// The tenant's role.
    pub user: String,
    pub secrets: Secrets,
    /// The tenant's.
    pub secret: String,
    pub master: String,
    pub function: Function,
}

impl<'a> Stage<'a> {
    pub fn new(strategy: Strategy) -> Stage<'static> {
        Stage::on(Server::shared(), strategy)
    }

    pub fn on(server: &'a Server, strategy: Strategy) -> Stage<'a> {
        Self::with(server, strategy, |options| options)
    }

    /// `change` has the last word on the function's environment.
    pub fn with(
        server: &'a Server,
        strategy: Strategy,
        change: impl FnOnce(FunctionOptions) -> FunctionOptions,
    ) -> Stage<'a> {
        let database = server.database();
        let user = format!("{}_u", database.name);
        tenant(server, &database, &user);
        let secrets = Secrets::start();
        let admin = server.database_named("postgres");
        let master = secrets.put("master", server.secret_json(&admin));
        let mut text = server.secret_json_for(&user, FIRST_PASSWORD, &database.name);
        text["masterarn"] = json!(master);
        text["application"] = json!({"own": ["key", 1]});
        let secret = secrets.put("tenant", text);
        secrets.change("tenant", |it| {
            let tag = if strategy == Single { "single" } else { "alternating" };
            it.tags.insert("execute-sql:rotation".into(), tag.into());
        });
        enable(&secrets, "tenant");
        let function = Function::start(change(options(server, &secrets)));
        Stage { server, database, user, secrets, secret, master, function }
    }

    /// As a second container of the same.
    pub fn another_function(&self) -> Function {
        Function::start(options(self.server, &self.secrets))
    }

    pub fn clone_name(&self) -> String {
        format!("{}_clone", self.user)
    }

    /// As Lambda tells its invoker.
    pub fn invoke(&self, event: &Value) -> Result<(), Invocation> {
        match self.function.invoke(event.to_string().as_bytes()) {
            Invocation::Returned(_) => Ok(()),
            other => Err(other),
        }
    }

    /// A whole rotation, each step once.
    pub fn rotate(&self) -> Rotation<Invocation> {
        self.secrets.rotate(&self.secret, |event| self.invoke(&event))
    }

    /// A rotation that fails in `step`; gives the name and the text of the error.
    #[track_caller]
    pub fn refused(&self, step: &str) -> (String, String) {
        self.refused_of(&self.secret, step)
    }

    #[track_caller]
    pub fn refused_of(&self, secret: &str, step: &str) -> (String, String) {
        let rotation = self.secrets.rotate(secret, |event| self.invoke(&event));
        let (failed, why) = rotation.failed.expect("it is refused");
        let Invocation::Threw { error_type, error_message } = why else { panic!("{why:?}") };
        assert_eq!(failed, step, "{error_message}");
        (error_type, error_message)
    }

    pub fn version(&self, stage: &str) -> Value {
        let text = self.secrets.text(&self.secret, stage).expect("the version has a text");
        serde_json::from_str(&text).unwrap()
    }

    pub fn current(&self) -> Value {
        self.version("AWSCURRENT")
    }

    pub fn try_login(&self, secret: &Value) -> Result<Client, Refused> {
        let field = |name: &str| secret[name].as_str().unwrap().to_owned();
        let config = self.server.config(&field("username"), &field("password"), &field("dbname"));
        Client::try_connect(&config)
    }

    #[track_caller]
    pub fn login(&self, secret: &Value) -> Client {
        self.try_login(secret).unwrap_or_else(|refused| panic!("{refused}"))
    }

    /// A pending version that somebody wrote, under the token of the rotation to come.
    pub fn leave_pending(&self, text: &Value) -> String {
        let token = crate::support::lambda::uuid();
        self.secrets.change(&self.secret, |it| {
            it.add(&token, Some(Text::String(text.to_string())), &["AWSPENDING"]);
        });
        token
    }

    /// What to do about it by hand.
    pub fn take_pending_away(&self) {
        self.secrets.change(&self.secret, |it| it.detach("AWSPENDING"));
    }
}

fn options(server: &Server, secrets: &Secrets) -> FunctionOptions {
    FunctionOptions::new(env!("CARGO_BIN_EXE_bootstrap"))
        .timeout(GENEROUS)
        .env("_HANDLER", "rotation")
        .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", &secrets.endpoint())
        .env("SSL_CERT_FILE", server.ca_pem_path().to_str().unwrap())
}

pub fn enable(secrets: &Secrets, id: &str) {
    secrets.change(id, |it| {
        let lambda_arn = crate::support::FUNCTION_ARN.to_owned();
        it.rotation = Some(RotationRules { lambda_arn, days: Some(30), schedule: None });
    });
}

/// A tenant of the kind `Owner: provider`: the master keeps the database and is no member.
pub fn tenant(server: &Server, database: &Database, user: &str) {
    let name = &database.name;
    let master = Client::connect(&server.config(MASTER, MASTER_PASSWORD, "postgres"));
    master.exec(&format!(
        "CREATE ROLE {user} LOGIN CONNECTION LIMIT 20;
         REVOKE ALL ON DATABASE {name} FROM PUBLIC;
         GRANT CONNECT, TEMPORARY ON DATABASE {name} TO {user};"
    ));
    server.admin("postgres").exec(&format!("ALTER ROLE {user} PASSWORD '{FIRST_PASSWORD}'"));
    let inside = database.master();
    inside.exec(&format!(
        "BEGIN; GRANT {user} TO {MASTER}; ALTER SCHEMA public OWNER TO {user};
         REVOKE {user} FROM {MASTER}; COMMIT"
    ));
}
