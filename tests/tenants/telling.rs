//! What answers, logs, plans and the command line say of tenants, and what they never say.

use std::process::Command;

use serde_json::{Value, json};

use crate::stage::{Stage, data};
use crate::support::{Folder, MASTER_PASSWORD_MARK, Server, command_line};
use crate::tenancy::{Life, login, secret, session};

#[test]
fn sixty_tenants_fit_into_an_answer() {
    let server = Server::rds_like(15);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let tenants: Vec<_> = (0..60).map(|n| json!({"Name": format!("tenant_number_{n}")})).collect();
    let all = json!({"Tenants": tenants});
    // `settle` refuses an answer of more than 4096 bytes.
    let answer = life.apply(&all);
    assert_eq!(data(&answer, "Tenants"), "60");
    let omitted: usize = data(&answer, "TenantsOmitted").parse().unwrap();
    let keys = answer["Data"].as_object().unwrap().keys();
    let told = keys.filter(|it| it.starts_with("Tenant.")).count();
    assert!(told > 3 && told + omitted == 60, "{told} {omitted}");
    data(&answer, "Tenant.tenant_number_0.SecretArn");
    life.assert_done(&all);
}

/// Everything that anybody can read afterwards.
fn all_that_is_told(server: &Server, stage: &Stage, answers: &[Value]) -> String {
    let mut all = answers.iter().map(ToString::to_string).collect::<String>();
    all += &stage.function.log();
    for table in ["request", "audit", "tenant", "resource", "object", "changeset"] {
        for row in
            stage.database.admin().rows(&format!("SELECT to_json(t) FROM execute_sql.{table} t"))
        {
            all += row[0].as_deref().unwrap_or_default();
        }
    }
    all + &server.log()
}

#[test]
fn no_password_is_told_anywhere_and_no_verifier_but_in_the_servers_log() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut life = Life::new(&stage);
        let all = json!({"Tenants": [
            {"Name": "acme", "Roles": [{"Name": "acme_r", "Access": "readonly"}], "Changelog": {"Inline": "CREATE TABLE t (id int)"}},
            {"Name": "globex", "Schema": "globex"},
        ]});
        let mut answers = vec![life.apply(&all)];
        stage.secrets.put("given", json!({"username": "initech_user", "password": "given-Pq7wK2"}));
        let mut more = all.clone();
        more["Tenants"].as_array_mut().unwrap().push(json!({"Name": "initech", "Secret": "given"}));
        answers.push(life.apply(&more));
        // Failures tell no more than successes.
        server.admin("postgres").exec("ALTER ROLE acme_user PASSWORD 'other-Zx5vB9'");
        stage.database.admin().exec("ALTER TABLE execute_sql.tenant RENAME TO gone");
        let event = life.event(&more, json!({}));
        answers.push(stage.ask(&event));
        stage.database.admin().exec("ALTER TABLE execute_sql.gone RENAME TO tenant");
        server.admin("acme").exec("DROP TABLE t; CREATE ROLE in_the_way");
        more["Tenants"]
            .as_array_mut()
            .unwrap()
            .push(json!({"Name": "hooli", "Username": "in_the_way"}));
        let event = life.event(&more, json!({}));
        answers.push(stage.ask(&event));
        let told = all_that_is_told(&server, &stage, &answers);
        let names = stage.secrets.names();
        assert_eq!(names.len(), 5, "{names:?}");
        for name in names {
            let found = login(&stage.secrets, &name);
            let password = found["password"].as_str().unwrap();
            assert!(!told.contains(password), "the password of {name}");
        }
        assert!(!told.contains(MASTER_PASSWORD_MARK));
        let server_log = server.log();
        for line in told.lines().filter(|it| it.contains("SCRAM-SHA-256$")) {
            assert!(server_log.contains(line), "{line}");
        }
    }
}

#[test]
fn the_command_line_plans_verifies_and_applies_tenants() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let folder = Folder::new();
    folder.write(
        "tenants.yaml",
        "Tenants:\n- Name: acme\n  Roles: [{Name: acme_r, Access: readonly}]\n",
    );
    let file = folder.0.join("tenants.yaml");
    let run = |format: &str, command: &str| {
        let mut program: Command = command_line(&stage.database);
        program.env("PGPORT", server.port().to_string());
        program.env("AWS_ENDPOINT_URL_SECRETS_MANAGER", stage.secrets.endpoint());
        program
            .env("AWS_ACCESS_KEY_ID", "x")
            .env("AWS_SECRET_ACCESS_KEY", "y")
            .env("AWS_REGION", "eu-west-1");
        let output =
            program.args(["--format", format, command, "--file"]).arg(&file).output().unwrap();
        let text = |it: Vec<u8>| String::from_utf8(it).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    };
    let (code, out, err) = run("text", "plan");
    assert_eq!(code, Some(0), "{err}");
    for line in [
        "+ tenant acme: secret /execute-sql/db/acme",
        "+ tenant acme: role acme_user",
        "+ tenant acme: database acme",
    ] {
        assert!(out.contains(line), "{out}");
    }
    assert_eq!(stage.secrets.names(), ["master"]);
    assert_eq!(
        server.admin("postgres").value("SELECT count(*) FROM pg_roles WHERE rolname ~ '^acme'"),
        "0"
    );
    let (code, out, _) = run("json", "plan");
    assert_eq!(code, Some(0));
    let report: Value = serde_json::from_str(&out).unwrap();
    assert!(report.to_string().contains("createDatabase"), "{report:#}");
    assert_eq!(run("text", "verify").0, Some(2));
    let (code, out, err) = run("text", "apply");
    assert_eq!(code, Some(0), "{out}{err}");
    let (code, out, _) = run("text", "verify");
    assert_eq!(code, Some(0), "{out}");
    session(&server, &stage.secrets, &secret("acme")).exec("CREATE TABLE t (id int)");
    server.admin("postgres").exec("ALTER ROLE acme_user NOLOGIN");
    for format in ["text", "json"] {
        let (code, out, err) = run(format, "verify");
        assert_eq!(code, Some(2), "{out}{err}");
        assert!(format!("{out}{err}").contains("acme_user"), "{out}{err}");
    }
    assert_eq!(run("text", "apply").0, Some(0));
    assert_eq!(run("text", "verify").0, Some(0));
}

#[test]
fn a_verify_in_the_function_names_what_differs_and_a_plan_writes_nothing() {
    let server = Server::rds_like(15);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let acme = json!({"Tenants": [{"Name": "acme"}]});
    let before = server
        .admin("postgres")
        .rows("SELECT rolname FROM pg_roles UNION ALL SELECT datname FROM pg_database");
    life.plan(&acme);
    let verify = life.event(&acme, json!({"Mode": "Verify"}));
    let reason = stage.fail(&verify);
    assert!(reason.contains("+ tenant acme: database acme"), "{reason}");
    let after = server
        .admin("postgres")
        .rows("SELECT rolname FROM pg_roles UNION ALL SELECT datname FROM pg_database");
    assert_eq!(before, after);
    assert_eq!(stage.secrets.names(), ["master"]);
    assert_eq!(
        stage.database.admin().rows("SELECT FROM pg_namespace WHERE nspname = 'execute_sql'").len(),
        0
    );
    life.bring(&acme);
    server.admin("postgres").exec("ALTER DATABASE acme CONNECTION LIMIT 1");
    let verify = life.event(&acme, json!({"Mode": "Verify"}));
    let reason = stage.fail(&verify);
    assert!(reason.contains("database acme connection limit 1 -> 50"), "{reason}");
}
