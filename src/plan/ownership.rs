//! What the end of a resource may remove, and why the rest stays.
//!
//! A drop needs all of these: the policy asks for it; the ledger says that this
//! resource made the object rather than found it; nobody else has it, nor a
//! later physical id of this resource; and its OID is still the one that was
//! written down, so it is not a namesake. Anything else is left alone and named.

use std::fmt;

use super::{Moment, Plan, Step, statements};
use crate::desired::{Desired, Policy};
use crate::ident::Identifier;
use crate::observed::{Kind, Ledger, Object, Origin};

/// The plan of a Delete.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Removal {
    /// What to do; its claims are empty.
    pub plan: Plan,
    /// What stays, and why.
    pub left: Vec<Left>,
    /// Which of the resource's objects the Delete is about.
    pub scope: Scope,
}

/// Which physical ids a Delete is about.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Scope {
    /// The resource as a whole: its id is the current one, or one that the ledger
    /// never saw (CloudFormation makes one up when a Create did not answer).
    #[default]
    Whole,
    /// The resource as a whole, as far as the properties name what it has: a call by hand.
    Named,
    /// An earlier id: the clean-up after a replacement.
    Earlier(String),
}

/// An object that a Delete leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Extension or schema.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// Why it stays.
    pub why: Why,
}

/// Why an object stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The policy is `Retain`.
    Retained,
    /// It was there before this resource.
    Adopted,
    /// Another resource has it too.
    Shared,
    /// A later physical id of this resource has it.
    StillHad,
    /// There is another object of the same name now.
    Replaced,
    /// A call by hand ends only what its own properties name.
    NotNamed,
    /// Other objects depend on it; PostgreSQL's own words.
    NeededBy(String),
}

/// What a Delete with the physical id `incoming` is about; a call by hand has none.
pub fn scope(ledger: &Ledger, incoming: Option<&str>) -> Scope {
    let Some(incoming) = incoming else { return Scope::Named };
    let current = ledger.current_physical_id.as_deref();
    let known = ledger.physical_ids.iter().any(|id| id == incoming);
    if known && current.is_some() && current != Some(incoming) {
        Scope::Earlier(incoming.to_owned())
    } else {
        Scope::Whole
    }
}

/// Plans the end of a resource, or of an earlier physical id of it.
pub fn removal(desired: &Desired, ledger: &Ledger, incoming: Option<&str>) -> Removal {
    let scope = scope(ledger, incoming);
    let mut removal = Removal { scope, ..Removal::default() };
    // Statements for the end belong to a resource that once was, and only to its own end.
    let is_end = !matches!(removal.scope, Scope::Earlier(_));
    if is_end && ledger.current_physical_id.is_some() {
        removal.plan.steps.extend(statements(desired, Moment::OnDelete));
    }
    // What was made last may depend on what was made before.
    for object in ledger.objects.iter().rev() {
        match fate(desired, object, &removal.scope) {
            Fate::Gone => {}
            Fate::Stays(why) => {
                let (kind, name) = (object.kind, object.name.clone());
                removal.left.push(Left { kind, name, why });
            }
            Fate::Dropped(step) => removal.plan.steps.push(step),
        }
    }
    removal
}

enum Fate {
    Gone,
    Stays(Why),
    Dropped(Step),
}

fn fate(desired: &Desired, object: &Object, scope: &Scope) -> Fate {
    let Some(oid) = object.oid_now else { return Fate::Gone };
    let Ok(name) = Identifier::new(&object.name) else { return Fate::Stays(Why::Replaced) };
    if matches!(scope, Scope::Earlier(id) if *id != object.physical_id) {
        Fate::Stays(Why::StillHad)
    } else if policy(desired, object) == Policy::Retain {
        Fate::Stays(Why::Retained)
    } else if *scope == Scope::Named && !is_named(desired, object) {
        Fate::Stays(Why::NotNamed)
    } else if object.origin == Origin::Adopted {
        Fate::Stays(Why::Adopted)
    } else if object.shared {
        Fate::Stays(Why::Shared)
    } else if oid != object.oid {
        Fate::Stays(Why::Replaced)
    } else {
        Fate::Dropped(match object.kind {
            Kind::Extension => Step::DropExtension { name, oid },
            Kind::Schema => Step::DropSchema { name, oid },
        })
    }
}

