//! One running PostgreSQL: its process, its port, its log.
//!
//! The process is started with no file of the test's and in a group of its own, so that the shared
//! server outlives the test that started it. Ports are taken from below the range from which the
//! system serves clients: a port stays ours over a restart.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::{Mutex, PoisonError};

use super::cluster::Cluster;
use super::processes::{children_of, is_alive, signal, unique};
use super::tls::Certificate;
use super::wait_until;

/// What makes a private server different.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// Lines for the end of `postgresql.conf`.
    pub conf: Vec<String>,
    /// Lines for the start of `pg_hba.conf`.
    pub hba: Vec<String>,
    pub certificate: Certificate,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Sessions get an error (57P01), the data are written.
    Fast,
    /// As if it crashed; sessions end without an error from the server (at most a warning).
    Immediate,
}

pub struct Instance {
    cluster: &'static Cluster,
    folder: PathBuf,
    port: u16,
    /// `None` inside for a server that is stopped; no `Mutex` for one that is shared.
    process: Option<Mutex<Option<Child>>>,
}

impl Settings {
    /// With this line in `postgresql.conf`.
    #[must_use]
    pub fn conf(mut self, line: &str) -> Settings {
        self.conf.push(line.to_owned());
        self
    }

    /// With this line at the start of `pg_hba.conf`.
    #[must_use]
    pub fn hba(mut self, line: &str) -> Settings {
        self.hba.push(line.to_owned());
        self
    }

    #[must_use]
    pub fn certificate(mut self, certificate: Certificate) -> Settings {
        self.certificate = certificate;
        self
    }
}

impl Instance {
    /// The server that another process (or this one) started under this name, if it still runs.
    pub fn join(cluster: &'static Cluster, name: &str) -> Option<Instance> {
        let folder = cluster.run.folder.join(name);
        let port = fs::read_to_string(folder.join("ready")).ok()?.parse().ok()?;
        let pid = fs::read_to_string(folder.join("server.pid")).ok()?.parse().ok()?;
        is_alive(pid).then_some(Instance { cluster, folder, port, process: None })
    }

    /// Starts a server; one whose name begins with `shared` is left running.
    pub fn start(cluster: &'static Cluster, name: &str, settings: &Settings) -> Instance {
        let folder = cluster.new_server_folder(name);
        let hba = "local all all scram-sha-256\n\
                   hostssl all all all scram-sha-256\n\
                   hostnossl all all all scram-sha-256\n";
        let hba = format!("{}\n{hba}", settings.hba.join("\n"));
        fs::write(folder.join("data/pg_hba.conf"), hba).expect("write pg_hba.conf");
        File::create(folder.join("server.log")).expect("make the log");
        let mut instance = Instance { cluster, folder, port: 0, process: None };
        // Another process may take the port between the look and the start.
        let (port, child) = (0..20)
            .find_map(|_| {
                instance.port = free_port();
                instance.write_conf(settings);
                Some((instance.port, instance.launch()?))
            })
            .unwrap_or_else(|| panic!("PostgreSQL does not start:\n{}", instance.log()));
        if name.starts_with("shared") {
            // Written last: it tells the others that all is there.
            fs::write(instance.folder.join("ready"), port.to_string()).expect("note the port");
        } else {
            instance.process = Some(Mutex::new(Some(child)));
        }
        instance
    }

