//! Tenants: databases, schemas, logins and secrets, through the real function.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;
mod tenancy;

#[path = "tenants/access.rs"]
mod access;
#[path = "tenants/changes.rs"]
mod changes;
#[path = "tenants/drift.rs"]
mod drift;
#[path = "tenants/insides.rs"]
mod insides;
#[path = "tenants/schemas.rs"]
mod schemas;
#[path = "tenants/telling.rs"]
mod telling;

use serde_json::json;
use stage::{Stage, data};
use support::Server;
use tenancy::{Life, login, session};

#[test]
fn a_tenant_gets_its_database_its_login_and_its_secret() {
    for major in [15, 16, 17, 18] {
        let server = Server::rds_like(major);
        let stage = Stage::on(&server);
        let tenants = json!({"Tenants": [
            {"Name": "acme"},
            {"Name": "globex", "Owner": "tenant", "ConnectionLimit": 7},
        ]});
        let mut life = Life::new(&stage);
        let answer = life.apply(&tenants);
        life.assert_done(&tenants);
        assert_eq!(data(&answer, "Tenants"), "2");
        assert_eq!(data(&answer, "TenantsOmitted"), "0");
        for (tenant, owner, limit) in [("acme", "postgres", 50), ("globex", "globex_user", 7)] {
            let secret = format!("/execute-sql/db/{tenant}");
            let arn = data(&answer, &format!("Tenant.{tenant}.SecretArn")).to_owned();
            assert_eq!(login(&stage.secrets, &arn), login(&stage.secrets, &secret));
            let found = login(&stage.secrets, &secret);
            assert_eq!(found["username"], format!("{tenant}_user"));
            assert_eq!(found["dbname"], tenant);
            assert_eq!(found["port"], server.port());
            let session = session(&server, &stage.secrets, &secret);
            session
                .exec("CREATE TABLE t (id int); CREATE SCHEMA more; CREATE TEMP TABLE x (y int)");
            let facts = session.value(
                "SELECT concat_ws(' ', pg_get_userbyid(datdba), datconnlimit, \
                 (SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user)) \
                 FROM pg_database WHERE datname = current_database()",
            );
            assert_eq!(facts, format!("{owner} {limit} {limit}"), "{major}");
        }
        let member = server.admin("postgres").value(
            "SELECT count(*) FROM pg_auth_members m WHERE pg_get_userbyid(m.member) = 'postgres' \
             AND pg_get_userbyid(m.roleid) ~ '_user$' AND coalesce((to_jsonb(m)->>'set_option')::bool, true)",
        );
        assert_eq!(member, "0", "the master left the tenants' roles");
    }
}
