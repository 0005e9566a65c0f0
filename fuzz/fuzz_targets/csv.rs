//! Any bytes in a CSV file give statements or errors.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| execute_sql_fuzz::csv(bytes));