    pub fn is_private(&self) -> bool {
        self.process.is_some()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn socket_folder(&self) -> &PathBuf {
        &self.folder
    }

    pub fn log_path(&self) -> PathBuf {
        self.folder.join("server.log")
    }

    pub fn pid(&self) -> u32 {
        self.with_process(|process| process.as_ref().expect("the server is running").id())
    }

    pub fn kill(&self) {
        self.with_process(|process| {
            let Some(mut postmaster) = process.take() else { return };
            // Stopped first, so that it starts no more children while they are looked up.
            signal("STOP", &[postmaster.id()]);
            let children = children_of(postmaster.id());
            postmaster.kill().expect("kill the postmaster");
            signal("KILL", &children);
            postmaster.wait().expect("wait for the postmaster");
            wait_until("the server's processes are gone", || {
                !children.iter().any(|pid| is_alive(*pid))
            });
            drop(fs::remove_file(self.folder.join("server.pid")));
        });
    }

    pub fn stop(&self, how: Stop) {
        let signal_name = match how {
            Stop::Fast => "INT",
            Stop::Immediate => "QUIT",
        };
        self.with_process(|process| {
            let Some(mut postmaster) = process.take() else { return };
            signal(signal_name, &[postmaster.id()]);
            wait_until("the server stops", || postmaster.try_wait().is_ok_and(|it| it.is_some()));
            drop(fs::remove_file(self.folder.join("server.pid")));
        });
    }

    /// Restarts as a standby that follows nobody: it reads and takes no writes.
    pub fn restart_as_reader(&self) {
        self.stop(Stop::Fast);
        fs::write(self.folder.join("data/standby.signal"), "").expect("write standby.signal");
        self.restart();
    }

    pub fn restart(&self) {
        self.stop(Stop::Fast);
        let child = self.launch();
        let child = child.unwrap_or_else(|| panic!("it does not start again:\n{}", self.log()));
        self.with_process(|process| *process = Some(child));
    }

    fn with_process<T>(&self, work: impl FnOnce(&mut Option<Child>) -> T) -> T {
        let process = self.process.as_ref().expect("a private server");
        work(&mut process.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.log_path()).unwrap_or_default()).into_owned()
    }

    fn write_conf(&self, settings: &Settings) {
        let tls = self.cluster.run.tls();
        let lines = [
            format!("port = {}", self.port),
            "listen_addresses = '127.0.0.1'".to_owned(),
            format!("unix_socket_directories = '{}'", self.folder.display()),
            format!("ssl_cert_file = '{}'", settings.certificate.cert_path(&tls).display()),
            format!("ssl_key_file = '{}'", settings.certificate.key_path(&tls).display()),
        ];
        let mut file = fs::OpenOptions::new()
            .append(true)
            .open(self.folder.join("data/postgresql.conf"))
            .expect("open postgresql.conf");
        for line in lines.iter().chain(&settings.conf) {
            writeln!(file, "{line}").expect("write postgresql.conf");
        }
    }

    /// Starts the postmaster and waits until it takes connections; `None` if it gave up.
    fn launch(&self) -> Option<Child> {
        let log = fs::OpenOptions::new().append(true).open(self.log_path()).expect("open the log");
        let data = self.folder.join("data");
        let mut postmaster = self.cluster.programs.command("postgres", &self.folder);
        postmaster.arg("-D").arg(&data).process_group(0);
        postmaster.stdout(log.try_clone().expect("a handle of the log")).stderr(log);
        let mut child = postmaster.stdin(Stdio::null()).spawn().expect("start postgres");
        let pid = child.id();
        fs::write(self.folder.join("server.pid"), pid.to_string()).expect("note the pid");
        let mut ended = false;
        wait_until("PostgreSQL takes connections", || {
            ended = child.try_wait().is_ok_and(|status| status.is_some());
            // First line: the pid (a killed server's file may still be there), eighth: its state.
            let state = fs::read_to_string(data.join("postmaster.pid")).unwrap_or_default();
            let mut lines = state.lines();
            let ready = lines.next() == Some(&pid.to_string())
                && lines.nth(6).is_some_and(|state| state.trim() == "ready");
            ended || ready
        });
        if ended {
            drop(fs::remove_file(self.folder.join("server.pid")));
            return None;
        }
        Some(child)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.is_private() {
            self.kill();
            drop(fs::remove_dir_all(&self.folder));
        }
    }
}

/// A port below the system's own range (from 32768 on Linux) that nobody listens on now.
pub fn free_port() -> u16 {
    loop {
        let random = u16::from_str_radix(&unique()[..4], 16).expect("hex digits");
        let port = 15_000 + random % 17_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
