//! Root changelogs in YAML, JSON and XML, and what they include.
