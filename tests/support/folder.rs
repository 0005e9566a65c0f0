//! A folder with changelogs, and the command line over a database by them.
//!
//! Properties are written beside the changelogs, so that their paths are relative to the folder.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use serde_json::Value;

use super::cluster::Run;
use super::{Database, MASTER, MASTER_PASSWORD, MASTER_PASSWORD_MARK, Server, processes};

/// Goes away with the value.
pub struct Folder(pub PathBuf);

/// What the program said.
pub struct Said {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Folder {
    /// An empty one.
    pub fn new() -> Folder {
        let name = format!("folder-{}", processes::unique());
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).expect("make a folder");
        Folder(folder)
    }

    /// A copy of a folder below `tests`.
    pub fn copy_of(name: &str) -> Folder {
        let folder = Folder::new();
        copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name), &folder.0);
        folder
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Replaces words of a file that has them.
    #[track_caller]
    pub fn edit(&self, name: &str, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.0.join(name)).expect("read a changelog");
        assert!(text.contains(from), "{name} has no {from:?}");
        self.write(name, &text.replace(from, to));
    }

    /// The command over a database; `changelog` is what a properties file says for `Changelog`.
    pub fn command(&self, database: &Database, command: &str, changelog: &str) -> Command {
        let name = format!("{}.yaml", processes::unique());
        self.write(&name, &format!("Changelog: {changelog}\n"));
        let mut program = command_line(database);
        program
            .current_dir("/")
            .args(["--format", "json", command, "--file"])
            .arg(self.0.join(name));
        program
    }

    pub fn run(&self, database: &Database, command: &str, changelog: &str) -> Said {
        let output = self.command(database, command, changelog).output().expect("run it");
        let Output { status, stdout, stderr } = output;
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        let (out, err) = (text(stdout), text(stderr));
        assert!(!out.contains(MASTER_PASSWORD_MARK) && !err.contains(MASTER_PASSWORD_MARK));
        Said { code: status.code(), out, err }
    }

    /// Applies, which must succeed; gives the report.
    #[track_caller]
    pub fn apply(&self, database: &Database, changelog: &str) -> Value {
        let said = self.run(database, "apply", changelog);
        assert_eq!(said.code, Some(0), "{changelog}: {}{}", said.out, said.err);
        serde_json::from_str(&said.out).expect("a report")
    }

    /// Starts to apply.
    pub fn start(&self, database: &Database, changelog: &str) -> Child {
        let mut command = self.command(database, "apply", changelog);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("start it")
    }

    /// Nothing is planned, nothing differs, and applying leaves the history as it is.
    #[track_caller]
    pub fn is_up_to_date(&self, database: &Database, changelog: &str) {
        let before = history(database, "*");
        let said = self.run(database, "plan", changelog);
        assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
        let report: Value = serde_json::from_str(&said.out).expect("a report");
        assert_eq!(report["Steps"], Value::Array(vec![]), "{changelog}: {}", said.err);
        let said = self.run(database, "verify", changelog);
        assert_eq!(said.code, Some(0), "{changelog}: {}{}", said.out, said.err);
        let report = self.apply(database, changelog);
        assert_eq!(report["Changed"], false, "{changelog}: {report:#}");
        assert_eq!(history(database, "*"), before);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// Rows of Liquibase's history.
pub fn history(database: &Database, columns: &str) -> Vec<String> {
    let sql = format!("SELECT {columns} FROM databasechangelog ORDER BY orderexecuted, id");
    database.admin().rows(&sql).iter().map(|row| format!("{row:?}")).collect()
}

/// Definitions and data as `pg_dump` sees them, without our ledger and the rows of the history.
pub fn dump(database: &Database, more: &[&str]) -> String {
    let (server, run) = (Server::shared(), Run::get());
    let output = run
        .programs
        .command("pg_dump", &run.folder)
        .args(["--exclude-schema=execute_sql", "--exclude-table-data=databasechangelog*"])
        .args(more)
        .args(["-h", server.host(), "-p", &server.port().to_string(), "-U", MASTER, &database.name])
        .env("PGPASSWORD", MASTER_PASSWORD)
        .output()
        .expect("run pg_dump");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    // `\restrict` is followed by a random word.
    let kept = |line: &&str| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict");
    text.lines().filter(kept).collect::<Vec<_>>().join("\n")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("make a folder");
    for entry in std::fs::read_dir(from).expect("list the changelogs") {
        let path = entry.expect("list the changelogs").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            std::fs::copy(&path, target).expect("copy a changelog");
        }
    }
}

/// The command line over a database, which libpq's variables name.
pub fn command_line(database: &Database) -> Command {
    let server = Server::shared();
    let mut program = Command::new(env!("CARGO_BIN_EXE_execute-sql"));
    program
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("PGHOST", server.host())
        .env("PGPORT", server.port().to_string())
        .env("PGUSER", MASTER)
        .env("PGPASSWORD", MASTER_PASSWORD)
        .env("PGDATABASE", &database.name)
        .env("PGSSLROOTCERT", server.ca_pem_path());
    program
}
