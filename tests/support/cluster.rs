//! The files of the servers: finds the PostgreSQL programs, prepares one initialised data folder
//! per test run (RDS's restricted master is in it) and copies it for each server.
//!
//! PostgreSQL refuses to run as root, so root starts it as user `postgres`. All that a run makes is
//! in one folder that its guardian removes.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use super::postgres::{ADMIN, ADMIN_PASSWORD, EXTENSIONS, RDSADMIN_DATABASE, setup_sql};
use super::{processes, tls};

/// The PostgreSQL programs and whom to run them as.
pub struct Programs {
    bin: PathBuf,
    major: String,
    /// User and group of `postgres`, when this process is root.
    user: Option<(u32, u32)>,
}

/// The folder of this test run.
pub struct Run {
    pub folder: PathBuf,
    pub programs: Programs,
}

impl Run {
    /// The run's folder with certificates and a data folder to copy, made by the first to come.
    pub fn get() -> &'static Run {
        static RUN: OnceLock<Run> = OnceLock::new();
        RUN.get_or_init(|| {
            let programs = Programs::find();
            let id = processes::run_id();
            let folder = programs.base().join(format!("execute-sql-{}", id.key));
            let run = Run { folder, programs };
            run.make_folder();
            let _lock = run.lock();
            if !run.folder.join("guardian").exists() {
                processes::start_guardian(id.watched, &run.folder);
                fs::write(run.folder.join("guardian"), "").expect("note the guardian");
            }
            if !run.folder.join("prepared").exists() {
                run.prepare();
                fs::write(run.folder.join("prepared"), "").expect("note that all is prepared");
            }
            run
        })
    }

    /// Held by one process (and one thread) at a time.
    pub fn lock(&self) -> File {
        let file = File::create(self.folder.join("lock")).expect("open the run's lock");
        file.lock().expect("lock the run");
        file
    }

    pub fn tls(&self) -> PathBuf {
        self.folder.join("tls")
    }

    /// A new server's folder with a copy of the prepared data in `data`.
    pub fn new_server_folder(&self, name: &str) -> PathBuf {
        let folder = self.folder.join(name);
        drop(fs::remove_dir_all(&folder)); // of a start that was killed half way
        self.programs.make_dir(&folder);
        let prepared = self.folder.join("prepared-data");
        let mut copy = self.programs.command_at(Path::new("cp"), &self.folder);
        copy.arg("-Rp").arg(prepared).arg(folder.join("data"));
        must(copy.output(), "copy the prepared data folder");
        folder
    }

    fn make_folder(&self) {
        let made = DirBuilder::new().mode(0o755).create(&self.folder);
        if made.is_err() {
            // The name can be guessed, so a folder of somebody else's may stand there.
            let meta = fs::symlink_metadata(&self.folder).expect("make the run's folder");
            let ours = meta.is_dir() && meta.uid() == user_id("-u", None);
            assert!(ours, "{} is not a folder of this user", self.folder.display());
        }
    }

    fn prepare(&self) {
        for name in ["tls", "prepared-data"] {
            drop(fs::remove_dir_all(self.folder.join(name)));
        }
        self.programs.make_dir(&self.tls());
        tls::write(&self.tls());
        for entry in fs::read_dir(self.tls()).expect("list the certificates") {
            self.programs.give_away(&entry.expect("list the certificates").path());
        }
        self.initdb();
        self.set_up();
    }

    fn initdb(&self) {
        let password_file = self.tls().join("admin-password");
        fs::write(&password_file, ADMIN_PASSWORD).expect("write the admin's password");
        self.programs.give_away(&password_file);
        // Linux has C.UTF-8 everywhere, macOS has not.
        let locale = if cfg!(target_os = "linux") { "C.UTF-8" } else { "C" };
        let mut initdb = self.programs.command("initdb", &self.folder);
        let data = self.programs.make_dir(&self.folder.join("prepared-data"));
        initdb
            .args(["--no-sync", "--username", ADMIN, "--auth=scram-sha-256", "--encoding=UTF8"])
            .args([&format!("--locale={locale}"), "--wal-segsize=1", "--pwfile"])
            .arg(&password_file)
            .arg("-D")
            .arg(&data);
        must(initdb.output(), "initdb");
        fs::remove_file(&password_file).expect("remove the admin's password");
        let path = data.join("postgresql.conf");
        let mut conf = fs::OpenOptions::new().append(true).open(path).expect("postgresql.conf");
        write!(conf, "{BASE_CONF}\nextwlist.extensions = '{}'\n", EXTENSIONS.join(","))
            .expect("write postgresql.conf");
    }

    /// Single-user mode: no port, no log file, and the passwords in these statements stay out of
    /// the servers' logs.
    fn set_up(&self) {
        let mut single = self.programs.command("postgres", &self.folder);
        single.args(["--single", "-j", "-c", "exit_on_error=on", "-c", "log_statement=none", "-D"]);
        single.arg(self.folder.join("prepared-data")).arg("postgres");
        single.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = single.spawn().expect("start postgres --single");
        let mut input = child.stdin.take().expect("piped");
        // A server that gave up early closes the pipe; its message says more than the pipe's.
        let first = ["LOAD 'pgextwlist'", RDSADMIN_DATABASE[0], RDSADMIN_DATABASE[1]];
        for statement in first.map(str::to_owned).into_iter().chain(setup_sql()) {
            drop(write!(input, "{statement};\n\n"));
        }
        drop(input);
        let output = child.wait_with_output().expect("wait for postgres --single");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !said.contains("could not access file \"pgextwlist\""),
            "the server has no pgextwlist, which makes the master as restricted as on RDS: {}",
            self.programs.install_line()
        );
        must(Ok(output), "set up the roles in postgres --single");
    }
}

