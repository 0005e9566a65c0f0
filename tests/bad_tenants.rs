//! Tenants that cannot be had: each is refused with its reason, and nothing of anybody else's is
//! changed.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;
mod tenancy;

use serde_json::{Value, json};
use stage::Stage;
use support::{Client, FUNCTION_ARN, MASTER, Secrets, Server, Stack};
use tenancy::{Life, login, secret, session};

/// One tenant, with these keys.
fn tenant(more: Value) -> Value {
    let mut tenant = json!({"Name": "acme"});
    tenant.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    json!({"Tenants": [tenant]})
}

/// All roles and databases with their attributes, and the secrets with their values.
fn all_there_is(server: &Server, secrets: &Secrets) -> String {
    let rows = server.admin("postgres").rows(
        "SELECT concat_ws(' ', a.rolname, a.rolpassword, a.rolconnlimit, a.rolcanlogin, \
         shobj_description(a.oid, 'pg_authid')) FROM pg_authid a \
         UNION ALL SELECT concat_ws(' ', datname, pg_get_userbyid(datdba), datconnlimit, datacl::text) \
         FROM pg_database WHERE datname !~ '^(postgres|template1|t_)' ORDER BY 1",
    );
    let mut names = secrets.names();
    names.sort();
    let found = names.iter().map(|it| format!("{:?}", secrets.get(it)));
    format!("{rows:?} {}", found.collect::<String>())
}

#[test]
fn names_that_are_not_for_tenants_are_refused_before_anything_is_asked() {
    let stage = Stage::new();
    for (keys, said) in [
        (json!({"Name": "postgres"}), "`postgres`, which is reserved"),
        (json!({"Name": "rdsadmin"}), "`rdsadmin`, which is reserved"),
        (json!({"Username": "rdsadmin"}), "reserved"),
        (json!({"Username": "rds_x"}), "reserved"),
        (json!({"Username": "pg_x"}), "reserved"),
        (json!({"Database": "template1"}), "reserved"),
        (json!({"Schema": "pg_x"}), "reserved"),
        (json!({"Schema": "execute_sql"}), "reserved"),
        (json!({"Schema": "public"}), "reserved"),
        (json!({"Name": "асme"}), "it holds"),
        (json!({"Database": "аcme"}), "it holds"),
        (json!({"Database": "ac\"me"}), "it holds"),
        (json!({"Username": "ac'me"}), "it holds"),
        (json!({"Username": "acme\u{0}"}), ""),
        (json!({"Name": "Acme"}), "it holds"),
        (json!({"Name": "a"}), "1 long"),
        (json!({"Name": "a".repeat(51)}), "51 long"),
        (json!({"Database": "d".repeat(64)}), "64 bytes"),
        (json!({"Username": "u".repeat(64)}), "64 bytes"),
        (json!({"Schema": "s".repeat(52)}), "52 bytes"),
        (json!({"Username": MASTER, "Database": "acme"}), "reserved"),
    ] {
        let properties = tenant(keys.clone());
        let reason = stage.refused(properties);
        assert!(reason.contains("Tenants[0]") && reason.contains(said), "{keys}: {reason}");
        stage.secrets.forget("none");
    }
    assert_eq!(stage.secrets.calls(), Vec::new());
}

#[test]
fn names_of_63_bytes_are_names() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let (database, user) = ("d".repeat(63), "u".repeat(63));
    let all = json!({"Tenants": [
        {"Name": "a".repeat(50), "Database": database, "Username": user},
        {"Name": "odd", "Database": "Odd-Name", "Username": "_Odd-User", "Roles": [{"Name": "Odd-r", "Access": "readonly"}]},
        {"Name": "odd2", "Schema": "s".repeat(51), "Username": "Odd-2", "Changelog": {"Inline": "CREATE TABLE t (id int)"}},
    ]});
    life.apply(&all);
    life.assert_done(&all);
    session(&server, &stage.secrets, &secret(&"a".repeat(50))).exec("CREATE TABLE t (id int)");
    session(&server, &stage.secrets, &secret("odd")).exec("CREATE TABLE t (id int)");
    session(&server, &stage.secrets, &tenancy::secret_of("odd", "Odd-r")).exec("SELECT FROM t");
    session(&server, &stage.secrets, &secret("odd2")).exec("SELECT FROM t");
}

