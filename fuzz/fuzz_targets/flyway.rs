//! Any names in a folder, with any text in each file, give a changelog or errors.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (&str, &[u8])| execute_sql_fuzz::flyway(input.0, input.1));
