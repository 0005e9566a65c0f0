//! A session that was made.
//!
//! It ends when it is dropped. Notices of the server go to the log, for they
//! tell what a long statement is doing.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::future::poll_immediate;
use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{
    AsyncMessage, Client, Connection, CopyInSink, SimpleQueryMessage, SimpleQueryRow,
};

use super::fault::SqlError;

/// One connection to one database.
pub struct Session {
    client: Option<Client>,
    rows: AtomicU64,
    driver: tokio::task::JoinHandle<()>,
}

/// Rows on their way to `COPY … FROM STDIN`. Dropped before its end it is refused by the server.
pub struct CopyIn {
    sink: Pin<Box<CopyInSink<Bytes>>>,
}

impl CopyIn {
    /// Sends a piece of the data.
    pub async fn send(&mut self, data: String) -> Result<(), SqlError> {
        self.sink.feed(Bytes::from(data)).await.map_err(|it| SqlError::from(&it))
    }

    /// Ends the data.
    pub async fn finish(mut self) -> Result<(), SqlError> {
        self.sink.as_mut().finish().await.map(drop).map_err(|it| SqlError::from(&it))
    }
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
    Session { client: Some(client), rows: AtomicU64::new(0), driver }
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
        let mut rows = Vec::new();
        self.each(sql, |row| {
            rows.push((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect());
        })
        .await?;
        Ok(rows)
    }

    /// Runs statements that somebody else wrote: what rows they give, and how many, is not
    /// asked for.
    pub async fn execute(&self, sql: &str) -> Result<(), SqlError> {
        self.each(sql, |_| {}).await
    }

    async fn each(
        &self,
        sql: &str,
        mut on_row: impl FnMut(SimpleQueryRow),
    ) -> Result<(), SqlError> {
        let client = self.client.as_ref().expect("it is taken only when the session is closed");
        let mut completed = 0;
        let failed = |error: &tokio_postgres::Error, completed| SqlError {
            completed,
            ..SqlError::from(error)
        };
        let answers = client.simple_query_raw(sql).await.map_err(|it| failed(&it, completed))?;
        let mut answers = pin!(answers);
        while let Some(answer) = answers.next().await {
            match answer.map_err(|it| failed(&it, completed))? {
                SimpleQueryMessage::Row(row) => on_row(row),
                SimpleQueryMessage::CommandComplete(rows) => {
                    completed += 1;
                    self.rows.fetch_add(rows, Ordering::Relaxed);
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// How many rows all statements so far wrote or gave.
    pub fn rows_affected(&self) -> u64 {
        self.rows.load(Ordering::Relaxed)
    }

    /// Begins to send rows to `COPY … FROM STDIN`.
    pub async fn copy_in(&self, sql: &str) -> Result<CopyIn, SqlError> {
        let client = self.client.as_ref().expect("it is taken only when the session is closed");
        let sink = client.copy_in(sql).await.map_err(|it| SqlError::from(&it))?;
        Ok(CopyIn { sink: Box::pin(sink) })
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
