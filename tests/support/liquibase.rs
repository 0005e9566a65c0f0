//! The real Liquibase, against a database of the tests.
//!
//! It comes as an npm package (`tests/liquibase`) that carries its jars; `java` runs them without
//! the package's own script, and only those that a PostgreSQL needs: a third of the time of what
//! the script starts. Its settings are variables, so that no file of the user's has a say and the
//! password stands in no argument.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::{Database, GENEROUS, MASTER, MASTER_PASSWORD, Server};

/// What the `LIQUIBASE` column says.
pub const VERSION: &str = "4.28.0";

/// Of the package's jars; the others are drivers and the commercial part.
const JARS: [&str; 12] = [
    "liquibase-core",
    "commons-collections4",
    "commons-io",
    "commons-lang3",
    "commons-text",
    "jaxb-api",
    "jaxb-core",
    "jaxb-runtime",
    "opencsv",
    "picocli",
    "postgresql",
    "snakeyaml",
];

/// Liquibase over a database, with its changelogs in a folder.
pub struct Liquibase<'a> {
    pub database: &'a Database,
    pub folder: &'a Path,
}

/// What a command said.
pub struct Said {
    pub ok: bool,
    /// Standard output, then standard error.
    pub text: String,
}

/// A command that runs.
pub struct Started {
    child: Child,
    text: Arc<(Mutex<String>, Condvar)>,
    readers: Vec<JoinHandle<()>>,
}

impl Liquibase<'_> {
    /// Runs a command; it must succeed.
    #[track_caller]
    pub fn must(&self, arguments: &[&str]) -> String {
        let said = self.run(arguments);
        assert!(said.ok, "liquibase {arguments:?}\n{}", said.text);
        said.text
    }

    /// `update`; it must succeed.
    #[track_caller]
    pub fn update(&self, changelog: &str, more: &[&str]) -> String {
        let file = format!("--changelog-file={changelog}");
        self.must(&[&["update", file.as_str()], more].concat())
    }

    /// Whether `status` says that the database is up to date; if not, what it says.
    #[track_caller]
    pub fn status(&self, changelog: &str, more: &[&str]) -> Result<(), String> {
        let file = format!("--changelog-file={changelog}");
        let text = self.must(&[&["status", "--verbose", file.as_str()], more].concat());
        if text.contains(" is up to date") { Ok(()) } else { Err(text) }
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        let output = self.command(arguments).output().expect("run java");
        let Output { status, stdout, stderr } = output;
        let text = [stdout, stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat();
        Said { ok: status.success(), text }
    }

    pub fn start(&self, arguments: &[&str]) -> Started {
        let mut command = self.command(arguments);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("run java");
        let text = Arc::new((Mutex::new(String::new()), Condvar::new()));
        let readers = vec![
            reader(child.stdout.take().expect("piped"), &text),
            reader(child.stderr.take().expect("piped"), &text),
        ];
        Started { child, text, readers }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let server = Server::shared();
        // Without TLS where the server allows that: it is not what these tests are about.
        let url = format!(
            "jdbc:postgresql://{}:{}/{}?sslmode=allow",
            server.host(),
            server.port(),
            self.database.name
        );
        let mut command = Command::new(java());
        command
            .args(["-XX:TieredStopAtLevel=1", "-Xshare:auto", "-XX:+UseSerialGC", "-cp", &jars()])
            .arg("liquibase.integration.commandline.LiquibaseCommandLine")
            .args(arguments)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("LC_ALL", "C.UTF-8")
            .env("LIQUIBASE_SEARCH_PATH", self.folder)
            .env("LIQUIBASE_COMMAND_URL", url)
            .env("LIQUIBASE_COMMAND_USERNAME", MASTER)
            .env("LIQUIBASE_COMMAND_PASSWORD", MASTER_PASSWORD)
            .env("LIQUIBASE_HEADLESS", "true")
            .env("LIQUIBASE_SHOW_BANNER", "false")
            .current_dir(self.folder)
            .stdin(Stdio::null());
        command
    }
}

impl Started {
    /// Waits until it has said `words`; panics when it ends without, or says nothing like it in time.
    #[track_caller]
    pub fn wait_for(&self, words: &str) {
        let (text, changed) = &*self.text;
        let text = text.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(text, GENEROUS, |it| !it.contains(words));
        let text = waited.unwrap_or_else(PoisonError::into_inner).0;
        assert!(text.contains(words), "waited for {words:?}:\n{text}");
    }

    /// Waits for its end.
    pub fn wait(mut self) -> Said {
        let status = self.child.wait().expect("wait for java");
        for reader in std::mem::take(&mut self.readers) {
            reader.join().expect("read what java says");
        }
        let text = self.text.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Said { ok: status.success(), text }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn reader(
    mut from: impl Read + Send + 'static,
    text: &Arc<(Mutex<String>, Condvar)>,
) -> JoinHandle<()> {
    let text = Arc::clone(text);
    std::thread::spawn(move || {
        let mut piece = [0; 4096];
        while let Ok(count @ 1..) = from.read(&mut piece) {
            let said = String::from_utf8_lossy(&piece[..count]).into_owned();
            text.0.lock().unwrap_or_else(PoisonError::into_inner).push_str(&said);
            text.1.notify_all();
        }
    })
}

/// `JAVA_HOME`'s, else the one of `PATH`.
fn java() -> PathBuf {
    let home = std::env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    home.into_iter()
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join("java"))
        .find(|java| java.exists())
        .expect("Java is missing: apt-get install openjdk-17-jre-headless, or .ci/setup")
}

fn jars() -> String {
    let package = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/liquibase/node_modules/liquibase");
    let folder = Path::new(package).join("dist/liquibase/internal/lib");
    assert!(
        folder.join("liquibase-core.jar").exists(),
        "Liquibase is missing; run `npm ci` in tests/liquibase, or .ci/setup"
    );
    JARS.map(|name| format!("{}/{name}.jar", folder.display())).join(":")
}
