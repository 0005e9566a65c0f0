//! What was done, as an answer tells it.
//!
//! `Data` has the same keys on every Create and Update, in every mode, so that
//! `Fn::GetAtt` never breaks; each value has a bound of its own, so that all of
//! them always fit into CloudFormation's 4096 bytes.

use std::collections::BTreeMap;

use crate::observed::{Installed, Observed};
use crate::plan::Plan;

/// The end of a successful request.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome {
    /// What `Fn::GetAtt` reads; strings only, never a secret.
    pub data: BTreeMap<String, String>,
    /// One sentence for the console.
    pub reason: String,
    /// Whether anything was changed.
    pub changed: bool,
    /// What was, or would be, changed.
    pub plan: Plan,
    /// What came of trying the plan's changesets out.
    pub rehearsal: Vec<Rehearsed>,
}

/// What came of the rehearsal of one changeset.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Rehearsed {
    /// `author:id`.
    pub changeset: String,
    /// `file:line`.
    pub at: String,
    /// How it ended: `ran`, `skipped`, `failed` or `left out`.
    pub result: &'static str,
    /// Why, if it did not just run.
    pub message: Option<String>,
    /// How long it took.
    pub duration_ms: u128,
    /// How many rows its statements wrote or gave.
    pub rows: u64,
    /// Locks that keep others waiting, on what was there before: `AccessExclusiveLock on orders (8 kB)`.
    pub locks: Vec<String>,
    /// Tables that were written anew.
    pub rewritten: Vec<String>,
}

impl Outcome {
    /// Adds what came of the tenants.
    pub fn tell_tenants(&mut self, count: usize, secrets: &[(String, String)]) {
        self.data.extend(tenants(count, secrets));
        let steps: Vec<_> = self.plan.steps.iter().map(ToString::to_string).collect();
        self.data.insert("Plan".into(), listed(&steps, "; ", MAX_PLAN));
        self.data.insert("Changed".into(), self.changed.to_string());
    }

    /// From the request to the answer, in milliseconds.
    pub fn tell_duration(&mut self, ms: u128) {
        self.data.insert("DurationMs".into(), ms.to_string());
    }

    /// Corrects what is there after the fact.
    pub fn set_after(&mut self, after: &BTreeMap<String, Installed>) {
        let listed = listed(&versions(after), ",", MAX_EXTENSIONS);
        self.data.insert("ExtensionsAfter".into(), listed);
    }
}

/// Bounds in bytes as they stand in JSON; together with the keys about 1.9 kB.
const MAX_EXTENSIONS: usize = 400;
const MAX_PLAN: usize = 500;
const MAX_NAME: usize = 80;
const MAX_CHANGESET: usize = 200;
/// For all ARNs of tenants' secrets together, with their keys.
const MAX_SECRETS: usize = 850;

/// Everything that `Data` is made of.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The state before.
    pub before: &'a Observed,
    /// The extensions afterwards.
    pub after: &'a BTreeMap<String, Installed>,
    /// What was, or would be, changed.
    pub plan: &'a Plan,
    /// Whether it was.
    pub changed: bool,
    /// How many changesets this run applied.
    pub changesets: usize,
    /// `author:id` of the newest one in the history.
    pub last_changeset: Option<String>,
    /// How many tenants are asked for.
    pub tenants: usize,
    /// Their secrets by tenant, as far as they are known.
    pub secrets: &'a [(String, String)],
    /// From the request to the answer, in milliseconds.
    pub duration_ms: u128,
}

/// Leaves out ARNs of tenants' secrets until `data` takes at most `room` bytes as JSON.
pub fn without_secrets(data: &mut BTreeMap<String, String>, room: usize) {
    let size = |data: &BTreeMap<String, String>| {
        serde_json::to_string(data).expect("strings always serialize").len()
    };
    let is_arn = |key: &str| key.starts_with("Tenant.") && key.ends_with(".SecretArn");
    while size(data) > room {
        let Some(last) = data.keys().rev().find(|it| is_arn(it)).cloned() else { return };
        data.remove(&last);
        if let Some(omitted) = data.get_mut("TenantsOmitted") {
            let count = omitted.parse::<usize>().unwrap_or_default();
            *omitted = count.saturating_add(1).to_string();
        }
    }
}

