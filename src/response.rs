//! The answer that CloudFormation waits for.
//!
//! A stack hangs until its own timeout when no answer arrives, and rejects one
//! over 4096 bytes. So [`Response::body`] cannot fail and always fits. `Data` is
//! bounded where it is made and never dropped; the cause gives up its tail; the
//! hint and the trace of the request stay.

use std::collections::BTreeMap;

use serde_json::json;

use crate::outcome::{escaped_len, fitted, without_secrets};
use crate::request::Ids;

/// CloudFormation's limit on the whole response body, in bytes, inclusive.
pub const MAX_BODY: usize = 4096;

/// CloudFormation's limit on a physical id, in bytes.
const MAX_PHYSICAL_ID: usize = 1024;

/// What the CDK's provider framework may be thrown, in JSON-escaped bytes: it adds
/// about 950 of its own and does not look at the sum.
pub const MAX_THROWN: usize = 1990;

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Success,
    /// Not done.
    Failed,
}

/// One answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// How it ended.
    pub status: Status,
    /// Whom it is for; `physical_resource_id` is the one to answer with.
    pub ids: Ids,
    /// What happened, then what to do, then where to look.
    pub reason: Reason,
    /// Read in templates with `Fn::GetAtt`; never a secret.
    pub data: BTreeMap<String, String>,
}

/// The parts of a reason, kept apart so that only the first is ever cut.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reason {
    /// One sentence with the object it is about.
    pub cause: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The request id and the log stream.
    pub trace: String,
}

impl Reason {
    /// The whole text in at most `room` JSON-escaped bytes.
    pub fn fitted(&self, room: usize) -> String {
        let stop = if self.cause.ends_with(['.', '?', '!']) { "" } else { "." };
        let hint = self.hint.as_ref().map(|it| format!("{stop} Hint: {it}")).unwrap_or_default();
        let trace = match self.trace.as_str() {
            "" => String::new(),
            trace => format!(" ({trace})"),
        };
        let tail = fitted(&(hint + &trace), room);
        fitted(&self.cause, room - escaped_len(&tail)) + &tail
    }
}

