//! Tells statements apart as psql does.
