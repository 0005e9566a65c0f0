//! The folder and the processes of a demo, and their end.
//!
//! A small shell script waits beside the demo until the pipe between them
//! closes; then it stops every process that was started here and removes the
//! folder. That way there is one road of cleaning up for success, failure,
//! Ctrl-C and SIGKILL alike. It starts nothing and knows no process but those
//! that [`Guard::command`] made.

use std::ffi::OsStr;
use std::fs::DirBuilder;
use std::os::unix::fs::{DirBuilderExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::process::{Child, Command};

/// Whom a process runs as: user and group id.
pub type Owner = (u32, u32);

/// The demo's folder and who cleans it up.
pub struct Guard {
    folder: PathBuf,
    script: Child,
}

/// Notes the process by which the guard finds it, under its final name only when complete, and
/// becomes the program. If the guard was quicker, there is no folder to write to, and no start.
const NOTED: &str = "echo \"$0 $$\" >pid.new && mv pid.new pid && exec \"$@\"";

/// Longer than the script takes at most.
const STOP_LIMIT: Duration = Duration::from_secs(15);

impl Guard {
    /// Starts the script and makes the folder.
    pub fn start() -> Result<Self> {
        let name = format!("execute-sql-demo-{:016x}", fastrand::u64(..));
        let folder = std::path::absolute(std::env::temp_dir().join(name))?;
        let script = Command::new("/bin/sh")
            .args(["-c", include_str!("guard.sh"), "guard"])
            .arg(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .context("start /bin/sh")?;
        // Others may pass through, for PostgreSQL does not run as root, but not look around.
        let made = DirBuilder::new().mode(0o711).create(&folder);
        made.with_context(|| format!("make folder `{}`", folder.display()))?;
        Ok(Self { folder, script })
    }

    /// The folder in which everything of the demo lives.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes a folder of its own for a process.
    pub fn make_folder(&self, name: &str, owner: Option<Owner>) -> Result<PathBuf> {
        let folder = self.folder.join(name);
        let made = DirBuilder::new().mode(0o700).create(&folder);
        made.with_context(|| format!("make folder `{}`", folder.display()))?;
        give(&folder, owner)?;
        Ok(folder)
    }

    /// A program that runs in `folder` and that the guard ends with `signal`. A folder has one
    /// such process at a time.
    pub fn command(folder: &Path, signal: &str, program: &Path, owner: Option<Owner>) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", NOTED, signal]).arg(program).current_dir(folder);
        command.stdin(Stdio::null()).process_group(0);
        if let Some((user, group)) = owner {
            command.uid(user).gid(group);
        }
        command
    }

    /// Ends everything; returns when nothing is left.
    pub async fn stop(mut self) -> Result<()> {
        drop(self.script.stdin.take());
        let ended = tokio::time::timeout(STOP_LIMIT, self.script.wait()).await;
        if ended.is_err() || self.folder.exists() {
            bail!("not everything could be stopped; look at `{}`", self.folder.display());
        }
        Ok(())
    }
}

/// Makes a file or folder somebody's.
pub fn give(path: &Path, owner: Option<Owner>) -> Result<()> {
    let Some((user, group)) = owner else {
        return Ok(());
    };
    chown(path, Some(user), Some(group)).with_context(|| format!("give away `{}`", path.display()))
}

/// The first program of that name in the folders.
pub fn find(name: &str, folders: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Option<PathBuf> {
    let paths = folders.into_iter().map(|folder| Path::new(&folder).join(name));
    paths.filter_map(|path| std::path::absolute(path).ok()).find(|path| path.is_file())
}

/// [`find`] on `PATH`.
pub fn find_on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    find(name, std::env::split_paths(&path))
}