/// No fsync: a crash of the machine may ruin these data, a killed server does not (so
/// `synchronous_commit` stays on). `logging_collector` is off as the log goes to a file by way of stderr. Few WAL files, so that
/// copies are small. The statement log is what tests of secrets read.
const BASE_CONF: &str = "
fsync = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
min_wal_size = 2MB
shared_buffers = 64MB
max_connections = 300
logging_collector = off
log_destination = stderr
log_statement = all
log_line_prefix = '<%m %p %u@%d> '
log_checkpoints = off
session_preload_libraries = 'pgextwlist'
ssl = on
";

impl Programs {
    /// `PG_BIN`, else `pg_config --bindir`, else the newest of Debian's folders.
    fn find() -> Programs {
        let debian = || {
            let mut found: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
                .into_iter()
                .flatten()
                .filter_map(|entry| {
                    let entry = entry.ok()?;
                    let major = entry.file_name().to_str()?.parse().ok()?;
                    Some((major, entry.path().join("bin")))
                })
                .collect();
            found.sort();
            found.into_iter().rev().map(|(_, bin)| bin)
        };
        let pg_config = || {
            let output = Command::new("pg_config").arg("--bindir").output().ok()?;
            Some(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
        };
        let bin = std::env::var_os("PG_BIN")
            .map(PathBuf::from)
            .into_iter()
            .chain(pg_config())
            .chain(debian())
            .find(|bin| bin.join("initdb").exists() && bin.join("postgres").exists())
            .expect(
                "no PostgreSQL server found: apt-get install postgresql-15 \
                 postgresql-15-postgis-3 postgresql-15-pgextwlist (or set PG_BIN to the folder of \
                 initdb and postgres, or TEST_DATABASE_URL to a server)",
            );
        let version = Command::new(bin.join("postgres")).arg("--version").output();
        let version = String::from_utf8_lossy(&version.expect("postgres --version").stdout)
            .split_whitespace()
            .nth(2)
            .map(|version| version.split('.').next().unwrap_or(version).to_owned());
        let is_root = user_id("-u", None) == 0;
        let user =
            is_root.then(|| (user_id("-u", Some("postgres")), user_id("-g", Some("postgres"))));
        Programs { bin, major: version.expect("a version"), user }
    }

    pub fn install_line(&self) -> String {
        format!("apt-get install postgresql-{0}-postgis-3 postgresql-{0}-pgextwlist", self.major)
    }

    /// A program of PostgreSQL's, to be run as its user, without this process's `PG*` settings.
    pub fn command(&self, program: &str, folder: &Path) -> Command {
        self.command_at(&self.bin.join(program), folder)
    }

    fn command_at(&self, program: &Path, folder: &Path) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(|name| name.starts_with("PG")) {
                command.env_remove(name);
            }
        }
        command.env("LC_MESSAGES", "C").current_dir(folder).stdin(Stdio::null());
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        command
    }

    /// The first temporary folder that the server's user can use and whose name leaves room for a
    /// socket's (their paths end at about 100 bytes).
    fn base(&self) -> PathBuf {
        let candidates = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
        let usable = |folder: &&PathBuf| {
            let mut cd = self.command_at(Path::new("/bin/sh"), Path::new("/"));
            cd.args(["-c", "cd \"$1\"", "sh"]).arg(folder).stderr(Stdio::null());
            folder.as_os_str().len() < 50 && cd.status().is_ok_and(|status| status.success())
        };
        let found = candidates.iter().find(usable);
        found.expect("a temporary folder that the server's user can enter").clone()
    }

    /// Makes a folder (mode 0700) that belongs to the server's user.
    fn make_dir(&self, path: &Path) -> PathBuf {
        fs::create_dir(path).unwrap_or_else(|error| panic!("make {}: {error}", path.display()));
        // The tests themselves may run as another user than the server, and read from here.
        let mode = if path.ends_with("prepared-data") { 0o700 } else { 0o755 };
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod a folder");
        self.give_away(path);
        path.to_owned()
    }

    fn give_away(&self, path: &Path) {
        if let Some((user, group)) = self.user {
            chown(path, Some(user), Some(group)).expect("chown to the server's user");
        }
    }
}

fn user_id(flag: &str, user: Option<&str>) -> u32 {
    let output = Command::new("id").arg(flag).args(user).output().expect("run id");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.trim().parse().unwrap_or_else(|_| {
        panic!("there is no user {user:?} to run PostgreSQL as: apt-get install postgresql-15")
    })
}

#[track_caller]
fn must(output: std::io::Result<Output>, what: &str) {
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(
        output.status.success(),
        "{what}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
