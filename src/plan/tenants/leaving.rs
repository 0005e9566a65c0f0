//! What becomes of tenants that left the list, or whose resource goes.
