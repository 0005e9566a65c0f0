//! A session that was made.
//!
//! It ends when it is dropped. Notices of the server go to the log, for they
//! tell what a long statement is doing.

use std::future::poll_fn;

use futures_util::future::poll_immediate;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{AsyncMessage, Client, Connection, SimpleQueryMessage};

use super::fault::SqlError;

/// One connection to one database.
pub struct Session {
    client: Option<Client>,
    driver: tokio::task::JoinHandle<()>,
}

/// One row of text values.
pub type Row = Vec<Option<String>>;

pub(super) fn started<S, T>(client: Client, mut connection: Connection<S, T>) -> Session
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let driver = tokio::spawn(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            match message {
                Ok(AsyncMessage::Notice(notice)) => {
                    tracing::debug!(severity = notice.severity(), "{}", notice.message());
                }
                Ok(_) => {}
                // Whoever waits for an answer is told; here it is only the end.
                Err(_) => break,
            }
        }
    });
    Session { client: Some(client), driver }
}

/// A session that is dropped in the middle of something takes its connection with it:
/// a function that is frozen next must not leave the server waiting for it.
impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Session {
    /// Runs statements in one round trip; all rows of all of them, in order.
    ///
    /// Without `BEGIN` among them PostgreSQL runs them in one transaction.
    pub async fn run(&self, sql: &str) -> Result<Vec<Row>, SqlError> {
        let client = self.client.as_ref().expect("it is taken only when the session is closed");
        let messages = client.simple_query(sql).await.map_err(|it| SqlError::from(&it))?;
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => {
                Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect())
            }
            _ => None,
        });
        Ok(rows.collect())
    }

    /// The last value of the last row.
    pub async fn value(&self, sql: &str) -> Result<Option<String>, SqlError> {
        Ok(self.run(sql).await?.pop().and_then(|mut row| row.pop()).flatten())
    }

    /// Says good-bye, so that the server frees the session's locks at once.
    pub async fn close(mut self) {
        drop(self.client.take());
        // The driver sends its last message and ends; a server that does not take it is not waited for.
        if poll_immediate(&mut self.driver).await.is_none() {
            let limit = std::time::Duration::from_millis(200);
            let _late = tokio::time::timeout(limit, &mut self.driver).await;
        }
    }
}
