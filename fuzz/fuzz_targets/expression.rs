//! Any context or label expression has an answer or an error.
#![no_main]

use execute_sql::changelog::expression::Selection;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &str)| {
    if let Ok(run) = Selection::new(Some(input.0), Some(input.0)) {
        let _ = run.takes_contexts(input.1);
        let _ = run.takes_labels(input.1);
    }
});
