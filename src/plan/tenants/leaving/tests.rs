//! Who leaves, and what becomes of each object, as plain values.

use std::collections::BTreeMap;

use super::*;
use crate::ident::Identifier;
use crate::observed::leaving::{Tagged, Ties};
use crate::observed::tenant::{Database, Found, Role};

const ARN: &str = "arn:aws:secretsmanager:eu-west-1:1:secret:/x/db/acme-AbCdEf";

fn row(kind: HeldKind, name: &str) -> Held {
    Held {
        stack_id: "stack".into(),
        logical_id: "Db".into(),
        physical_id: "Db-1".into(),
        tenant: "acme".into(),
        kind,
        name: name.into(),
        oid: (kind != HeldKind::Secret).then_some(7),
        mark: None,
        created: true,
        policy: "Drop".into(),
        force: false,
        released: false,
    }
}

fn rows() -> Vec<Held> {
    vec![
        row(HeldKind::Database, "acme"),
        row(HeldKind::Role, "acme_user"),
        row(HeldKind::Secret, ARN),
    ]
}

struct World {
    found: Found,
    ties: Ties,
    secrets: BTreeMap<String, Tagged>,
}

impl World {
    fn new() -> World {
        let database = Database { oid: 7, owner: "postgres".into(), ..Database::default() };
        let role = Role { oid: 7, login: true, ..Role::default() };
        World {
            found: Found {
                databases: [("acme".to_owned(), database)].into(),
                roles: [("acme_user".to_owned(), role)].into(),
                ..Found::default()
            },
            ties: Ties::default(),
            secrets: [(ARN.to_owned(), Tagged::As("stack".into(), "Db".into(), "Db-1".into()))]
                .into(),
        }
    }

    /// Changes and what is left, of a resource that has `Db-1` and knows `Db-2` too.
    fn shown(&self, held: Vec<Held>) -> String {
        let [leaver] = leavers(held, &[]).try_into().unwrap();
        let end = end(
            &leaver,
            &Scene {
                master: "postgres",
                resource: ("stack", "Db"),
                ids: &["Db-1".into()],
                known: &["Db-1".into(), "Db-2".into()],
                found: &self.found,
                ties: &self.ties,
                secrets: &self.secrets,
            },
        );
        let changes = end.changes.iter().map(ToString::to_string);
        let left = end.left.iter().map(|it| format!("left {it}"));
        let gone = end.gone.iter().map(|it| format!("gone {} {}", it.0.as_str(), it.1));
        changes.chain(left).chain(gone).collect::<Vec<_>>().join("\n")
    }
}

fn tenant(name: &str, policy: &str) -> Tenant {
    let properties = serde_json::json!({
        "DBSecret": "x", "Tenants": [{"Name": name, "OnRemove": policy}],
    });
    let desired = crate::request::properties::read(properties.as_object().unwrap()).unwrap();
    desired.tenants[0].clone()
}

