//! Holds the sources against the description in `src/lib.rs`: what is pure does
//! no I/O, and wiring names no driver.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::{Path, PathBuf};

/// Same input, same answer: these do no I/O, read no clock and write no log.
const PURE: [&str; 19] = [
    "ident.rs",
    "sql",
    "hint.rs",
    "request",
    "desired.rs",
    "observed.rs",
    "plan",
    "outcome.rs",
    "response.rs",
    "invocation.rs",
    "failure.rs",
    "ledger",
    "changelog",
    "history.rs",
    "rotation/checks.rs",
    "rotation/error.rs",
    "rotation/event.rs",
    "rotation/role.rs",
    "rotation/sql.rs",
];

const OUTSIDE: [&str; 15] = [
    "tokio",
    "tokio_postgres",
    "postgres_native_tls",
    "native_tls",
    "openssl",
    "reqwest",
    "aws_",
    "lambda_runtime",
    "std::env",
    "std::fs",
    "std::net",
    "Instant::now",
    "SystemTime",
    "tracing::",
    "fastrand",
];

/// Wiring puts the rooms together and talks to none of the outside itself.
const WIRING: [&str; 3] = ["handler.rs", "world.rs", "engine"];
const DRIVERS: [&str; 4] = ["tokio_postgres", "aws_sdk", "reqwest::Client", "native_tls"];

fn sources(path: &Path) -> Vec<PathBuf> {
    if path.is_file() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    entries.flat_map(|entry| sources(&entry.unwrap().path())).collect()
}

/// The code before its tests, without comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]").next().unwrap();
    code.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn offenders(rooms: &[&str], words: &[&str]) -> Vec<String> {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for path in rooms.iter().flat_map(|room| sources(&src.join(room))) {
        let code = code(&path);
        for word in words.iter().filter(|word| code.contains(**word)) {
            found.push(format!("{}: {word}", path.strip_prefix(&src).unwrap().display()));
        }
    }
    found
}

#[test]
fn pure_rooms_know_nothing_of_the_outside() {
    assert_eq!(offenders(&PURE, &OUTSIDE), Vec::<String>::new());
}

#[test]
fn wiring_names_no_driver() {
    assert_eq!(offenders(&WIRING, &DRIVERS), Vec::<String>::new());
}

#[test]
fn no_file_is_longer_than_four_hundred_lines_before_its_tests() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let long: Vec<_> =
        sources(&src).into_iter().filter(|path| code(path).lines().count() > 400).collect();
    assert_eq!(long, Vec::<PathBuf>::new());
}

#[test]
fn every_module_opens_with_what_it_does() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in sources(&src).iter().filter(|it| it.extension().is_some_and(|it| it == "rs")) {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.starts_with("//! "), "{} has no opening", path.display());
    }
}

#[test]
fn the_map_in_lib_rs_names_every_room() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let map = fs::read_to_string(src.join("lib.rs")).unwrap();
    for entry in fs::read_dir(&src).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let room = name.trim_end_matches(".rs");
        if !matches!(room, "lib" | "bin") {
            assert!(
                map.contains(&format!("[`{room}`]")),
                "`{room}` is not in the map of src/lib.rs"
            );
        }
    }
}
