//! Attacks that take more than one session, or that would leave something behind.

use super::super::client::{Client, Refused};
use super::stage::Stage;
use super::{At, Outcome};

fn refused(refused: Refused) -> Outcome {
    Outcome::Refused(refused.sqlstate)
}

/// Makes a database of the attacker's.
pub fn create_database(stage: &Stage<'_>) -> Outcome {
    create(stage, "CREATE DATABASE {new}")
}

/// Makes a copy of the victim's database.
pub fn copy_database(stage: &Stage<'_>) -> Outcome {
    create(stage, "CREATE DATABASE {new} TEMPLATE {b_db}")
}

fn create(stage: &Stage<'_>, sql: &str) -> Outcome {
    let client = match stage.log_in(At::Own) {
        Ok(client) => client,
        Err(outcome) => return outcome,
    };
    let outcome = match client.try_rows(&stage.text(sql)) {
        Ok(_) => Outcome::Succeeded,
        // It only has to wait until the victim is away.
        Err(busy) if busy.sqlstate == "55006" => Outcome::Succeeded,
        Err(error) => refused(error),
    };
    let admin = stage.world.server.admin("postgres");
    admin.exec(&stage.text("DROP DATABASE IF EXISTS {new}"));
    outcome
}

/// Drops the attacker's own database, from one that lets it in. For that moment it is a template,
/// which nobody can drop; that is told apart from a lack of rights.
pub fn drop_own_database(stage: &Stage<'_>) -> Outcome {
    let own = stage.world.a.database == stage.world.b.database;
    let elsewhere = [At::Postgres, At::Victims, At::Template1];
    let elsewhere = elsewhere.into_iter().filter(|at| !(own && *at == At::Victims));
    let mut last = Outcome::NoEffect;
    for at in elsewhere {
        match stage.log_in(at) {
            Ok(client) => {
                let admin = stage.world.server.admin("postgres");
                admin.exec(&stage.text("ALTER DATABASE {a_db} IS_TEMPLATE true"));
                let dropped = client.try_rows(&stage.text("DROP DATABASE {a_db}"));
                admin.exec(&stage.text("ALTER DATABASE {a_db} IS_TEMPLATE false"));
                return match dropped {
                    Ok(_) => Outcome::Succeeded,
                    Err(template) if template.sqlstate == "42809" => Outcome::Succeeded,
                    Err(error) => refused(error),
                };
            }
            Err(outcome) => last = outcome,
        }
    }
    last
}

/// Lets everybody into the attacker's own database. Taken away first, for it may be open already;
/// who does not own it gets only a warning for either.
pub fn open_own_database(stage: &Stage<'_>) -> Outcome {
    let client = match stage.log_in(At::Own) {
        Ok(client) => client,
        Err(outcome) => return outcome,
    };
    let is_open = "SELECT count(*) FROM pg_database, aclexplode(coalesce(datacl, \
                   acldefault('d', datdba))) WHERE datname = current_database() \
                   AND grantee = 0 AND privilege_type = 'CONNECT'";
    let sql = format!(
        "BEGIN; REVOKE CONNECT ON DATABASE {{a_db}} FROM PUBLIC; {is_open}; \
         GRANT CONNECT ON DATABASE {{a_db}} TO PUBLIC; {is_open}; ROLLBACK"
    );
    match client.try_rows(&stage.text(&sql)) {
        Ok(rows) if rows.first() == rows.last() => Outcome::NoEffect,
        Ok(_) => Outcome::Succeeded,
        Err(error) => refused(error),
    }
}

/// Opens one session more than the attacker's role may have (51 if it may have any number).
pub fn exceed_the_limit(stage: &Stage<'_>) -> Outcome {
    let admin = stage.world.server.admin("postgres");
    let limit = "SELECT rolconnlimit FROM pg_roles WHERE rolname = '{a}'";
    let limit: i32 = admin.value(&stage.text(limit)).parse().expect("a limit");
    let limit = if limit < 0 { 50 } else { limit };
    let opened: Result<Vec<Client>, Outcome> = (0..=limit).map(|_| stage.log_in(At::Own)).collect();
    match opened {
        Ok(_) => Outcome::Succeeded,
        Err(outcome) => outcome,
    }
}
