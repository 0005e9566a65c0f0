//! Asks preconditions.

use super::Within;
use crate::changelog::precondition::{Condition, Otherwise, Preconditions};
use crate::history::Table;
use crate::postgres::{Session, SqlError};
use crate::sql::literal;

/// A precondition that does not hold, and what its author wants then.
pub(super) struct Unmet {
    pub(super) shown: String,
    pub(super) otherwise: Otherwise,
    pub(super) message: Option<String>,
}

impl Unmet {
    pub(super) fn text(&self) -> String {
        let message = self.message.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
        format!("its precondition `{}` does not hold{message}", self.shown)
    }
}

/// The first of `preconditions` that does not hold; `None` if all do.
///
/// A question that the server refuses counts by `onError`.
pub(super) async fn unmet(
    session: &Session,
    table: &Table,
    preconditions: &Preconditions,
    within: Within,
) -> Result<Option<Unmet>, SqlError> {
    let asker = Asker { session, table, within };
    for condition in &preconditions.all {
        match Box::pin(asker.holds(condition)).await {
            Ok(true) => {}
            Ok(false) => {
                return Ok(Some(Unmet {
                    shown: shown(condition),
                    otherwise: preconditions.on_fail,
                    message: preconditions.on_fail_message.clone(),
                }));
            }
            Err(error) if error.is_lost() || preconditions.on_error == Otherwise::Halt => {
                return Err(error);
            }
            Err(error) => {
                let message = preconditions.on_error_message.clone();
                return Ok(Some(Unmet {
                    shown: shown(condition),
                    otherwise: preconditions.on_error,
                    message: Some(message.unwrap_or_else(|| error.to_string())),
                }));
            }
        }
    }
    Ok(None)
}

struct Asker<'a> {
    session: &'a Session,
    table: &'a Table,
    within: Within,
}

impl Asker<'_> {
    async fn holds(&self, condition: &Condition) -> Result<bool, SqlError> {
        match condition {
            Condition::All(conditions) => {
                for condition in conditions {
                    if !Box::pin(self.holds(condition)).await? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Condition::Any(conditions) => {
                for condition in conditions {
                    if Box::pin(self.holds(condition)).await? {
                        return Ok(true);
                    }
                }
                Ok(conditions.is_empty())
            }
            Condition::Not(conditions) => {
                for condition in conditions {
                    if Box::pin(self.holds(condition)).await? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            Condition::SqlCheck { expected, sql } => {
                let value = self.ask(sql).await?;
                Ok(value.as_deref().map(truth) == Some(truth(expected)))
            }
            Condition::Query { sql, .. } => Ok(self.ask(sql).await?.as_deref() == Some("t")),
            Condition::ChangesetExecuted(identity) => {
                let sql = format!(
                    "SELECT EXISTS (SELECT FROM {} WHERE lower(id) = lower({}) \
                     AND lower(author) = lower({}) AND lower(filename) = lower({}))",
                    self.table.quoted(),
                    literal(&identity.id),
                    literal(&identity.author),
                    literal(&identity.path),
                );
                Ok(self.ask(&sql).await?.as_deref() == Some("t"))
            }
            Condition::Known { holds, .. } => Ok(*holds),
        }
    }

    /// Asks so that an error leaves the transaction, if there is one, as it was.
    async fn ask(&self, sql: &str) -> Result<Option<String>, SqlError> {
        if self.within == Within::Own {
            return self.session.value(sql).await;
        }
        self.session.run("SAVEPOINT precondition").await?;
        let value = self.session.value(sql).await;
        let end = match value {
            Ok(_) => "RELEASE SAVEPOINT precondition",
            Err(_) => "ROLLBACK TO SAVEPOINT precondition",
        };
        self.session.run(end).await?;
        value
    }
}

/// What Liquibase's driver calls a boolean is `true`; the server's text says `t`.
fn truth(value: &str) -> &str {
    match value {
        "t" => "true",
        "f" => "false",
        _ => value,
    }
}

fn shown(condition: &Condition) -> String {
    let all = |conditions: &[Condition], word: &str| {
        conditions.iter().map(shown).collect::<Vec<_>>().join(&format!(" {word} "))
    };
    match condition {
        Condition::All(conditions) => format!("({})", all(conditions, "and")),
        Condition::Any(conditions) => format!("({})", all(conditions, "or")),
        Condition::Not(conditions) => format!("not ({})", all(conditions, "or")),
        Condition::SqlCheck { expected, .. } => format!("sqlCheck = {expected}"),
        Condition::Query { shown, .. } | Condition::Known { shown, .. } => shown.clone(),
        Condition::ChangesetExecuted(identity) => format!("changeSetExecuted {identity}"),
    }
}
