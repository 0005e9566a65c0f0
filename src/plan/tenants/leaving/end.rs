//! What becomes of each object of a tenant that leaves.
//!
//! Each is looked at by itself. It goes only if the policy asks for it, this resource
//! made it, and it is still that object: the OID is the ledger's, and no comment
//! says that somebody else has it by now. What stays is told with its reason. A
//! tenant whose database or schema has to stay for the moment stays as a whole, so
//! that a later run finds all of it.

use std::collections::BTreeMap;

use super::{Leaver, Left, Why, keeps_logins};
use crate::desired::tenant::{Leaving, Tenant};
use crate::ident::Identifier;
use crate::observed::leaving::{Tagged, Ties};
use crate::observed::tenant::{Found, Held, HeldKind, Role};
use crate::plan::tenants::Change;
use crate::plan::tenants::standing::marked_by;

/// What is seen of a tenant that leaves.
#[derive(Debug, Clone, Copy)]
pub struct Scene<'a> {
    /// The login of the resource.
    pub master: &'a str,
    /// Stack and logical id of the resource.
    pub resource: (&'a str, &'a str),
    /// The physical ids under which it may have made what goes now.
    pub ids: &'a [String],
    /// All physical ids that it has or had.
    pub known: &'a [String],
    /// The objects.
    pub found: &'a Found,
    /// What stands in the way.
    pub ties: &'a Ties,
    /// The secrets, by ARN.
    pub secrets: &'a BTreeMap<String, Tagged>,
}

/// The end of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct End {
    /// What is done, in this order.
    pub changes: Vec<Change>,
    /// What stays.
    pub left: Vec<Left>,
    /// What is gone already, and still in the ledger.
    pub gone: Vec<(HeldKind, String)>,
}

/// Plans the end of one tenant.
pub fn end(leaver: &Leaver, scene: &Scene<'_>) -> End {
    match leaver.on_remove.policy {
        Leaving::Retain => End { changes: vec![Change::Release], ..End::default() },
        Leaving::Disable => disabled(leaver, scene),
        Leaving::Drop => dropped(leaver, scene),
    }
}

fn disabled(leaver: &Leaver, scene: &Scene<'_>) -> End {
    let mut end = End::default();
    for row in leaver.held.iter().filter(|it| it.kind == HeldKind::Role) {
        let name = match fate(row, scene, false) {
            Fate::Gone => continue,
            Fate::Stays(why) => {
                end.left.push(left(row, why));
                continue;
            }
            Fate::Ours(name, _) => name,
        };
        let clone = clone_of(&name, scene.found);
        for name in std::iter::once(name).chain(clone) {
            let login = scene.found.roles.get(name.as_str()).is_some_and(|it| it.login);
            if login || scene.ties.of.get(name.as_str()).is_some_and(|it| *it > 0) {
                end.changes.push(Change::Disable { name });
            }
        }
    }
    end
}

fn dropped(leaver: &Leaver, scene: &Scene<'_>) -> End {
    let mut end = End::default();
    let mut fates = Vec::new();
    for row in leaver.held.iter().filter(|it| it.kind != HeldKind::Secret) {
        match fate(row, scene, true) {
            Fate::Gone => end.gone.push((row.kind, row.name.clone())),
            Fate::Stays(why) => end.left.push(left(row, why)),
            Fate::Ours(name, oid) => fates.push((row, name, oid)),
        }
    }
    if let Some(waits) = waits(leaver, &fates, scene) {
        end.left.push(waits);
        return end;
    }
    for (row, name, oid) in fates {
        let (name, oid) = (name.clone(), oid);
        let force = leaver.on_remove.force;
        end.changes.push(match row.kind {
            HeldKind::Database => Change::DropDatabase { name, oid, force },
            HeldKind::Schema => Change::DropSchema { name, oid },
            HeldKind::Role | HeldKind::Secret => Change::DropRole { name, oid },
        });
    }
    let rank = |it: &Change| match it {
        Change::DropDatabase { .. } | Change::DropSchema { .. } => 0,
        _ => 1,
    };
    end.changes.sort_by_key(rank);
    secrets(leaver, scene, &mut end);
    end
}

/// What makes the tenant stay as a whole for now.
fn waits(leaver: &Leaver, fates: &[(&Held, Identifier, u32)], scene: &Scene<'_>) -> Option<Left> {
    let is_place = |it: &Held| matches!(it.kind, HeldKind::Database | HeldKind::Schema);
    let own = own_roles(leaver, scene.found);
    for (row, name, _) in fates.iter().filter(|it| is_place(it.0)) {
        let (owner, has) = match row.kind {
            HeldKind::Database => {
                (scene.found.databases.get(name.as_str()).map(|it| &it.owner), None)
            }
            _ => (
                scene.found.schemas.get(name.as_str()).map(|it| &it.owner),
                scene.ties.owners.get(name.as_str()),
            ),
        };
        let is_own = |it: &&String| *it == scene.master || own.contains(*it);
        if let Some(owner) = owner.filter(|it| !is_own(it)) {
            return Some(left(row, Why::OwnedBy(owner.clone())));
        }
        if let Some(stranger) = has.into_iter().flatten().find(|it| !own.contains(*it)) {
            return Some(left(row, Why::HasObjectsOf(stranger.clone())));
        }
        if let Some(on) = scene.ties.on.get(name.as_str()).filter(|it| **it > 0) {
            if row.kind == HeldKind::Database && !leaver.on_remove.force {
                return Some(left(row, Why::Sessions(*on)));
            }
        }
    }
    if leaver.on_remove.force {
        return None;
    }
    let is_role = |it: &&Held| it.kind == HeldKind::Role;
    let busy = leaver.held.iter().filter(is_role).find_map(|row| {
        let name = Identifier::new(&row.name).ok()?;
        let both = std::iter::once(name.clone()).chain(clone_of(&name, scene.found));
        let count: u32 = both.filter_map(|it| scene.ties.of.get(it.as_str())).sum();
        (count > 0).then(|| left(row, Why::Sessions(count)))
    });
    // Sessions of a role that stays are none of a database's that stays.
    let goes = |it: &Left| fates.iter().any(|(row, ..)| is_place(row) || row.name == it.name);
    busy.filter(goes)
}

