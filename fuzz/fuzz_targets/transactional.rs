//! Any text has an answer, and what is said of indexes goes with what is refused.
#![no_main]

use execute_sql::sql::{check, scan, transactional};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|sql: &str| {
    let refused = transactional::refused_in_transaction(sql);
    if transactional::concurrent_index(sql).is_some() {
        assert!(refused.is_some_and(|name| name.ends_with("CONCURRENTLY")));
    }
    let _ = transactional::control(sql);
    let _ = check::statement(sql);
    let tokens = scan::tokens(sql);
    assert!(tokens.iter().all(|token| sql.contains(token.text())));
});
