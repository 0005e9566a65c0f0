//! The files of the servers: prepares, for each version of PostgreSQL that a test run asks for, one
//! initialised data folder (RDS's restricted master is in it) and copies it for each server.
//!
//! All that a run makes is in one folder that its guardian removes.

use std::fs::{self, DirBuilder, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::OnceLock;

use super::postgres::{ADMIN, ADMIN_PASSWORD, EXTENSIONS, RDSADMIN_DATABASE, setup_sql};
use super::programs::{Programs, must, user_id};
use super::{embedded, processes, tls};

/// The folder of this test run.
pub struct Run {
    pub folder: PathBuf,
    /// The machine's own.
    pub programs: Programs,
}

/// What servers of one version start from.
pub struct Cluster {
    pub run: &'static Run,
    pub programs: Programs,
    /// The name of its files in the run's folder.
    name: String,
    /// With it the master creates the extensions that RDS's may; packages have none.
    has_pgextwlist: bool,
}

impl Run {
    /// The run's folder with certificates, made by the first to come.
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
            run.once("certificates", || run.certify());
            run
        })
    }

    /// Does `work` unless a process of this run did it to its end. The caller holds the lock.
    fn once(&self, what: &str, work: impl FnOnce()) {
        let note = self.folder.join(format!("{what}.done"));
        if !note.exists() {
            work();
            fs::write(note, "").expect("note what is done");
        }
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

    fn make_folder(&self) {
        let made = DirBuilder::new().mode(0o755).create(&self.folder);
        if made.is_err() {
            // The name can be guessed, so a folder of somebody else's may stand there.
            let meta = fs::symlink_metadata(&self.folder).expect("make the run's folder");
            let ours = meta.is_dir() && meta.uid() == user_id("-u", None);
            assert!(ours, "{} is not a folder of this user", self.folder.display());
        }
    }

    fn certify(&self) {
        drop(fs::remove_dir_all(self.tls()));
        self.programs.make_dir(&self.tls(), 0o755);
        tls::write(&self.tls());
        for entry in fs::read_dir(self.tls()).expect("list the certificates") {
            self.programs.give_away(&entry.expect("list the certificates").path());
        }
    }
}

impl Cluster {
    /// The version that is installed on this machine.
    pub fn system() -> &'static Cluster {
        static SYSTEM: OnceLock<Cluster> = OnceLock::new();
        SYSTEM.get_or_init(|| {
            let cluster = Cluster {
                run: Run::get(),
                programs: Programs::find(),
                name: "system".to_owned(),
                has_pgextwlist: true,
            };
            cluster.prepared(|| {})
        })
    }

    /// Another version, from a package of tests/embedded.
    pub fn embedded(major: u32) -> &'static Cluster {
        static EMBEDDED: [OnceLock<Cluster>; embedded::MAJORS.len()] =
            [const { OnceLock::new() }; embedded::MAJORS.len()];
        let place = embedded::MAJORS.iter().position(|it| *it == major);
        let place = place.unwrap_or_else(|| panic!("tests/embedded has no PostgreSQL {major}"));
        EMBEDDED[place].get_or_init(|| {
            let run = Run::get();
            let folder = run.folder.join(format!("programs-{major}"));
            let cluster = Cluster {
                run,
                programs: Programs::at(embedded::bin(&folder), major),
                name: major.to_string(),
                has_pgextwlist: false,
            };
            cluster.prepared(|| embedded::unpack(major, &folder))
        })
    }

    /// With its data folder made by the first to come, after `unpack`.
    fn prepared(self, unpack: impl FnOnce()) -> Cluster {
        let _lock = self.run.lock();
        self.run.once(&format!("prepared-{}", self.name), || {
            unpack();
            drop(fs::remove_dir_all(self.data()));
            self.initdb();
            self.set_up();
        });
        self
    }

    fn data(&self) -> PathBuf {
        self.run.folder.join(format!("prepared-{}", self.name))
    }

    /// A new server's folder with a copy of the prepared data in `data`.
    pub fn new_server_folder(&self, name: &str) -> PathBuf {
        let folder = self.run.folder.join(name);
        drop(fs::remove_dir_all(&folder)); // of a start that was killed half way
        // The tests themselves may run as another user than the server, and read from here.
        self.programs.make_dir(&folder, 0o755);
        let mut copy = self.programs.command_at(Path::new("cp"), &self.run.folder);
        copy.arg("-Rp").arg(self.data()).arg(folder.join("data"));
        must(copy.output(), "copy the prepared data folder");
        folder
    }

    fn initdb(&self) {
        let password_file = self.run.tls().join("admin-password");
        fs::write(&password_file, ADMIN_PASSWORD).expect("write the admin's password");
        self.programs.give_away(&password_file);
        // Linux has C.UTF-8 everywhere, macOS has not.
        let locale = if cfg!(target_os = "linux") { "C.UTF-8" } else { "C" };
        let mut initdb = self.programs.command("initdb", &self.run.folder);
        let data = self.programs.make_dir(&self.data(), 0o700);
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
        conf.write_all(BASE_CONF.as_bytes()).expect("write postgresql.conf");
        if self.has_pgextwlist {
            let list = EXTENSIONS.join(",");
            write!(
                conf,
                "session_preload_libraries = 'pgextwlist'\nextwlist.extensions = '{list}'\n"
            )
            .expect("write postgresql.conf");
        }
    }

    /// Single-user mode: no port, no log file, and the passwords in these statements stay out of
    /// the servers' logs.
    fn set_up(&self) {
        let mut single = self.programs.command("postgres", &self.run.folder);
        single.args(["--single", "-j", "-c", "exit_on_error=on", "-c", "log_statement=none", "-D"]);
        single.arg(self.data()).arg("postgres");
        single.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = single.spawn().expect("start postgres --single");
        let mut input = child.stdin.take().expect("piped");
        // A server that gave up early closes the pipe; its message says more than the pipe's.
        let load = self.has_pgextwlist.then_some("LOAD 'pgextwlist'");
        let first = load.into_iter().chain(RDSADMIN_DATABASE).map(str::to_owned);
        for statement in first.chain(setup_sql()) {
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
ssl = on
";