fn secrets(leaver: &Leaver, scene: &Scene<'_>, end: &mut End) {
    let stays = keeps_logins(&end.left);
    for row in leaver.held.iter().filter(|it| it.kind == HeldKind::Secret) {
        let arn = row.name.clone();
        let why = match scene.secrets.get(&arn) {
            None | Some(Tagged::Gone) => {
                end.gone.push((row.kind, arn));
                continue;
            }
            Some(_) if !row.created => Why::Adopted,
            Some(Tagged::As(stack, logical, id)) => {
                let ours = *stack == cut(scene.resource.0) && *logical == cut(scene.resource.1);
                let known = is_of(row, id, scene);
                if !ours || (!known && !scene.known.contains(id)) {
                    Why::TaggedByAnother
                } else if !known {
                    Why::StillHad
                } else if let Some(why) = &stays {
                    why.clone()
                } else {
                    end.changes.push(Change::DeleteSecret { arn });
                    continue;
                }
            }
        };
        end.left.push(left(row, why));
    }
}

/// A tag's value has at most 256 characters.
pub fn cut(value: &str) -> String {
    value.chars().take(256).collect()
}

fn left(row: &Held, why: Why) -> Left {
    Left { kind: row.kind, name: row.name.clone(), why }
}

/// Whether a physical id in a comment or tag is one that ends now.
fn is_of(row: &Held, id: &str, scene: &Scene<'_>) -> bool {
    row.physical_id == id || scene.ids.iter().any(|it| it == id)
}

enum Fate {
    Gone,
    Stays(Why),
    Ours(Identifier, u32),
}

/// What the ledger and the catalog say of a database, schema or role; of a secret nothing.
fn fate(row: &Held, scene: &Scene<'_>, is_drop: bool) -> Fate {
    let found = scene.found;
    let mut begun = false;
    let there = match row.kind {
        HeldKind::Database => found.databases.get(&row.name).map(|it| {
            // It was begun, and nobody was ever let in.
            begun = row.oid.is_none() && row.mark == Some(it.limit) && !it.allows_connections;
            (it.oid, it.comment.as_deref())
        }),
        HeldKind::Schema => found.schemas.get(&row.name).map(|it| (it.oid, it.comment.as_deref())),
        HeldKind::Role => found.roles.get(&row.name).map(|it| (it.oid, it.comment.as_deref())),
        HeldKind::Secret => None,
    };
    let (Some((oid, comment)), Ok(name)) = (there, Identifier::new(&row.name)) else {
        return Fate::Gone;
    };
    if is_drop && !row.created {
        return Fate::Stays(Why::Adopted);
    }
    if row.oid != Some(oid) && !begun {
        return Fate::Stays(Why::Replaced);
    }
    match marked_by(comment) {
        Some(id) if !is_of(row, id, scene) => {
            let is_later = scene.known.iter().any(|it| it == id);
            Fate::Stays(if is_later { Why::StillHad } else { Why::MarkedBy(id.to_owned()) })
        }
        _ => Fate::Ours(name, oid),
    }
}

/// The tenant's roles that are still those of the ledger, with their second ones.
pub fn own_roles(leaver: &Leaver, found: &Found) -> Vec<String> {
    let is_same = |it: &&Held| {
        it.kind == HeldKind::Role
            && found.roles.get(&it.name).is_some_and(|role| Some(role.oid) == it.oid)
    };
    let names = leaver.held.iter().filter(is_same).filter_map(|it| Identifier::new(&it.name).ok());
    let both = names.flat_map(|it| {
        let clone = clone_of(&it, found);
        std::iter::once(it).chain(clone)
    });
    both.map(|it| it.to_string()).collect()
}

/// The second role of a login whose logins take turns, if there is one and it is the rotation's: it
/// is a member of the first one, and acts as that or says in its comment that it is its second login.
pub fn clone_of(name: &Identifier, found: &Found) -> Option<Identifier> {
    let clone = Tenant::clone_of(name);
    let Role { member_of, settings, comment, .. } = found.roles.get(&clone)?;
    let is_member = member_of.iter().any(|it| it == name.as_str());
    let acts = settings.get("/role").map(String::as_str) == Some(name.as_str());
    let comment = comment.as_deref();
    let says = comment == Some(&format!("the second login of role \"{name}\", for rotation"));
    (is_member && (acts || says || marked_by(comment).is_some()))
        .then(|| Identifier::new(&clone).ok())
        .flatten()
}
