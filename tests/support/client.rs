//! A blocking database session: one connection, open as long as the value lives.
//!
//! Statements go through the simple query protocol, so values come as text and a string may hold
//! several statements. `begin_blocking` leaves a statement running in the background, for tests
//! that need a lock held or a session waiting.

use std::fmt;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use postgres_native_tls::MakeTlsConnector;
use tokio::task::JoinHandle;
use tokio_postgres::{Config, Error, SimpleQueryMessage};

use super::runtime;

/// Rows as text; `None` is NULL.
pub type Rows = Vec<Vec<Option<String>>>;

pub struct Client {
    inner: Option<Arc<tokio_postgres::Client>>,
    connection: Option<JoinHandle<()>>,
    pid: i32,
}

/// A statement that runs in the background.
pub struct Running {
    result: mpsc::Receiver<Result<Rows, Error>>,
}

/// What the server said when it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    pub sqlstate: String,
    pub message: String,
    pub detail: Option<String>,
}

impl Client {
    pub fn connect(config: &Config) -> Client {
        Self::try_connect(config).unwrap_or_else(|refused| {
            panic!("connect as {:?} to {:?}: {refused}", config.get_user(), config.get_dbname())
        })
    }

    pub fn try_connect(config: &Config) -> Result<Client, Refused> {
        let config = config.clone();
        let opened = runtime::block_on(async move {
            let (client, connection) = config.connect(tls()).await?;
            // A cut connection shows in the statement that fails.
            let connection = tokio::spawn(async move { drop(connection.await) });
            let rows = rows_of(&client, "SELECT pg_backend_pid()").await?;
            Ok::<_, Error>((client, connection, rows))
        });
        let (client, connection, rows) = opened.map_err(|error| Refused::from(&error))?;
        let pid = rows[0][0].as_deref().and_then(|pid| pid.parse().ok()).expect("a backend's pid");
        Ok(Client { inner: Some(Arc::new(client)), connection: Some(connection), pid })
    }

    /// The server process of this session, as in `pg_stat_activity`.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Runs one or more statements; panics when the server refuses.
    #[track_caller]
    pub fn exec(&self, sql: &str) {
        self.rows(sql);
    }

    /// Runs `sql` and returns all rows of all its statements.
    #[track_caller]
    pub fn rows(&self, sql: &str) -> Rows {
        self.try_rows(sql).unwrap_or_else(|refused| panic!("{sql}\n  {refused}"))
    }

    /// The only column of the only row.
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        let rows = self.rows(sql);
        match rows.as_slice() {
            [row] if row.len() == 1 => {
                row[0].clone().unwrap_or_else(|| panic!("{sql}\n  gives NULL"))
            }
            _ => panic!("{sql}\n  gives not one value but {rows:?}"),
        }
    }

    pub fn try_rows(&self, sql: &str) -> Result<Rows, Refused> {
        self.begin_blocking(sql).wait()
    }

    /// Runs `sql`, which must be refused, and tells how.
    #[track_caller]
    pub fn refused(&self, sql: &str) -> Refused {
        match self.try_rows(sql) {
            Ok(rows) => panic!("{sql}\n  is not refused, it gives {rows:?}"),
            Err(refused) => refused,
        }
    }

    /// Starts `sql` and returns at once; the session stays busy until it is done.
    pub fn begin_blocking(&self, sql: &str) -> Running {
        let client = Arc::clone(self.inner.as_ref().expect("open until dropped"));
        let sql = sql.to_owned();
        Running { result: runtime::start(async move { rows_of(&client, &sql).await }) }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let Some(inner) = self.inner.take() else { return };
        // With a statement still running the session ends after it, not here.
        if Arc::into_inner(inner).is_some() {
            let Some(connection) = self.connection.take() else { return };
            let ended = runtime::start(async move { drop(connection.await) });
            let _ended = ended.recv_timeout(Duration::from_secs(5));
        }
    }
}

impl Running {
    /// Waits for the end of the statement.
    pub fn wait(self) -> Result<Rows, Refused> {
        let result = self.result.recv().expect("the runtime answers");
        result.map_err(|error| Refused::from(&error))
    }

    /// The result, if the statement is done within `limit`; otherwise the handle again.
    pub fn within(self, limit: Duration) -> Result<Result<Rows, Refused>, Running> {
        match self.result.recv_timeout(limit) {
            Ok(result) => Ok(result.map_err(|error| Refused::from(&error))),
            Err(_) => Err(self),
        }
    }
}

impl From<&Error> for Refused {
    fn from(error: &Error) -> Self {
        match error.as_db_error() {
            Some(db) => Refused {
                sqlstate: db.code().code().to_owned(),
                message: db.message().to_owned(),
                detail: db.detail().map(str::to_owned),
            },
            // Not from the server: the connection is gone, or never was.
            None => {
                Refused { sqlstate: String::new(), message: format!("{error:?}"), detail: None }
            }
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.sqlstate, self.message)?;
        match &self.detail {
            Some(detail) => write!(f, " ({detail})"),
            None => Ok(()),
        }
    }
}

/// Made once: it reads all of the system's certificates, which takes longer than a login.
fn tls() -> MakeTlsConnector {
    static TLS: OnceLock<MakeTlsConnector> = OnceLock::new();
    let make = || {
        let tls = native_tls::TlsConnector::builder()
            // This is the tests' own side door; whether certificates are checked is tested on the
            // product.
            .danger_accept_invalid_certs(true)
            .build();
        MakeTlsConnector::new(tls.expect("tls connector"))
    };
    TLS.get_or_init(make).clone()
}

async fn rows_of(client: &tokio_postgres::Client, sql: &str) -> Result<Rows, Error> {
    let messages = client.simple_query(sql).await?;
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|column| row.get(column).map(str::to_owned)).collect())
            }
            _ => None,
        })
        .collect())
}
