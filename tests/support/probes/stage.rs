//! The scene of the attacks: what the victim and the provider have, and how the attacker gets
//! at it.

use super::super::client::{Client, Running};
use super::super::processes::unique;
use super::super::wait_until;
use super::{At, Attack, Outcome, World};

/// A world with something to steal in it.
pub struct Stage<'a> {
    pub world: &'a World<'a>,
    /// What the words in braces stand for.
    words: Vec<(&'static str, String)>,
    /// The victim's, at work.
    session: Option<(Client, Running)>,
}

impl<'a> Stage<'a> {
    /// Makes a table with a row, a function with its owner's rights, a large object and a session
    /// at work over the victim's login, and a table of the provider's.
    pub fn set(world: &'a World<'a>) -> Stage<'a> {
        let (a, b) = (&world.a, &world.b);
        let id = unique();
        let mut words: Vec<(&'static str, String)> = vec![
            ("{a}", a.user.clone()),
            ("{a_db}", a.database.clone()),
            ("{a_schema}", a.schema.clone()),
            ("{b}", b.user.clone()),
            ("{b_db}", b.database.clone()),
            ("{b_schema}", b.schema.clone()),
            ("{master}", world.master.clone()),
            ("{table}", format!("orders_{id}")),
            ("{function}", format!("total_{id}")),
            ("{platform}", format!("platform_{id}")),
            ("{new}", format!("new_{id}")),
            ("{mark}", format!("mark_{id}")),
        ];
        for (word, name) in &words {
            let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            assert!(name.chars().all(is_plain), "{word}: `{name}` is not a plain name");
        }
        let mut stage = Stage { world, words: Vec::new(), session: None };
        stage.words.append(&mut words);

        let admin = world.server.admin(&b.database);
        let victim = stage.victim();
        let schema = "SELECT FROM pg_namespace WHERE nspname = '{b_schema}'";
        if admin.rows(&stage.text(schema)).is_empty() {
            victim.exec(&stage.text("CREATE SCHEMA {b_schema}"));
        }
        victim.exec(&stage.text(
            "CREATE TABLE {b_schema}.{table} (secret text); \
             INSERT INTO {b_schema}.{table} VALUES ('{mark}'); \
             CREATE FUNCTION {b_schema}.{function}() RETURNS text LANGUAGE sql SECURITY DEFINER \
             AS 'SELECT secret FROM {b_schema}.{table}'",
        ));
        let object = victim.value("SELECT lo_from_bytea(0, 'secret')");
        stage.words.push(("{object}", object));

        let session = stage.victim();
        stage.words.push(("{pid}", session.pid().to_string()));
        let running = session.begin_blocking(&stage.text("SELECT pg_sleep(600), '{mark}'"));
        wait_until("the victim is at work", || {
            let seen = "SELECT FROM pg_stat_activity WHERE pid = {pid} AND query LIKE '%{mark}%'";
            !admin.rows(&stage.text(seen)).is_empty()
        });
        stage.session = Some((session, running));
        let provider = world.server.database_named(&world.admin_database).master();
        provider.exec(&stage.text(
            "CREATE TABLE public.{platform} (secret text); \
             INSERT INTO public.{platform} VALUES ('{mark}')",
        ));
        stage
    }

    /// With names in the place of the words in braces.
    pub fn text(&self, sql: &str) -> String {
        let replace = |sql: String, (word, name): &(&str, String)| sql.replace(word, name);
        let text = self.words.iter().fold(sql.to_owned(), replace);
        assert!(!text.contains('{'), "what is in braces? {text}");
        text
    }

    /// A session of the attacker's.
    pub fn log_in(&self, at: At) -> Result<Client, Outcome> {
        let world = self.world;
        let database = match at {
            At::Own => &world.a.database,
            At::Victims => &world.b.database,
            At::Admin => &world.admin_database,
            At::Postgres => "postgres",
            At::Template1 => "template1",
            At::Rdsadmin => "rdsadmin",
        };
        let config = world.server.config(&world.a.user, &world.a.password, database);
        Client::try_connect(&config).map_err(|refused| Outcome::Refused(refused.sqlstate))
    }

    pub fn make(&self, attack: &Attack) -> Outcome {
        let attempt = match attack {
            Attack::Login(at) => self.log_in(*at).map(|_| Outcome::Succeeded),
            Attack::Run(at, sql) => self.attempt(*at, sql).map(|_| Outcome::Succeeded),
            Attack::Show(at, sql) => self
                .attempt(*at, sql)
                .map(|shows| if shows { Outcome::Succeeded } else { Outcome::NoEffect }),
            Attack::Special(attack) => Ok(attack(self)),
        };
        attempt.unwrap_or_else(|refused| refused)
    }

    /// Whether there are rows.
    fn attempt(&self, at: At, sql: &str) -> Result<bool, Outcome> {
        let rows = self.log_in(at)?.try_rows(&self.text(sql));
        let rows = rows.map_err(|refused| Outcome::Refused(refused.sqlstate))?;
        Ok(!rows.is_empty())
    }

    /// A session of the victim's.
    fn victim(&self) -> Client {
        let b = &self.world.b;
        Client::connect(&self.world.server.config(&b.user, &b.password, &b.database))
    }
}

impl Drop for Stage<'_> {
    fn drop(&mut self) {
        // What failed on the way here says more than what fails now.
        let world = self.world;
        let clear = |database: &str, sql: &str| {
            drop(world.server.admin(database).try_rows(&self.text(sql)));
        };
        if self.session.is_some() {
            clear(&world.b.database, "SELECT pg_terminate_backend({pid})");
            clear(&world.admin_database, "DROP TABLE IF EXISTS public.{platform}");
            let things = "DROP FUNCTION IF EXISTS {b_schema}.{function}; \
                          DROP TABLE IF EXISTS {b_schema}.{table}; SELECT lo_unlink({object})";
            clear(&world.b.database, things);
        }
    }
}