#[test]
fn what_this_resource_made_goes_in_the_order_in_which_it_can() {
    insta::assert_snapshot!(World::new().shown(rows()), @"
    - database acme
    - role acme_user
    - secret arn:aws:secretsmanager:eu-west-1:1:secret:/x/db/acme-AbCdEf
    ");
}

#[test]
fn a_comment_of_a_later_physical_id_keeps_an_object() {
    let mut world = World::new();
    let comment = |id: &str| Some(format!("execute-sql tenant acme of Db in app ({id})"));
    world.found.roles.get_mut("acme_user").unwrap().comment = comment("Db-2");
    world.found.databases.get_mut("acme").unwrap().comment = comment("Other-1");
    insta::assert_snapshot!(world.shown(rows()), @"
    left database acme: its comment says that `Other-1` has it
    left role acme_user: this resource still has it
    left secret arn:aws:secretsmanager:eu-west-1:1:secret:/x/db/acme-AbCdEf: it is the login of role `acme_user`, which stays
    ");
}

#[test]
fn what_is_gone_is_forgotten_and_what_is_busy_keeps_all_of_the_tenant() {
    let mut world = World::new();
    world.ties.on.insert("acme".into(), 2);
    insta::assert_snapshot!(world.shown(rows()), @"left database acme: 2 sessions are on it");
    world.found.databases.clear();
    world.secrets.insert(ARN.into(), Tagged::Gone);
    insta::assert_snapshot!(world.shown(rows()), @"
    - role acme_user
    gone database acme
    gone secret arn:aws:secretsmanager:eu-west-1:1:secret:/x/db/acme-AbCdEf
    ");
}

#[test]
fn a_database_that_was_begun_is_known_by_its_mark() {
    let mut world = World::new();
    let database = world.found.databases.get_mut("acme").unwrap();
    database.limit = 99;
    let mut begun = row(HeldKind::Database, "acme");
    (begun.oid, begun.mark) = (None, Some(99));
    insta::assert_snapshot!(world.shown(vec![begun.clone()]), @"- database acme");
    world.found.databases.get_mut("acme").unwrap().allows_connections = true;
    insta::assert_snapshot!(
        world.shown(vec![begun]),
        @"left database acme: it is another one than the one this resource made"
    );
}

#[test]
fn a_disabled_tenant_is_no_change_any_more() {
    let mut world = World::new();
    let rows: Vec<_> =
        rows().into_iter().map(|it| Held { policy: "Disable".into(), ..it }).collect();
    insta::assert_snapshot!(world.shown(rows.clone()), @"~ role acme_user may not log in");
    world.found.roles.get_mut("acme_user").unwrap().login = false;
    assert_eq!(world.shown(rows), "");
}

#[test]
fn an_update_ends_what_its_list_lacks_but_not_what_another_tenant_names_or_an_earlier_id_has() {
    let mut other = row(HeldKind::Role, "hooli_user");
    (other.tenant, other.physical_id) = ("hooli".into(), "Db-0".into());
    let all: Vec<_> = rows().into_iter().chain([other]).collect();
    let mut wanted = tenant("anvils", "Retain");
    wanted.username = Identifier::new("acme_user").unwrap();
    wanted.secret = Secret::Made("/x/db/acme".into());
    let (leavers, passed) = of_update(all.clone(), &[wanted], Some("Db-0"));
    let [leaver] = leavers.try_into().unwrap();
    assert_eq!((leaver.tenant.as_str(), leaver.held.len()), ("acme", 1));
    assert_eq!(leaver.held[0].kind, HeldKind::Database);
    let names: Vec<_> = passed.iter().map(|it| (it.name.as_str(), it.to.as_str())).collect();
    assert_eq!(names, [("acme_user", "anvils"), (ARN, "anvils")]);
    assert_eq!(of_update(all.clone(), &[], None).0.len(), 2);
    assert_eq!(of_update(all, &[tenant("acme", "Drop"), tenant("hooli", "Drop")], None).0, []);
}

#[test]
fn the_more_careful_policy_counts_and_only_who_is_meant_leaves() {
    let policies = |held, tenants: &[Tenant], scope: &Scope| {
        let leavers = of_delete(held, tenants, scope);
        leavers.iter().map(|it| it.on_remove.policy).collect::<Vec<_>>()
    };
    let whole = Scope::Whole;
    assert_eq!(policies(rows(), &[], &whole), [Leaving::Drop]);
    assert_eq!(policies(rows(), &[tenant("acme", "Disable")], &whole), [Leaving::Disable]);
    let mut mixed = rows();
    mixed[1].policy = "Retain".into();
    assert_eq!(policies(mixed, &[tenant("acme", "Drop")], &whole), [Leaving::Retain]);
    assert_eq!(policies(rows(), &[tenant("other", "Drop")], &Scope::Named), []);
    assert_eq!(policies(rows(), &[tenant("acme", "Drop")], &Scope::Named), [Leaving::Drop]);
    assert_eq!(policies(rows(), &[], &Scope::Earlier("Db-0".into())), []);
}
