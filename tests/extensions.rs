//! Extensions on a real server: PostGIS moves as one, schemas and requirements are
//! seen to, others that meddle at the same moment do no harm.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use serde_json::json;
use stage::{Stage, data};
use support::wait_until;

/// Says that an extension is installed at an older version; its update script is real.
fn age(stage: &Stage, name: &str) {
    stage
        .database
        .admin()
        .exec(&format!("UPDATE pg_extension SET extversion = '3.3.1' WHERE extname = '{name}'"));
}

#[test]
fn the_parts_of_postgis_move_along_on_an_update() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({
        "Extensions": ["postgis", "postgis_raster", "postgis_topology", "postgis_tiger_geocoder"],
    })));
    let created = stage.succeed(&mut stack, &create);
    assert!(data(&created, "Plan").contains("+ extension fuzzystrmatch"), "{created:#}");
    for name in ["postgis", "postgis_raster", "postgis_topology", "postgis_tiger_geocoder"] {
        age(&stage, name);
    }
    // Only the lead is pinned; raster and the others are not even named.
    let update = stack.update(stage.properties(json!({ "PluginsMap": {"PostGIS": "3.3.2"} })));
    let updated = stage.succeed(&mut stack, &update);
    assert_eq!(
        stage.extensions(),
        "fuzzystrmatch=1.1,postgis=3.3.2,postgis_raster=3.3.2,postgis_tiger_geocoder=3.3.2,\
         postgis_topology=3.3.2"
    );
    assert!(data(&updated, "ExtensionsBefore").contains("postgis_topology=3.3.1"));
    let works = "SELECT ST_AsText(ST_Point(1, 2)) || left(postgis_raster_lib_version(), 5)";
    assert_eq!(stage.database.master().value(works), "POINT(1 2)3.3.2");
}

#[test]
fn a_pin_is_enforced_and_never_downgraded() {
    let stage = Stage::new();
    stage.database.master().exec("CREATE EXTENSION pg_trgm VERSION '1.4'");
    let mut stack = stage.stack();
    let create = stack.create(stage.properties(json!({ "PluginsMap": {"pg_trgm": "1.5"} })));
    let created = stage.succeed(&mut stack, &create);
    assert_eq!(stage.extensions(), "pg_trgm=1.5");
    assert_eq!(data(&created, "Plan"), "~ extension pg_trgm 1.4 -> 1.5");
    let older = stack.update(stage.properties(json!({ "PluginsMap": {"pg_trgm": "1.3"} })));
    let reason = stage.fail(&older);
    assert!(reason.contains("going back to 1.3 is not done"), "{reason}");
    let failed = "SELECT reason FROM execute_sql.request WHERE status = 'failed'";
    assert!(stage.database.admin().value(failed).contains("going back to 1.3"));
    stack.settle(&stage.receiver.answer_to(&older));
    let latest = stack.update(stage.properties(json!({ "PluginsMap": {"pg_trgm": "latest"} })));
    stage.ask(&latest);
    assert_eq!(stage.extensions(), "pg_trgm=1.6");
}

#[test]
fn an_extension_lives_in_the_schema_that_is_asked_for() {
    let stage = Stage::new();
    // To move an extension one must own all that is in it; no master does, so a superuser logs in.
    let server = support::Server::shared();
    let login = (support::postgres::ADMIN, support::ADMIN_PASSWORD);
    stage.secrets.put("owner", server.secret_json_for(login.0, login.1, &stage.database.name));
    let wanted = |schema: &str| {
        stage.properties(json!({
            "DBSecret": "owner", "Extensions": [{"Name": "hstore", "Schema": schema}], "OnDelete": "Drop",
        }))
    };
    let mut stack = stage.stack();
    let create = stack.create(wanted("Ext \"x\""));
    stage.succeed(&mut stack, &create);
    let schema =
        "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'hstore'";
    assert_eq!(stage.database.admin().value(schema), "\"Ext \"\"x\"\"\"");
    let update = stack.update(wanted("public"));
    stage.succeed(&mut stack, &update);
    assert_eq!(stage.database.admin().value(schema), "public");
    let delete = stack.delete();
    stage.succeed(&mut stack, &delete);
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname = 'Ext \"x\"'";
    assert_eq!(stage.database.admin().value(left), "0", "the schema was made for it");
    let public = "SELECT count(*) FROM pg_namespace WHERE nspname = 'public'";
    assert_eq!(stage.database.admin().value(public), "1", "this one was not");
}

#[test]
fn a_stranger_that_creates_the_same_extension_at_the_same_moment_does_no_harm() {
    let stage = Stage::new();
    let stranger = stage.database.master();
    stranger.exec("BEGIN; CREATE EXTENSION hstore");
    let mut stack = stage.stack();
    let create =
        stack.create(stage.properties(json!({ "Extensions": ["hstore"], "OnDelete": "Drop" })));
    let pending = stage.function.start_invoke(create.to_string().as_bytes());
    let waiting = "SELECT count(*) FROM pg_stat_activity \
         WHERE datname = current_database() AND wait_event_type = 'Lock'";
    wait_until("it waits for the stranger", || stage.database.admin().value(waiting) == "1");
    stranger.exec("COMMIT");
    pending.wait().returned();
    let answer = stage.receiver.answer_to(&create);
    assert_eq!(answer["Status"], "SUCCESS", "{answer:#}");
    stack.settle(&answer);
    let delete = stack.delete();
    stage.succeed(&mut stack, &delete);
    assert_eq!(stage.extensions(), "hstore=1.8", "the stranger made it, so it stays");
}

#[test]
fn a_login_without_the_rights_fails_with_what_it_lacks() {
    let stage = Stage::new();
    let admin = stage.database.admin();
    let role = format!("weak_{}", stage.database.name);
    let role = &role[..role.len().min(60)];
    admin.exec(&format!("CREATE ROLE {role} LOGIN PASSWORD 'weak-passw0rd'"));
    let server = support::Server::shared();
    stage.secrets.put("weak", server.secret_json_for(role, "weak-passw0rd", &stage.database.name));
    let create = stage
        .stack()
        .create(stage.properties(json!({ "DBSecret": "weak", "Extensions": ["pgcrypto"] })));
    let reason = stage.fail(&create);
    assert!(reason.contains("(42501)") && reason.contains("lacks a privilege"), "{reason}");
    assert_eq!(stage.extensions(), "");
}

#[test]
fn lock_timeout_and_statement_timeout_hold_from_the_first_moment() {
    let stage = Stage::new();
    let mut stack = stage.stack();
    let statement = "CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS lock, \
         current_setting('statement_timeout') AS statement, current_setting('application_name') AS name";
    let create = stack.create(stage.properties(json!({
        "OnCreate": statement, "LockTimeout": "7", "StatementTimeout": "9",
    })));
    stage.succeed(&mut stack, &create);
    let rows = stage.database.admin().rows("SELECT lock, statement, name FROM seen");
    let seen: Vec<_> = rows[0].iter().map(|it| it.as_deref().unwrap()).collect();
    assert_eq!(&seen[..2], ["7s", "9s"]);
    assert!(seen[2].starts_with("execute-sql/"), "{}", seen[2]);
}
