//! What the server could install, and the extensions of a database by themselves.
//!
//! The first reads the files of every extension of the server, which takes tens of
//! milliseconds; it is asked only where a plan depends on it.

use super::{InspectError, Question, ask};
use crate::desired::Extension;
use crate::ident::Identifier;
use crate::ledger;
use crate::observed::{Observed, Offered};
use crate::plan;
use crate::postgres::Session;
use crate::sql::text_array;

/// The extensions of a database whose ledger is not ours to read, and what the server offers if
/// the plan depends on it; `offered` is what is known of that for a database without them.
pub async fn alone(
    session: &Session,
    extensions: &[Extension],
    offered: Option<&Offered>,
) -> Result<Observed, InspectError> {
    let ledger = ledger::default_schema();
    let question = self::question(&ledger, extensions);
    let mut observed = ask(session, &question, false, false).await?.observed;
    if plan::needs_offer(extensions, &observed) {
        let is_new = extensions.iter().all(|it| !observed.installed.contains_key(it.name.as_str()));
        match offered.filter(|_| is_new) {
            Some(offered) => observed.offered = Some(offered.clone()),
            None => observed = ask(session, &question, false, true).await?.observed,
        }
    }
    Ok(observed)
}

/// What the server offers of some extensions.
pub async fn offered(session: &Session, extensions: &[Extension]) -> Result<Offered, InspectError> {
    let ledger = ledger::default_schema();
    let observed = ask(session, &question(&ledger, extensions), false, true).await?.observed;
    observed.offered.ok_or_else(|| InspectError::Answer("nothing is offered".into()))
}

/// A question about extensions alone.
fn question<'q>(ledger: &'q Identifier, extensions: &'q [Extension]) -> Question<'q> {
    Question {
        ledger,
        extensions,
        stack_id: "",
        logical_id: "",
        request_id: "",
        properties_sha256: "",
        first: "SELECT 1",
        removing: false,
        returning: false,
        changelog: None,
    }
}

/// What the server could install: the wanted extensions with all that they
/// require, and for installed ones the versions that they can go to.
pub(super) fn offer(question: &Question<'_>) -> String {
    let wanted = question.extensions.iter().map(|it| it.name.as_str());
    let wanted = text_array(wanted.chain(plan::POSTGIS_PARTS));
    format!(
        "WITH RECURSIVE version AS (
            SELECT name::text, version, requires, schema::text FROM pg_available_extension_versions
        ), asked(name) AS (
            SELECT unnest({wanted}) COLLATE \"C\"
            UNION
            SELECT required::text COLLATE \"C\" FROM asked JOIN version USING (name), unnest(requires) required
        ), path AS (
            SELECT extname::text AS name, json_agg(json_build_array(source, target)) AS updates
            FROM pg_extension CROSS JOIN LATERAL pg_extension_update_paths(extname)
            WHERE extname IN (SELECT name FROM asked) AND source = extversion AND path IS NOT NULL
            GROUP BY extname
        ), offered AS (
            SELECT asked.name, json_build_object(
                'default_version', available.default_version,
                'versions', (SELECT json_agg(json_build_object('version', version.version,
                    'requires', requires, 'schema', schema))
                    FROM version WHERE version.name = asked.name),
                'updates', (SELECT updates FROM path WHERE path.name = asked.name)) AS it
            FROM asked JOIN pg_available_extensions available ON available.name = asked.name
        )
        SELECT 'offered', json_build_object(
            'names', (SELECT json_agg(name ORDER BY name) FROM pg_available_extensions),
            'extensions', (SELECT json_object_agg(name, it) FROM offered),
            'allowed', current_setting('rds.allowed_extensions', true),
            'supported', current_setting('rds.extensions', true))"
    )
}
