//! Every property of a tenant can be changed, and changed back.

use serde_json::{Value, json};

use crate::stage::Stage;
use crate::support::{Server, Settings};
use crate::tenancy::{Life, login, secret, secret_of, session};

fn tenant(more: Value) -> Value {
    let mut tenant = json!({"Name": "acme"});
    tenant.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
    json!({"Tenants": [tenant]})
}

#[test]
fn limits_settings_and_the_owner_follow_the_template() {
    for major in [15, 17] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let mut life = Life::new(&stage);
        life.bring(&tenant(json!({})));
        let own = session(&server, &stage.secrets, &secret("acme"));
        own.exec("CREATE TABLE t (id int); INSERT INTO t VALUES (7)");
        drop(own);
        let done = life.bring(&tenant(json!({"ConnectionLimit": 20})));
        assert_eq!(
            done,
            "~ tenant acme: role acme_user connection limit 50 -> 20; \
             ~ tenant acme: database acme connection limit 50 -> 20"
        );
        let settings = json!({"statement_timeout": "7s", "search_path": "more, public"});
        life.bring(&tenant(json!({"ConnectionLimit": 20, "Settings": settings})));
        let own = session(&server, &stage.secrets, &secret("acme"));
        assert_eq!(own.value("SHOW search_path"), "more, public");
        assert_eq!(own.value("SHOW statement_timeout"), "7s");
        drop(own);
        for (owner, says) in [
            ("tenant", "~ tenant acme: database acme owner postgres -> acme_user"),
            ("provider", "~ tenant acme: database acme owner acme_user -> postgres"),
            ("tenant", "~ tenant acme: database acme owner postgres -> acme_user"),
        ] {
            let done = life.bring(&tenant(json!({"Owner": owner, "ConnectionLimit": 20})));
            assert_eq!(done, says, "{major}");
            let own = session(&server, &stage.secrets, &secret("acme"));
            assert_eq!(own.value("SELECT id FROM t"), "7");
            own.exec("CREATE SCHEMA s; DROP SCHEMA s; CREATE TEMP TABLE x (y int)");
        }
    }
}

#[test]
fn a_database_that_was_its_owners_public_and_all_is_the_providers_again() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    life.bring(&tenant(json!({"Owner": "tenant"})));
    let done = life.bring(&tenant(json!({"Owner": "provider"})));
    assert!(done.contains("schema public owner pg_database_owner -> acme_user"), "{done}");
}

#[test]
fn tags_and_rotation_follow_the_template() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let reader = json!([{"Name": "acme_reader", "Access": "readonly"}]);
    life.bring(&tenant(json!({"Roles": reader})));
    let done = life.bring(&tenant(json!({"Roles": reader, "Tags": {"team": "blue"}})));
    assert_eq!(
        done,
        "~ tenant acme: secret /execute-sql/db/acme: tags; \
         ~ tenant acme: secret /execute-sql/db/acme/acme_reader: tags"
    );
    let tags = |secret: &str| stage.secrets.get(secret).unwrap().tags;
    assert_eq!(tags(&secret("acme"))["team"], "blue");
    let function = "arn:aws:lambda:eu-west-1:123456789012:function:rotate";
    let rotation = json!({"LambdaArn": function});
    life.bring(&tenant(json!({"Roles": reader, "Rotation": rotation})));
    let calls = stage.secrets.calls_of("RotateSecret");
    assert_eq!(calls.len(), 2);
    for call in &calls {
        assert_eq!(call["RotateImmediately"], false);
        assert_eq!(call["RotationLambdaARN"], function);
        assert_eq!(call["RotationRules"]["AutomaticallyAfterDays"], 30);
    }
    for name in [secret("acme"), secret_of("acme", "acme_reader")] {
        assert_eq!(tags(&name)["execute-sql:rotation"], "single");
        assert_eq!(login(&stage.secrets, &name)["masterarn"], stage.secret.as_str());
    }
    let rotation = json!({"LambdaArn": function, "Days": 7, "Strategy": "alternating"});
    let done = life.bring(&tenant(json!({"Roles": reader, "Rotation": rotation})));
    assert!(done.contains("rotates every 7 days (alternating)"), "{done}");
    assert!(done.contains("database acme connection limit 50 -> 100"), "{done}");
    assert_eq!(tags(&secret("acme"))["execute-sql:rotation"], "alternating");
}

#[test]
fn a_login_that_no_longer_takes_turns_is_the_first_one_again() {
    let server = Server::rds_like(17);
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    let function = "arn:aws:lambda:eu-west-1:123456789012:function:rotate";
    let rotation = |strategy| json!({"Rotation": {"LambdaArn": function, "Strategy": strategy}});
    life.bring(&tenant(rotation("alternating")));
    // As a rotation leaves it.
    server.admin("postgres").exec(
        "CREATE ROLE acme_user_clone LOGIN PASSWORD 'turn' CONNECTION LIMIT 50; \
         GRANT acme_user TO acme_user_clone; ALTER ROLE acme_user_clone SET role = acme_user",
    );
    let mut turn = login(&stage.secrets, &secret("acme"));
    turn["username"] = "acme_user_clone".into();
    turn["password"] = "turn".into();
    stage.secrets.put(&secret("acme"), turn);
    assert_eq!(life.bring(&tenant(rotation("alternating"))), "");
    let own = session(&server, &stage.secrets, &secret("acme"));
    assert_eq!(own.value("SELECT current_user"), "acme_user");
    drop(own);
    let done = life.bring(&tenant(rotation("single")));
    assert!(done.contains("secret /execute-sql/db/acme: username, password"), "{done}");
    let own = session(&server, &stage.secrets, &secret("acme"));
    assert_eq!(own.value("SELECT session_user"), "acme_user");
}

#[test]
fn a_login_turns_to_iam_tokens_and_back() {
    // What RDS does with members of `rds_iam`, as far as a login goes.
    let server = Server::private(&Settings::default().hba("hostssl all +rds_iam all trust"));
    let stage = Stage::on(&server);
    let mut life = Life::new(&stage);
    life.bring(&tenant(json!({})));
    let done = life.bring(&tenant(json!({"IamAuth": true})));
    assert_eq!(
        done,
        "~ tenant acme: secret /execute-sql/db/acme: password; \
         ~ tenant acme: role acme_user logs in with IAM tokens"
    );
    assert_eq!(login(&stage.secrets, &secret("acme"))["password"], "");
    let done = life.bring(&tenant(json!({})));
    assert_eq!(
        done,
        "~ tenant acme: secret /execute-sql/db/acme: password; \
         ~ tenant acme: role acme_user logs in with a password; \
         ~ tenant acme: role acme_user gets the password of its secret"
    );
    session(&server, &stage.secrets, &secret("acme"));
}
