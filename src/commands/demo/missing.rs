//! The programs that the demo needs and does not bring along: where they are
//! looked for, and what installs those that are missing.
//!
//! All are looked for before anything is started, so that one message names all
//! that is missing.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

use super::guard::{Owner, find, find_on_path};

/// Everything that was found.
pub struct Programs {
    /// The folder with `initdb` and `postgres`.
    pub postgres: PathBuf,
    /// Whom PostgreSQL runs as; `None` is whoever runs the demo.
    pub postgres_owner: Option<Owner>,
    /// The stand-in for AWS.
    pub ministack: PathBuf,
    /// The Lambda function's program.
    pub bootstrap: PathBuf,
}

/// Finds them, or says what is missing.
pub fn programs() -> Result<Programs> {
    let mut missing = Vec::new();
    let mut note = |what: &str| missing.push(format!("  {what}"));
    let postgres = postgres_folder();
    if postgres.is_none() {
        note(&format!("PostgreSQL's server: {}", install_line(None)));
    }
    let postgres_owner = owner();
    if let Err(why) = &postgres_owner {
        note(why);
    }
    let ministack = ministack();
    if let Err(why) = &ministack {
        note(why);
    }
    let bootstrap = beside_this_program("bootstrap");
    if bootstrap.is_none() {
        note("`bootstrap`, the function, beside `execute-sql`: cargo build --bins");
    }
    match (postgres, postgres_owner, ministack, bootstrap) {
        (Some(postgres), Ok(postgres_owner), Ok(ministack), Some(bootstrap)) => {
            Ok(Programs { postgres, postgres_owner, ministack, bootstrap })
        }
        _ => bail!("the demo lacks\n{}\nor let .ci/setup install it", missing.join("\n")),
    }
}

/// What installs a server with all that the demo shows, on Debian and Ubuntu.
pub fn install_line(major: Option<&str>) -> String {
    let major = major.unwrap_or("15");
    format!(
        "apt-get install postgresql-{major} postgresql-{major}-postgis-3 postgresql-{major}-pgextwlist"
    )
}

/// `pg_config` knows best; Debian keeps the server's programs off `PATH`, each major in a folder.
fn postgres_folder() -> Option<PathBuf> {
    let told = Command::new("pg_config").arg("--bindir").output().ok();
    let told = told.and_then(|output| String::from_utf8(output.stdout).ok());
    let told = told.map(|text| PathBuf::from(text.trim()));
    let on_path = find_on_path("initdb").and_then(|it| it.parent().map(Path::to_owned));
    let folders = told.into_iter().chain(debian_folders()).chain(on_path);
    let complete =
        |folder: &PathBuf| ["initdb", "postgres"].iter().all(|name| find(name, [folder]).is_some());
    let complete: Vec<_> = folders.filter(complete).collect();
    let best = complete.iter().find(|folder| has_postgis(folder)).or(complete.first());
    best.cloned()
}

/// As far as it can be told without a running server, which has the last word.
fn has_postgis(folder: &Path) -> bool {
    let told = Command::new(folder.join("pg_config")).arg("--sharedir").output();
    let shared = told.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    shared.is_some_and(|it| Path::new(it.trim()).join("extension/postgis.control").exists())
}

/// The newest first.
fn debian_folders() -> Vec<PathBuf> {
    let majors = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut majors: Vec<_> = majors.map(|it| it.path()).collect();
    majors.sort_by_key(|path| {
        let name = path.file_name().map(|it| it.to_string_lossy().into_owned());
        std::cmp::Reverse(name.and_then(|it| it.parse::<u32>().ok()))
    });
    majors.iter().map(|path| path.join("bin")).collect()
}

/// Whom PostgreSQL runs as: it refuses root, who therefore starts it as `postgres`.
fn owner() -> Result<Option<Owner>, &'static str> {
    if id(&["-u"]) != Some(0) {
        return Ok(None);
    }
    match (id(&["-u", "postgres"]), id(&["-g", "postgres"])) {
        (Some(user), Some(group)) => Ok(Some((user, group))),
        _ => Err("the user `postgres`, as whom root runs the server: useradd --system postgres"),
    }
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Where MiniStack is, or what installs it.
pub fn ministack() -> Result<PathBuf, String> {
    const VARIABLE: &str = "EXECUTE_SQL_MINISTACK";
    const INSTALL: &str = "pip install ministack==1.5.33";
    if let Some(path) = std::env::var_os(VARIABLE).filter(|it| !it.is_empty()) {
        let path = std::path::absolute(path).unwrap_or_default();
        let lost = format!("`{}`, which {VARIABLE} names: {INSTALL}", path.display());
        return if path.is_file() { Ok(path) } else { Err(lost) };
    }
    let local = find("ministack", [".local/ministack/bin"]);
    local.or_else(|| find_on_path("ministack")).ok_or_else(|| {
        format!("MiniStack, the local stand-in for AWS: {INSTALL} (or name it in {VARIABLE})")
    })
}

fn beside_this_program(name: &str) -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    find(name, [program.parent()?])
}
