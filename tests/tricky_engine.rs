//! The files that are easy to split wrongly, as changelogs: what psql makes of a file, a changeset
//! of it must make too, and no more on the second time.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::path::{Path, PathBuf};

use support::cluster::Run;
use support::folder::{dump, history};
use support::{Database, Folder, MASTER, MASTER_PASSWORD, Server};

fn cases() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tricky");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_case = |path: &PathBuf| path.with_extension("check.sql").exists();
    let mut cases: Vec<_> = entries.filter(is_case).collect();
    cases.sort();
    assert_eq!(cases.len(), 30);
    cases
}

fn psql(database: &Database, file: &Path) {
    let (server, run) = (Server::shared(), Run::get());
    let output = run
        .programs
        .command("psql", &run.folder)
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--host", server.host()])
        .args(["--port", &server.port().to_string(), "--username", MASTER])
        .args(["--dbname", &database.name, "--file", "-"])
        .stdin(std::fs::File::open(file).unwrap())
        .env("PGPASSWORD", MASTER_PASSWORD)
        .env("PGCLIENTENCODING", "UTF8")
        .output()
        .expect("psql: apt-get install postgresql-client");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// The history's tables are not psql's.
const OWN: [&str; 1] = ["--exclude-table=databasechangelog*"];

fn try_one(file: &Path) {
    let name = file.file_stem().unwrap().to_str().unwrap();
    let check = std::fs::read_to_string(file.with_extension("check.sql")).unwrap();
    let (by_psql, by_us) = (Server::shared().database(), Server::shared().database());
    psql(&by_psql, file);
    assert_eq!(by_psql.master().value(&check), "t", "{name} in psql");

    // First as a folder, then as a file: that is the same changeset.
    let folder = Folder::new();
    std::fs::create_dir(folder.0.join(name)).unwrap();
    std::fs::copy(file, folder.0.join(format!("{name}/{name}.sql"))).unwrap();
    folder.apply(&by_us, name);
    assert_eq!(by_us.master().value(&check), "t", "{name}");
    assert_eq!(dump(&by_us, &OWN), dump(&by_psql, &OWN), "{name}");
    assert_eq!(history(&by_us, "id").len(), 1, "{name}");
    let before = history(&by_us, "*");
    let again = folder.apply(&by_us, &format!("{name}/{name}.sql"));
    assert_eq!((&again["Changed"], history(&by_us, "*")), (&false.into(), before), "{name}");
    assert_eq!(by_us.master().value(&check), "t", "{name} after a second run");
}

#[test]
fn a_file_that_is_easily_split_wrongly_has_the_effect_that_it_has_in_psql() {
    let cases = cases();
    let wrong: Vec<_> = std::thread::scope(|scope| {
        let tried = |part: &[PathBuf]| {
            // One that fails hides no other.
            let fails = |case: &&PathBuf| std::panic::catch_unwind(|| try_one(case)).is_err();
            part.iter().filter(fails).cloned().collect::<Vec<_>>()
        };
        let parts = cases.chunks(cases.len().div_ceil(3));
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || tried(part))).collect();
        threads.into_iter().flat_map(|it| it.join().unwrap()).collect()
    });
    assert_eq!(wrong, Vec::<PathBuf>::new());
}
