//! The PostgreSQL programs of this machine or of a package, and the user that they run as.
//!
//! PostgreSQL refuses to run as root, so root starts it as user `postgres`, who has to be able to
//! reach every file and folder that is made here.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// The PostgreSQL programs and whom to run them as.
pub struct Programs {
    bin: PathBuf,
    major: u32,
    /// User and group of `postgres`, when this process is root.
    user: Option<(u32, u32)>,
}

impl Programs {
    /// `PG_BIN`, else `pg_config --bindir`, else the newest of Debian's folders.
    pub fn find() -> Programs {
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
            .and_then(|version| version.split('.').next()?.parse().ok());
        Self::at(bin, version.expect("a version"))
    }

    /// Those in the folder `bin`.
    pub fn at(bin: PathBuf, major: u32) -> Programs {
        let is_root = user_id("-u", None) == 0;
        let user =
            is_root.then(|| (user_id("-u", Some("postgres")), user_id("-g", Some("postgres"))));
        Programs { bin, major, user }
    }

    pub fn major(&self) -> u32 {
        self.major
    }

    pub fn install_line(&self) -> String {
        format!("apt-get install postgresql-{0}-postgis-3 postgresql-{0}-pgextwlist", self.major)
    }

    /// A program of PostgreSQL's, to be run as its user, without this process's `PG*` settings.
    pub fn command(&self, program: &str, folder: &Path) -> Command {
        self.command_at(&self.bin.join(program), folder)
    }

    pub fn command_at(&self, program: &Path, folder: &Path) -> Command {
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
    pub fn base(&self) -> PathBuf {
        let candidates = [std::env::temp_dir(), "/tmp".into(), "/var/tmp".into()];
        let usable = |folder: &&PathBuf| {
            let mut cd = self.command_at(Path::new("/bin/sh"), Path::new("/"));
            cd.args(["-c", "cd \"$1\"", "sh"]).arg(folder).stderr(Stdio::null());
            folder.as_os_str().len() < 50 && cd.status().is_ok_and(|status| status.success())
        };
        let found = candidates.iter().find(usable);
        found.expect("a temporary folder that the server's user can enter").clone()
    }

    /// Makes a folder that belongs to the server's user.
    pub fn make_dir(&self, path: &Path, mode: u32) -> PathBuf {
        fs::create_dir(path).unwrap_or_else(|error| panic!("make {}: {error}", path.display()));
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("chmod a folder");
        self.give_away(path);
        path.to_owned()
    }

    pub fn give_away(&self, path: &Path) {
        if let Some((user, group)) = self.user {
            chown(path, Some(user), Some(group)).expect("chown to the server's user");
        }
    }
}

pub fn user_id(flag: &str, user: Option<&str>) -> u32 {
    let output = Command::new("id").arg(flag).args(user).output().expect("run id");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.trim().parse().unwrap_or_else(|_| {
        panic!("there is no user {user:?} to run PostgreSQL as: apt-get install postgresql-15")
    })
}

#[track_caller]
pub fn must(output: std::io::Result<Output>, what: &str) {
    let output = output.unwrap_or_else(|error| panic!("{what}: {error}"));
    assert!(
        output.status.success(),
        "{what}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}
