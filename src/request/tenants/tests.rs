//! Lists of tenants, read.
