//! Contexts and labels: Liquibase's small grammar of `and`, `or`, `not` and brackets.