impl Response {
    /// The JSON to `PUT` to the request's `ResponseURL`.
    pub fn body(&self) -> String {
        // What CloudFormation sends is far shorter; these bounds keep the promise for anything else.
        let bounded = |id: &str, room| fitted(id, room);
        let physical_id = self.ids.physical_resource_id.as_deref().unwrap_or("none");
        let mut body = json!({
            "Status": match self.status {
                Status::Success => "SUCCESS",
                Status::Failed => "FAILED",
            },
            "Reason": "",
            "PhysicalResourceId": bounded(physical_id, MAX_PHYSICAL_ID),
            "StackId": bounded(&self.ids.stack_id, 300),
            "RequestId": bounded(&self.ids.request_id, 100),
            "LogicalResourceId": bounded(&self.ids.logical_resource_id, 260),
            "NoEcho": false,
            "Data": self.data,
        });
        // With an id as long as CloudFormation allows there is room for fewer ARNs.
        let others = body.to_string().len() - json!(self.data).to_string().len();
        let mut data = self.data.clone();
        without_secrets(&mut data, MAX_BODY.saturating_sub(others));
        body["Data"] = json!(data);
        let room = MAX_BODY.saturating_sub(body.to_string().len());
        body["Reason"] = self.reason.fitted(room).into();
        body.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observed::Observed;
    use crate::outcome::{Facts, data};
    use crate::plan::{Moment, Plan, Step};
    use proptest::prelude::*;

    fn ids() -> Ids {
        Ids {
            stack_id: "arn:aws:cloudformation:eu-west-1:123456789012:stack/app/1f".into(),
            request_id: "c0ffee".into(),
            logical_resource_id: "AppSchema".into(),
            physical_resource_id: Some("AppSchema-0a1b2c3d".into()),
        }
    }

    fn failed(cause: &str) -> Response {
        let reason = Reason {
            cause: cause.into(),
            hint: Some("Try again.".into()),
            trace: "request c0ffee".into(),
        };
        Response { status: Status::Failed, ids: ids(), reason, data: BTreeMap::new() }
    }

    #[test]
    fn an_answer_reads_like_this() {
        insta::assert_snapshot!(failed("extension `x` is not available").body(), @r#"{"Data":{},"LogicalResourceId":"AppSchema","NoEcho":false,"PhysicalResourceId":"AppSchema-0a1b2c3d","Reason":"extension `x` is not available. Hint: Try again. (request c0ffee)","RequestId":"c0ffee","StackId":"arn:aws:cloudformation:eu-west-1:123456789012:stack/app/1f","Status":"FAILED"}"#);
    }

    #[test]
    fn a_cause_of_any_length_fits_and_keeps_its_hint() {
        for unit in ["x", "\"", "é", "\u{1}", "🐘"] {
            let body = failed(&unit.repeat(20_000)).body();
            let spare = MAX_BODY - body.len();
            assert!(spare < 8, "{unit:?} left {spare} bytes unused");
            let json: serde_json::Value = serde_json::from_str(&body).unwrap();
            let reason = json["Reason"].as_str().unwrap();
            assert!(reason.ends_with("…. Hint: Try again. (request c0ffee)"), "{reason}");
        }
    }

    #[test]
    fn an_answer_is_what_the_lambda_crates_call_one() {
        use aws_lambda_events::event::cloudformation::CloudFormationCustomResourceResponse as Theirs;
        let theirs: Theirs = serde_json::from_str(&failed("x").body()).unwrap();
        assert_eq!(theirs.physical_resource_id, "AppSchema-0a1b2c3d");
    }

    proptest! {
        #[test]
        fn any_answer_is_valid_json_of_at_most_4096_bytes(
            cause in ".{0,6000}",
            hint in proptest::option::of(".{0,3000}"),
            id in ".{0,5000}",
            stack in ".{0,600}",
            names in prop::collection::btree_map("\\PC{1,63}", "\\PC{1,40}", 0..60),
            sql in prop::collection::vec(".{0,200}", 0..20),
            database in ".{0,63}",
            secrets in prop::collection::vec(("[a-z]{1,50}", "[!-~]{0,600}"), 0..20),
            success in any::<bool>(),
        ) {
            let mut before = Observed::default();
            before.server.database = database;
            before.server.version = hint.clone().unwrap_or_default();
            before.installed = names.into_iter().map(|(name, version)| {
                (name, crate::observed::Installed { version, schema: String::new(), oid: 1, relocatable: false })
            }).collect();
            let steps = sql.into_iter().map(|sql| Step::RunSql { moment: Moment::OnCreate, number: 1, sql });
            let plan = Plan { steps: steps.collect(), claims: Vec::new(), notes: Vec::new() };
            let data = data(&Facts { before: &before, after: &before.installed, plan: &plan,
                changed: success, changesets: usize::MAX, last_changeset: hint.clone(),
                tenants: usize::MAX, secrets: &secrets, duration_ms: u128::MAX });
            let secret = |key: &str| key.starts_with("Tenant.");
            let keys = data.keys().filter(|it| !secret(it)).count();
            let response = Response {
                status: if success { Status::Success } else { Status::Failed },
                ids: Ids { physical_resource_id: Some(id), stack_id: stack, ..ids() },
                reason: Reason { cause, hint, trace: "request x".into() },
                data,
            };
            let body = response.body();
            prop_assert!(body.len() <= MAX_BODY, "{}", body.len());
            let json: serde_json::Value = serde_json::from_str(&body).unwrap();
            let shown = json["Data"].as_object().unwrap();
            prop_assert_eq!(shown.keys().filter(|it| !secret(it)).count(), keys);
        }
    }
}