#[test]
fn what_was_there_before_is_not_taken_over() {
    let server = Server::rds_like(15);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let admin = server.admin("postgres");
    for sql in [
        "CREATE ROLE there LOGIN PASSWORD 'theirs'",
        "CREATE DATABASE there",
        "CREATE ROLE mighty LOGIN CREATEDB",
        "CREATE ROLE lonely_user LOGIN",
    ] {
        admin.exec(sql);
    }
    stage.database.admin().exec("CREATE SCHEMA there");
    stage.secrets.put("theirs", json!({"username": "acme_user", "password": "theirs"}));
    stage.secrets.put(&secret("kept"), json!({"username": "kept_user", "password": "theirs"}));
    let target = stage.database.name.clone();
    let before = all_there_is(&server, &stage.secrets);
    let another = "exists, and this resource did not make it";
    for (keys, said) in [
        (json!({"Username": "there"}), format!("role `there` {another}")),
        (json!({"Database": "there"}), format!("database `there` {another}")),
        (json!({"Schema": "there"}), format!("schema `there` {another}")),
        (json!({"Name": "lonely"}), format!("role `lonely_user` {another}")),
        (json!({"Name": "kept"}), format!("secret `/execute-sql/db/kept` {another}")),
        (
            json!({"Roles": [{"Name": "there", "Access": "readonly"}]}),
            format!("role `there` {another}"),
        ),
        (json!({"Username": "mighty", "Adopt": true}), "role `mighty` is a superuser, has".into()),
        (json!({"Database": target}), format!("database `{target}` is the target")),
        (json!({"Secret": "nosuch"}), "secret `nosuch` does not exist".into()),
        (json!({"Locale": "nosuch"}), "nosuch".into()),
    ] {
        let reason = life.fail(&tenant(keys.clone()));
        assert!(reason.starts_with("1 of 1 tenants failed"), "{keys}: {reason}");
        assert!(reason.contains(&said), "{keys}: {reason}");
        if keys["Locale"].is_null() {
            assert_eq!(all_there_is(&server, &stage.secrets), before, "{keys}");
        }
    }
}

#[test]
fn adoption_takes_what_is_there_and_nobodys() {
    let server = Server::rds_like(15);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let admin = server.admin("postgres");
    admin.exec("CREATE ROLE acme_user LOGIN PASSWORD 'theirs'");
    admin.exec("CREATE DATABASE acme OWNER postgres");
    server
        .admin("acme")
        .exec("CREATE TABLE kept AS SELECT 7 AS id; ALTER TABLE kept OWNER TO acme_user");
    stage.secrets.put(&secret("acme"), json!({"username": "acme_user", "password": "older"}));
    life.bring(&tenant(json!({"Adopt": true})));
    let own = session(&server, &stage.secrets, &secret("acme"));
    assert_eq!(own.value("SELECT id FROM kept"), "7");
    assert_eq!(login(&stage.secrets, &secret("acme"))["password"], "older");
    assert_eq!(login(&stage.secrets, &secret("acme"))["dbname"], "acme");
    let origins = stage
        .database
        .admin()
        .value("SELECT string_agg(DISTINCT origin, ',') FROM execute_sql.tenant");
    assert_eq!(origins, "adopted");
    life.assert_done(&tenant(json!({})));
}

#[test]
fn a_tenant_of_another_resource_is_left_as_it_is_and_its_owner_is_named() {
    for (major, same_target) in [(15, true), (17, true), (15, false), (17, false)] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut life = Life::new(&stage);
        life.bring(&tenant(json!({})));
        let other = server.database();
        let another = || stage.secrets.put("other", server.secret_json(&other));
        let master = if same_target { stage.secret.clone() } else { another() };
        let mut stack = Stack::new(&stage.receiver, FUNCTION_ARN, "Second");
        let before = all_there_is(&server, &stage.secrets);
        for keys in [
            json!({}),
            json!({"Adopt": true}),
            json!({"SecretName": "mine"}),
            json!({"SecretName": "mine", "Database": "mine"}),
            json!({"SecretName": "mine", "Username": "mine", "Adopt": true}),
            json!({"Username": "mine", "Database": "mine"}),
        ] {
            let mut properties = tenant(keys.clone());
            properties["DBSecret"] = master.clone().into();
            let event = stack.create(properties);
            let reason = stage.fail(&event);
            assert!(reason.contains("belongs to"), "{keys}: {reason}");
            let first = life.stack.name().to_owned();
            assert!(
                reason.contains(stage::LOGICAL_ID) && reason.contains(&first),
                "{keys}: {reason}"
            );
            assert_eq!(all_there_is(&server, &stage.secrets), before, "{major} {keys}");
        }
        // A second request of the same stack is a resource of its own, too.
        life.assert_done(&tenant(json!({})));
    }
}

