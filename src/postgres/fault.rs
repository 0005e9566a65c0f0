//! What can go wrong with a session, told apart by type and SQLSTATE.
//!
//! The question that matters is whether waiting heals it. A server that starts,
//! resumes from a pause or fails over refuses, resets or swallows connections
//! for a while; a wrong password, database or certificate stays wrong.

use std::io;
use std::time::Duration;

use crate::hint;
use crate::trust::{causes, is_unverified};

/// An error that PostgreSQL reported, or the loss of the session.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.text())]
pub struct SqlError {
    /// The five characters; `None` if it was not the server that said it.
    pub sqlstate: Option<String>,
    /// Whether the connection is gone.
    pub lost: bool,
    /// The primary message.
    pub message: String,
    /// The detail, where there is one.
    pub detail: Option<String>,
    /// The server's own hint.
    pub server_hint: Option<String>,
    /// Where in the text, in characters from 1.
    pub position: Option<u32>,
    /// How many statements of the same message had ended before.
    pub completed: usize,
    /// The function of the server's own that said it. Some SQLSTATEs mean two things, and the text
    /// is in the server's language.
    pub routine: Option<String>,
}

impl SqlError {
    fn text(&self) -> String {
        let state = self.sqlstate.as_ref().map(|it| format!(" ({it})")).unwrap_or_default();
        let detail = self.detail.as_ref().map(|it| format!(": {it}")).unwrap_or_default();
        format!("{}{detail}{state}", self.message)
    }

    /// A server that answers what it should not.
    pub fn unexpected(message: String) -> Self {
        // XX001 is PostgreSQL's own word for data that are not as they must be.
        let sqlstate = Some("XX001".to_owned());
        Self {
            sqlstate,
            lost: false,
            message,
            detail: None,
            server_hint: None,
            position: None,
            completed: 0,
            routine: None,
        }
    }

    /// Whether the session is gone.
    pub fn is_lost(&self) -> bool {
        // 57P01 to 57P05: ended by an administrator, a crash, a dropped database, a time limit.
        self.lost
            || self.sqlstate.as_deref().is_some_and(|it| it.starts_with("57P") || is_outage(it))
    }

    /// Whether the same work may succeed if it is tried again from the start:
    /// serialization, deadlock, lock timeout, no slots, a reader after a failover.
    pub fn heals(&self) -> bool {
        const HEALING: [&str; 5] = ["40001", "40P01", "55P03", "53300", "25006"];
        self.is_lost() || self.sqlstate.as_deref().is_some_and(|it| HEALING.contains(&it))
    }

    /// Whether two sessions met while they wrote the same catalog rows: XX000 "tuple
    /// concurrently updated", 23505 on a catalog's index, 42710, 42P04 and 42P06 for what was not
    /// there a moment ago. A second look then finds what the other one made.
    pub fn is_catalog_race(&self) -> bool {
        const RACES: [&str; 5] = ["XX000", "23505", "42710", "42P04", "42P06"];
        self.sqlstate.as_deref().is_some_and(|it| RACES.contains(&it))
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let ours = self.sqlstate.as_deref().and_then(hint::for_statement);
        ours.map(str::to_owned).or_else(|| self.server_hint.clone())
    }
}

