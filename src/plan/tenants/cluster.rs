//! What all tenants need of the cluster: that no database lets every role in.
//!
//! PostgreSQL grants CONNECT on each new database to PUBLIC, so a tenant could
//! look around in all of them. Closing one keeps the roles in that got in by
//! nothing else. What belongs to somebody else cannot be closed, and is told.

use crate::ident::Identifier;
use crate::observed::tenant::Cluster;
use crate::plan::Step;

/// The databases to close, and notes on those that stay open. `own` are databases of tenants
/// of this resource, which are closed with the rest of their attributes.
pub fn cluster(cluster: &Cluster, own: &[&str]) -> (Vec<Step>, Vec<String>) {
    let mut steps = Vec::new();
    let mut notes = Vec::new();
    for open in &cluster.open {
        if own.contains(&open.name.as_str()) {
            continue;
        }
        match Identifier::new(&open.name) {
            Ok(name) if open.ours => {
                let keep = open.relying.iter().filter_map(|it| Identifier::new(it).ok()).collect();
                steps.push(Step::CloseDatabase { name, keep });
            }
            _ => notes.push(format!(
                "database `{}` belongs to `{}` and lets every role in, tenants too; as its owner: \
                 REVOKE CONNECT ON DATABASE {} FROM PUBLIC",
                open.name, open.owner, open.name
            )),
        }
    }
    (steps, notes)
}
