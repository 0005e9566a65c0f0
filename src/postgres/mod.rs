//! The session with PostgreSQL: making it, and speaking on it.
//!
//! Everything goes over the simple query protocol: several statements cost one
//! round trip, and utility statements take no parameters anyway. What a server
//! or network says is turned into [`SqlError`] or [`ConnectError`] here, so that
//! nothing else needs to know the driver's errors.

mod connect;
mod fault;
pub mod iam;
pub mod scram;
mod session;

pub use crate::trust::Connectors;
pub use connect::{Endpoint, Extra, SessionOptions, connect, connect_with};
pub use fault::{ConnectError, SqlError};
pub use session::{Row, Session};
