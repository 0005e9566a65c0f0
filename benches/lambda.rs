//! Measures the function against the floor and against Python; `benches/run` starts it.
//!
//! It plays the world around a function: Lambda's Runtime API, Secrets Manager and the receiver
//! of answers over HTTPS, and a PostgreSQL with TLS and SCRAM (the tests'). Every target gets
//! fresh processes in turn, so that whatever else the machine does meets all of them alike. What
//! the columns mean is in `benches/README.md`. Nothing here is a test: no figure fails a build.

#[path = "../tests/support/mod.rs"]
mod support;

mod driver;

fn main() {
    let Some(options) = driver::options::read(std::env::args().skip(1)) else {
        // `cargo bench` without arguments starts it, too, and so do test runners that list tests.
        eprintln!("nothing to measure; `benches/run` builds what there is and names it");
        return;
    };
    driver::run(&options);
}