impl From<&tokio_postgres::Error> for SqlError {
    fn from(error: &tokio_postgres::Error) -> Self {
        match error.as_db_error() {
            Some(db) => Self {
                sqlstate: Some(db.code().code().to_owned()),
                lost: false,
                message: db.message().to_owned(),
                detail: db.detail().map(str::to_owned),
                server_hint: db.hint().map(str::to_owned),
                position: match db.position() {
                    Some(tokio_postgres::error::ErrorPosition::Original(at)) => Some(*at),
                    _ => None,
                },
                completed: 0,
                routine: db.routine().map(str::to_owned),
            },
            // A protocol that is not understood stays so; only a dead connection can be made anew.
            None if !error.is_closed()
                && !causes(error)
                    .filter_map(|it| it.downcast_ref::<io::Error>())
                    // A text with U+0000 never leaves this side.
                    .any(|it| it.kind() != io::ErrorKind::InvalidInput) =>
            {
                Self {
                    sqlstate: None,
                    lost: false,
                    message: format!("the statement cannot be run this way: {}", innermost(error)),
                    detail: None,
                    server_hint: None,
                    position: None,
                    completed: 0,
                    routine: None,
                }
            }
            None => Self {
                sqlstate: None,
                lost: true,
                message: format!("the connection to the server was lost: {}", innermost(error)),
                detail: None,
                server_hint: None,
                position: None,
                completed: 0,
                routine: None,
            },
        }
    }
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The host name has no address.
    #[error("host `{0}` cannot be resolved: {1}")]
    Resolve(String, #[source] io::Error),
    /// Nobody answered in time.
    #[error("`{0}` did not answer within {secs} s", secs = .1.as_secs())]
    Timeout(String, Duration),
    /// The network, or the server's machine, refused.
    #[error("connecting to `{0}` failed: {1}")]
    Io(String, #[source] io::Error),
    /// The server speaks PostgreSQL without TLS.
    #[error("`{0}` does not speak TLS")]
    NoTls(String),
    /// The server's certificate is not trusted, or is another host's.
    #[error("the certificate of `{0}` is not trusted: {1}")]
    Certificate(String, String),
    /// TLS failed in another way.
    #[error("TLS with `{0}` failed: {1}")]
    Tls(String, String),
    /// What answers is no PostgreSQL server, or one we cannot speak to.
    #[error("`{0}` does not answer like a PostgreSQL server: {1}")]
    Protocol(String, String),
    /// The server said no.
    #[error("`{0}` refuses the login: {1}")]
    Refused(String, #[source] SqlError),
    /// A file or setting on this side.
    #[error("{0}")]
    Setup(String),
}

impl ConnectError {
    /// Whether waiting may heal it.
    pub fn heals(&self) -> bool {
        match self {
            Self::Resolve(..) | Self::Timeout(..) => true,
            Self::Io(_, error) => heals(error),
            Self::Refused(_, error) => error.sqlstate.as_deref().is_none_or(|it| {
                // 57P03: starting, shutting down or recovering; 53300: no slots.
                matches!(it, "57P01" | "57P02" | "57P03" | "53300" | "53400") || is_outage(it)
            }),
            Self::NoTls(_)
            | Self::Certificate(..)
            | Self::Tls(..)
            | Self::Protocol(..)
            | Self::Setup(_) => false,
        }
    }

    /// Whether the server refused the password.
    pub fn is_wrong_password(&self) -> bool {
        matches!(self, Self::Refused(_, error) if error.sqlstate.as_deref() == Some("28P01"))
    }

    /// Whether the server refused after it had found the password right: the role or the database
    /// is full, closed to the role, or not there.
    ///
    /// 53300 alone does not tell: a server without a free slot refuses before it asks for the
    /// password. These are the functions that run after it (`postinit.c`, `miscinit.c`).
    pub fn proves_password(&self) -> bool {
        const AFTER: [&str; 3] = ["InitializeSessionUserId", "CheckMyDatabase", "InitPostgres"];
        let Self::Refused(_, error) = self else { return false };
        match error.sqlstate.as_deref() {
            Some("3D000" | "42501" | "55000") => true,
            Some("53300") => error.routine.as_deref().is_some_and(|it| AFTER.contains(&it)),
            _ => false,
        }
    }

    /// Whether the role or the database has all the connections that it may have.
    pub fn is_full(&self) -> bool {
        // `InitPostgres` says it too, of the server as a whole.
        const THEIRS: [&str; 2] = ["InitializeSessionUserId", "CheckMyDatabase"];
        let Self::Refused(_, error) = self else { return false };
        error.sqlstate.as_deref() == Some("53300")
            && error.routine.as_deref().is_some_and(|it| THEIRS.contains(&it))
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Resolve(..) => {
                "Check the host name, and that the function's VPC resolves it (enableDnsSupport)."
            }
            Self::Timeout(..) => {
                "Packets are swallowed: let the function's security group into the database's, on its port."
            }
            Self::Io(..) => "Check host and port, and that the server is running.",
            Self::NoTls(_) => {
                "Turn TLS on at the server, or set `Connection.SslMode` to `disable` if the network is trusted."
            }
            Self::Certificate(..) => {
                "Name the host as in its certificate (the instance's or cluster's own endpoint), or \
                 give its CA in `Connection.SslRootCert`."
            }
            Self::Tls(..) => "The server must speak TLS 1.2 or newer.",
            Self::Protocol(..) => "Check host and port.",
            Self::Refused(_, error) => {
                return error
                    .sqlstate
                    .as_deref()
                    .and_then(hint::for_login)
                    .map(str::to_owned)
                    .or_else(|| error.server_hint.clone());
            }
            Self::Setup(_) => return None,
        };
        Some(hint.to_owned())
    }

    /// Sorts the driver's error.
    pub(super) fn sorted(place: &str, error: &tokio_postgres::Error) -> Self {
        let place = place.to_owned();
        if error.as_db_error().is_some() {
            return Self::Refused(place, error.into());
        }
        let io = causes(error).filter_map(|it| it.downcast_ref::<io::Error>()).last();
        let in_tls = causes(error).any(<dyn std::error::Error + 'static>::is::<native_tls::Error>);
        match io {
            _ if is_unverified(error) => Self::Certificate(place, verdict(error)),
            Some(io) if heals(io) => Self::Io(place, io::Error::new(io.kind(), io.to_string())),
            _ if in_tls => Self::Tls(place, innermost(error)),
            None if error.is_closed() => Self::Io(
                place,
                io::Error::new(io::ErrorKind::ConnectionReset, "closed by the server"),
            ),
            // The driver's word for a server that answers `N` is a bare text.
            None if std::error::Error::source(error).is_some() => Self::NoTls(place),
            _ => Self::Protocol(place, innermost(error)),
        }
    }
}

/// Connection exceptions, but for 08P01: a protocol violation is violated again.
fn is_outage(sqlstate: &str) -> bool {
    sqlstate.starts_with("08") && sqlstate != "08P01"
}

fn heals(error: &io::Error) -> bool {
    use io::ErrorKind as Kind;
    matches!(
        error.kind(),
        Kind::ConnectionRefused
            | Kind::ConnectionReset
            | Kind::ConnectionAborted
            | Kind::BrokenPipe
            | Kind::HostUnreachable
            | Kind::NetworkUnreachable
            | Kind::NotConnected
            | Kind::TimedOut
            | Kind::UnexpectedEof
            // The folder or socket of a local server that is not up yet.
            | Kind::NotFound
    )
}

/// What the check of the certificate said, for instance "hostname mismatch".
fn verdict(error: &tokio_postgres::Error) -> String {
    let tls = causes(error).find(|it| it.is::<native_tls::Error>());
    let text = tls.map(ToString::to_string).unwrap_or_default();
    // native-tls ends with OpenSSL's verdict in brackets; without one the text still tells.
    match text.rsplit_once('(') {
        Some((_, verdict)) => verdict.trim_end_matches(')').to_owned(),
        None => text,
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(sqlstate: Option<&str>) -> SqlError {
        SqlError {
            sqlstate: sqlstate.map(str::to_owned),
            lost: sqlstate.is_none(),
            message: "relation \"orders\" already exists".into(),
            detail: None,
            server_hint: None,
            position: None,
            completed: 0,
            routine: None,
        }
    }

    #[test]
    fn what_heals_is_known_by_its_sqlstate() {
        for state in [None, Some("57P01"), Some("40P01"), Some("55P03"), Some("08006")] {
            assert!(error(state).heals(), "{state:?}");
        }
        for state in ["42501", "42P07", "22023", "58P01", "08P01"] {
            assert!(!error(Some(state)).heals(), "{state}");
        }
        let refused = |state| ConnectError::Refused("h".into(), error(Some(state)));
        assert!(refused("57P03").heals() && !refused("28P01").heals() && !refused("3D000").heals());
        assert!(refused("28P01").is_wrong_password());
    }

    #[test]
    fn an_error_reads_with_its_sqlstate() {
        assert_eq!(error(Some("42P07")).to_string(), "relation \"orders\" already exists (42P07)");
    }
}
