//! What came of all tenants, as far as the answer has room for it.
//!
//! Tenants end in any order and are told in that of the list. All of their changes
//! are in the audit and in the log; here only the first are kept, so that memory
//! does not grow with their number.

use std::collections::BTreeMap;

use super::one::{self, Told};
use crate::desired::tenant::Tenant;
use crate::plan::Step;

/// So many changes of tenants are kept for the answer.
const KEPT: usize = 200;

/// So many secrets are kept; the answer has room for fewer.
const SECRETS: usize = 64;

/// What came of all tenants.
#[derive(Debug, Default)]
pub(in super::super) struct Done {
    /// What was done before the first tenant.
    first: Vec<Step>,
    /// Changes by tenant, with its place in the list.
    changes: BTreeMap<(usize, usize), Step>,
    more: usize,
    notes: BTreeMap<(usize, usize), String>,
    secrets: BTreeMap<usize, (String, String)>,
}

/// The same in the order of the list.
pub(in super::super) struct All {
    /// What was changed, as far as it is kept.
    pub(in super::super) steps: Vec<Step>,
    /// How many changes more there were.
    pub(in super::super) more: usize,
    /// What is to be said beyond that.
    pub(in super::super) notes: Vec<String>,
    /// The secrets of the first tenants, by name.
    pub(in super::super) secrets: Vec<(String, String)>,
}

impl Done {
    /// Something that was done before the first tenant.
    pub(super) fn step(&mut self, step: Step) {
        if self.first.len() < KEPT {
            self.first.push(step);
        } else {
            self.more += 1;
        }
    }

    /// Something to say before the first tenant.
    pub(super) fn note(&mut self, note: String) {
        self.notes.insert((0, self.notes.len()), note);
    }

    /// What came of the tenant at place `at` of the list.
    pub(super) fn take(&mut self, at: usize, tenant: &Tenant, told: Told) {
        for (n, (change, ms)) in told.changes.into_iter().enumerate() {
            tracing::info!(tenant = tenant.name, ms, "{change}");
            // What is too much is mostly known before it is made.
            let last = self.changes.last_key_value().map(|it| *it.0);
            if self.changes.len() >= KEPT && last.is_some_and(|it| it < (at, n)) {
                self.more += 1;
                continue;
            }
            self.changes.insert((at, n), one::step(&tenant.name, &change));
            if self.changes.len() > KEPT {
                self.changes.pop_last();
                self.more += 1;
            }
        }
        for note in told.notes {
            self.notes.insert((at + 1, self.notes.len()), note);
        }
        if at < SECRETS {
            self.secrets.insert(at, (tenant.name.clone(), told.secret_arn));
        }
    }

    /// All of it.
    pub(in super::super) fn all(self) -> All {
        All {
            steps: self.first.into_iter().chain(self.changes.into_values()).collect(),
            more: self.more,
            notes: self.notes.into_values().collect(),
            secrets: self.secrets.into_values().collect(),
        }
    }
}
