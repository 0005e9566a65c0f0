//! draft
pub mod desired;
pub mod ident;
pub mod observed;
pub mod plan;
pub mod request;
pub mod sql;
