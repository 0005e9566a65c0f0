//! Liquibase's formatted SQL: comments that cut a file into changesets.