/// The keys about tenants: a count, the ARNs that there is room for, and how many there is not.
fn tenants(count: usize, secrets: &[(String, String)]) -> BTreeMap<String, String> {
    let mut data = BTreeMap::new();
    let mut room = MAX_SECRETS;
    for (tenant, arn) in secrets {
        let key = format!("Tenant.{tenant}.SecretArn");
        // Quotes, colon and comma.
        let cost = escaped_len(&key) + escaped_len(arn) + 6;
        let Some(left) = room.checked_sub(cost) else { break };
        room = left;
        data.insert(key, arn.clone());
    }
    data.insert("TenantsOmitted".into(), (count.saturating_sub(data.len())).to_string());
    data.insert("Tenants".into(), count.to_string());
    data
}

/// The fixed keys of `Data`.
pub fn data(facts: &Facts<'_>) -> BTreeMap<String, String> {
    let steps: Vec<_> = facts.plan.steps.iter().map(ToString::to_string).collect();
    let pairs = [
        ("Database", fitted(&facts.before.server.database, MAX_NAME)),
        ("ServerVersion", fitted(&facts.before.server.version, MAX_NAME)),
        ("Changed", facts.changed.to_string()),
        ("ExtensionsBefore", listed(&versions(&facts.before.installed), ",", MAX_EXTENSIONS)),
        ("ExtensionsAfter", listed(&versions(facts.after), ",", MAX_EXTENSIONS)),
        ("ChangesetsApplied", facts.changesets.to_string()),
        (
            "LastChangeset",
            fitted(facts.last_changeset.as_deref().unwrap_or_default(), MAX_CHANGESET),
        ),
        ("SchemaFingerprint", String::new()),
        ("Plan", listed(&steps, "; ", MAX_PLAN)),
        ("DurationMs", facts.duration_ms.to_string()),
    ];
    let fixed = pairs.into_iter().map(|(key, value)| (key.to_owned(), value));
    fixed.chain(tenants(facts.tenants, facts.secrets)).collect()
}

/// `name=version` for each extension.
pub fn versions(extensions: &BTreeMap<String, Installed>) -> Vec<String> {
    extensions.iter().map(|(name, it)| format!("{name}={}", it.version)).collect()
}

/// The items with `separator` between them; where they do not fit, as many as do
/// and a count of the rest.
pub fn listed(items: &[String], separator: &str, room: usize) -> String {
    let whole = items.join(separator);
    if escaped_len(&whole) <= room {
        return whole;
    }
    for shown in (0..items.len()).rev() {
        let more = format!("(+{} more)", items.len() - shown);
        let mut parts = items[..shown].to_vec();
        parts.push(more);
        let text = parts.join(separator);
        if escaped_len(&text) <= room {
            return text;
        }
    }
    String::new()
}

/// The longest beginning of `text` that takes at most `room` bytes inside a JSON string.
pub fn fitted(text: &str, room: usize) -> String {
    if escaped_len(text) <= room {
        return text.to_owned();
    }
    let mark = if room < '…'.len_utf8() { "" } else { "…" };
    let mut left = room - mark.len();
    let fits = |c: &char| {
        let cost = escaped_len(c.encode_utf8(&mut [0; 4]));
        left.checked_sub(cost).map(|rest| left = rest).is_some()
    };
    text.chars().take_while(fits).collect::<String>() + mark
}

/// The bytes that `text` takes inside a JSON string, escapes included.
pub fn escaped_len(text: &str) -> usize {
    serde_json::to_string(text).expect("a string always serializes").len() - 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_shortened_with_a_count() {
        let items: Vec<_> = (1..=9).map(|n| format!("item{n}")).collect();
        assert_eq!(listed(&items[..2], ",", 100), "item1,item2");
        assert_eq!(listed(&items, ",", 30), "item1,item2,item3,(+6 more)");
        assert_eq!(listed(&["x".repeat(50)], ",", 20), "(+1 more)");
        assert_eq!(listed(&items, ",", 3), "");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(fitted("ééé", 6), "ééé");
        assert_eq!(fitted("éééé", 7), "éé…");
        assert_eq!(fitted("\"\"\"\"", 7), "\"\"…");
        assert_eq!(fitted("abc", 2), "ab");
    }
}