#[test]
fn a_secret_that_exists_is_honoured_and_never_written() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let arn = stage
        .secrets
        .put("given", json!({"username": "acme_user", "password": "given-1", "note": "x"}));
    let given = tenant(json!({"Secret": arn}));
    let before = stage.secrets.get("given");
    life.bring(&given);
    let own = |password: &str| Client::try_connect(&server.config("acme_user", password, "acme"));
    own("given-1").unwrap();
    assert_eq!(stage.secrets.get("given"), before);
    // Whatever is in it is the password.
    stage.secrets.put("given", json!({"username": "acme_user", "password": "given-2"}));
    let done = life.bring(&given);
    assert_eq!(done, "~ tenant acme: role acme_user gets the password of its secret");
    assert!(own("given-1").is_err() && own("given-2").is_ok());
    stage.secrets.put("given", json!({"password": "given-3"}));
    life.bring(&given);
    own("given-3").unwrap();
    // By its name, too.
    life.bring(&tenant(json!({"Secret": "given"})));
    for (text, said) in [
        (
            json!({"username": "other", "password": "x"}),
            "secret `given` is the login of `other`, not of `acme_user`",
        ),
        (json!({"username": "acme_user"}), "secret `given` has no `password`"),
        (json!("no map"), "secret `given`"),
    ] {
        stage.secrets.put("given", text);
        let reason = life.fail(&tenant(json!({"Secret": "given"})));
        assert!(reason.contains(said), "{reason}");
    }
    stage.secrets.put_binary("given", b"\x00\x01");
    let reason = life.fail(&tenant(json!({"Secret": "given"})));
    assert!(reason.contains("is binary"), "{reason}");
    stage.secrets.change("given", |it| it.deleted = Some(30));
    let reason = life.fail(&tenant(json!({"Secret": "given"})));
    assert!(reason.contains("secret `given` is scheduled for deletion"), "{reason}");
    stage.secrets.forget("given");
    let reason = life.fail(&tenant(json!({"Secret": "given"})));
    assert!(reason.contains("secret `given` does not exist"), "{reason}");
    own("given-3").unwrap();
    // From there on one is made for it.
    life.bring(&tenant(json!({})));
    session(&server, &stage.secrets, &secret("acme"));
}

#[test]
fn a_secret_of_another_tenant_is_not_shared() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let both = |more: Value| {
        let mut second = json!({"Name": "globex"});
        second.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        json!({"Tenants": [{"Name": "acme"}, second]})
    };
    life.bring(&tenant(json!({})));
    let reason = life.fail(&both(json!({"SecretName": "/execute-sql/db/acme"})));
    assert!(reason.contains("is also that of"), "{reason}");
    let mut stack = Stack::new(&stage.receiver, FUNCTION_ARN, "Second");
    let arn = stage.secrets.get(&secret("acme")).unwrap().arn;
    for keys in [json!({"Secret": arn}), json!({"SecretName": secret("acme")})] {
        let mut tenant = json!({"Name": "globex"});
        tenant.as_object_mut().unwrap().extend(keys.as_object().cloned().unwrap());
        let event = stack.create(json!({"DBSecret": stage.secret, "Tenants": [tenant]}));
        let reason = stage.fail(&event);
        assert!(
            reason.contains("login of `acme_user`") || reason.contains("belongs to"),
            "{reason}"
        );
    }
    let roles =
        server.admin("postgres").value("SELECT count(*) FROM pg_roles WHERE rolname ~ 'globex'");
    assert_eq!(roles, "0");
}

#[test]
fn a_resource_that_moves_to_another_target_database_takes_its_tenants_along() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut life = Life::new(&stage);
        life.bring(&tenant(json!({})));
        let before = login(&stage.secrets, &secret("acme"));
        session(&server, &stage.secrets, &secret("acme")).exec("CREATE TABLE t (id int)");
        let other = server.database();
        let moved = stage.secrets.put("moved", server.secret_json(&other));
        let mut properties = tenant(json!({}));
        properties["DBSecret"] = moved.into();
        let event = life.stack.update(properties.clone());
        let answer = stage.ask(&event);
        assert_eq!(answer["Status"], "SUCCESS", "{answer:#}");
        let cleanup = life.stack.settle(&answer).event();
        assert_eq!(login(&stage.secrets, &secret("acme")), before);
        let answer = stage.succeed(&mut life.stack, &cleanup);
        assert_eq!(answer["Status"], "SUCCESS");
        session(&server, &stage.secrets, &secret("acme")).exec("SELECT FROM t");
        let id = life.stack.physical_id().unwrap().to_owned();
        let tags = stage.secrets.get(&secret("acme")).unwrap().tags;
        assert_eq!(tags["execute-sql:physical-id"], id);
        properties["Nonce"] = 2.into();
        let event = life.stack.update(properties.clone());
        let answer = stage.succeed(&mut life.stack, &event);
        assert_eq!(stage::data(&answer, "Plan"), "", "{answer:#}");
    }
}

#[test]
fn a_master_secret_of_rds_has_only_the_login_and_is_enough() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let whole: Value = server.secret_json(&stage.database);
    stage
        .secrets
        .put("master", json!({"username": whole["username"], "password": whole["password"]}));
    let mut life = Life::new(&stage);
    let mut properties = tenant(
        json!({"Rotation": {"LambdaArn": "arn:aws:lambda:eu-west-1:123456789012:function:rotate"}}),
    );
    properties["Connection"] =
        json!({"Host": server.host(), "Port": server.port(), "Database": stage.database.name});
    life.bring(&properties);
    let found = login(&stage.secrets, &secret("acme"));
    assert_eq!(found["host"], server.host());
    assert_eq!(found["port"], server.port());
    assert_eq!(found["masterarn"], stage.secret.as_str());
    session(&server, &stage.secrets, &secret("acme")).exec("CREATE TABLE t (id int)");
}
