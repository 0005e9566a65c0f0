//! What all tenants need of the cluster: that no database lets every role in.
//!
//! PostgreSQL grants CONNECT on each new database to PUBLIC, so a tenant could
//! look around in all of them. Closing one keeps the roles in that got in by
//! nothing else, but for the logins of tenants. What belongs to somebody else, or
//! was granted by somebody else, cannot be closed, and is told. The same goes for
//! schema `public` of the target database where tenants are schemas of it.

use crate::desired::tenant::{Place, Tenant};
use crate::ident::Identifier;
use crate::observed::tenant::{Cluster, Open};
use crate::plan::Step;

/// The databases to close, and notes on those that stay open. Those of `tenants` are closed with
/// the rest of their attributes.
pub fn cluster(cluster: &Cluster, tenants: &[Tenant]) -> (Vec<Step>, Vec<String>) {
    let mut steps = Vec::new();
    let mut notes = Vec::new();
    if tenants.is_empty() {
        return (steps, notes);
    }
    // A role that is taken over has no mark yet.
    let keep = |open: &Open| -> Vec<_> {
        let relying = open.relying.iter().filter(|it| !is_login(tenants, it));
        relying.filter_map(|it| Identifier::new(it).ok()).collect()
    };
    for open in cluster.open.iter().filter(|it| !tenants.iter().any(|own| has(own, &it.name))) {
        match Identifier::new(&open.name) {
            Ok(name) if may_close(open) => {
                steps.push(Step::CloseDatabase { name, keep: keep(open) });
            }
            _ => notes.push(note(open, "database", "lets every role in", "CONNECT")),
        }
    }
    // What is put there is in the search path of nearly everybody, the master included.
    let shares = tenants.iter().any(|it| matches!(it.place, Place::Schema(_)));
    if let Some(open) = cluster.public.as_ref().filter(|_| shares) {
        match Identifier::new(&open.name) {
            Ok(name) if may_close(open) => {
                steps.push(Step::CloseSchema { name, keep: keep(open) });
            }
            _ => notes.push(note(open, "schema", "lets every role create in it", "CREATE")),
        }
    }
    (steps, notes)
}

fn may_close(open: &Open) -> bool {
    open.ours && open.others.is_empty()
}

fn has(tenant: &Tenant, database: &str) -> bool {
    matches!(&tenant.place, Place::Database(name) if name.as_str() == database)
}

fn is_login(tenants: &[Tenant], role: &str) -> bool {
    let is = |login: &Identifier| login.as_str() == role || Tenant::clone_of(login) == role;
    tenants.iter().any(|it| it.logins().any(|(login, ..)| is(login)))
}

fn note(open: &Open, kind: &str, what: &str, privilege: &str) -> String {
    let quoted = open.name.replace('"', "\"\"");
    let on = format!("{} \"{quoted}\"", kind.to_uppercase());
    // A name can hold a line break, and a log is read by lines.
    let shown = |it: &str| it.replace(char::is_control, "?");
    let (name, owner) = (shown(&open.name), shown(&open.owner));
    let by = match open.others.as_slice() {
        [] => "its owner".to_owned(),
        others => format!("`{}`, who granted it", shown(&others.join("`, `"))),
    };
    format!(
        "{kind} `{name}` belongs to `{owner}` and {what}, tenants too; as {by}: \
         REVOKE {privilege} ON {on} FROM PUBLIC"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    use std::collections::BTreeMap;

    use crate::desired::tenant::{OnRemove, Owner, Secret};

    fn tenant() -> Tenant {
        let name = |it: &str| Identifier::new(it).unwrap();
        Tenant {
            name: "acme".into(),
            place: Place::Database(name("acme")),
            username: name("acme_user"),
            owner: Owner::Provider,
            secret: Secret::Made("acme".into()),
            connection_limit: 50,
            roles: Vec::new(),
            extensions: Vec::new(),
            changelog: None,
            rotation: None,
            iam_auth: false,
            on_remove: OnRemove::default(),
            adopt: true,
            tags: BTreeMap::new(),
            kms_key_id: None,
            settings: BTreeMap::new(),
            locale: None,
            template: name("template0"),
        }
    }

    fn plan(open: Open) -> (Vec<Step>, Vec<String>) {
        let cluster = Cluster { open: vec![open], ..Cluster::default() };
        super::cluster(&cluster, &[tenant()])
    }

    fn told(open: Open) -> String {
        let (steps, notes) = plan(open);
        assert!(steps.is_empty(), "{steps:?}");
        notes.concat()
    }

    #[test]
    fn logins_of_tenants_do_not_keep_what_they_had_by_public() {
        let relying = ["acme_user", "acme_user_clone", "ann"].map(str::to_owned).into();
        let open = Open { name: "sales".into(), ours: true, relying, ..Open::default() };
        let (steps, notes) = plan(open.clone());
        let keep = vec![Identifier::new("ann").unwrap()];
        let name = Identifier::new("sales").unwrap();
        assert_eq!(steps, [Step::CloseDatabase { name, keep }]);
        assert!(notes.is_empty(), "{notes:?}");
        let own = Open { name: "acme".into(), ..open.clone() };
        assert_eq!(plan(own), (Vec::new(), Vec::new()));
        let cluster = Cluster { open: vec![open], ..Cluster::default() };
        assert_eq!(super::cluster(&cluster, &[]), (Vec::new(), Vec::new()));
    }

    #[test]
    fn what_stays_open_is_told_with_a_statement_that_can_be_run() {
        let open = Open { name: "Sales \"EU\"".into(), owner: "ann".into(), ..Open::default() };
        insta::assert_snapshot!(told(open.clone()), @r#"database `Sales "EU"` belongs to `ann` and lets every role in, tenants too; as its owner: REVOKE CONNECT ON DATABASE "Sales ""EU""" FROM PUBLIC"#);
        let others = vec!["joe".into()];
        insta::assert_snapshot!(told(Open { ours: true, others, ..open }), @r#"database `Sales "EU"` belongs to `ann` and lets every role in, tenants too; as `joe`, who granted it: REVOKE CONNECT ON DATABASE "Sales ""EU""" FROM PUBLIC"#);
    }
}
