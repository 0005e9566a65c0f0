//! Any bytes in a file `changelog.sql` give a changelog or errors.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| execute_sql_fuzz::read("changelog.sql", bytes));
