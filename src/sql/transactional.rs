//! What PostgreSQL refuses inside of a transaction block.