fn is_named(desired: &Desired, object: &Object) -> bool {
    desired.extensions.iter().any(|it| match object.kind {
        Kind::Extension => it.name.as_str() == object.name,
        Kind::Schema => it.schema.as_ref().is_some_and(|name| name.as_str() == object.name),
    })
}

fn policy(desired: &Desired, object: &Object) -> Policy {
    let own = desired
        .extensions
        .iter()
        .find(|it| object.kind == Kind::Extension && it.name.as_str() == object.name)
        .and_then(|it| it.on_delete);
    own.unwrap_or(desired.on_delete.policy)
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Extension => "extension",
            Kind::Schema => "schema",
        };
        write!(f, "{kind} {}: ", self.name)?;
        match &self.why {
            Why::Retained => f.write_str("its policy is Retain"),
            Why::Adopted => f.write_str("it was there before this resource"),
            Why::Shared => f.write_str("another resource has it too"),
            Why::StillHad => f.write_str("this resource still has it"),
            Why::NotNamed => f.write_str("the properties do not name it"),
            Why::Replaced => f.write_str("it is another one than the one this resource made"),
            Why::NeededBy(what) => write!(f, "it is still needed: {what}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn desired(properties: serde_json::Value) -> Desired {
        crate::request::properties::read(properties.as_object().unwrap()).unwrap()
    }

    fn object(name: &str, change: serde_json::Value) -> serde_json::Value {
        let mut object = json!({"kind": "extension", "name": name, "oid": 1, "origin": "created",
            "physical_id": "Db-2", "shared": false, "oid_now": 1});
        object.as_object_mut().unwrap().extend(change.as_object().cloned().unwrap());
        object
    }

    fn ledger(objects: &[serde_json::Value]) -> Ledger {
        serde_json::from_value(json!({"version": 1, "current_physical_id": "Db-2",
            "physical_ids": ["Db-1", "Db-2"], "objects": objects}))
        .unwrap()
    }

    fn shown(removal: &Removal) -> String {
        let left = removal.left.iter().map(|it| format!("left {it}"));
        let steps = removal.plan.steps.iter().map(ToString::to_string);
        steps.chain(left).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn only_what_the_resource_made_and_alone_has_is_dropped() {
        let ledger = ledger(&[
            object("a", json!({})),
            object("b", json!({"origin": "adopted"})),
            object("c", json!({"shared": true})),
            object("d", json!({"oid_now": 2})),
            object("e", json!({"oid_now": null})),
            object("s", json!({"kind": "schema"})),
            object("z", json!({})),
        ]);
        let desired =
            desired(json!({"DBSecret": "x", "OnDelete": {"Policy": "Drop", "Sql": "SELECT 1"},
            "Extensions": [{"Name": "z", "OnDelete": "Retain"}]}));
        insta::assert_snapshot!(shown(&removal(&desired, &ledger, Some("Db-2"))), @"
        ! OnDelete statement 1: SELECT 1
        - schema s
        - extension a
        left extension z: its policy is Retain
        left extension d: it is another one than the one this resource made
        left extension c: another resource has it too
        left extension b: it was there before this resource
        ");
    }

    #[test]
    fn the_clean_up_of_an_earlier_id_touches_nothing_that_the_current_one_has() {
        let ledger =
            ledger(&[object("old", json!({"physical_id": "Db-1"})), object("kept", json!({}))]);
        let desired =
            desired(json!({"DBSecret": "x", "OnDelete": {"Policy": "Drop", "Sql": "SELECT 1"}}));
        insta::assert_snapshot!(shown(&removal(&desired, &ledger, Some("Db-1"))), @"
        - extension old
        left extension kept: this resource still has it
        ");
    }

    #[test]
    fn an_id_that_nobody_knows_means_the_whole_resource() {
        let desired = desired(json!({"DBSecret": "x", "OnDelete": "Drop"}));
        let removal =
            removal(&desired, &ledger(&[object("a", json!({}))]), Some("app-Db-1XMADEUP"));
        insta::assert_snapshot!(shown(&removal), @"- extension a");
        assert_eq!(removal.scope, Scope::Whole);
    }

    #[test]
    fn statements_for_the_end_need_a_beginning() {
        let desired = desired(json!({"DBSecret": "x", "OnDelete": {"Sql": "SELECT 1"}}));
        let removal = removal(&desired, &Ledger::default(), Some("app-Db-1XMADEUP"));
        assert_eq!(removal.plan.steps, []);
    }
}
