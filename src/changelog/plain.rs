//! Directories of SQL files: Liquibase's `includeAll` order, or their numbers.
