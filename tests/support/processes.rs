//! Processes: who runs this test, who is alive, signals, and the guardian that cleans up.
//!
//! A test process may die without a word (nextest kills it at its time limit), so what has to go
//! away is not left to `Drop` alone. The guardian is a detached shell loop that waits for the end
//! of the run, stops the servers by their pids and removes the run's folder. Signals go through
//! the shell's builtin `kill`: no `unsafe`, no extra crate.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

/// The run this process belongs to.
pub struct RunId {
    /// The same for all test processes of a run, different between runs.
    pub key: String,
    /// The process whose end is the end of the run.
    pub watched: u32,
}

/// nextest's or cargo's process if one of them started this one, else this process: a test binary
/// started by hand must not leave a server behind for as long as the shell lives.
pub fn run_id() -> RunId {
    let mut watched = std::process::id();
    let mut ancestor = std::os::unix::process::parent_id();
    while ancestor > 1 {
        let Some((parent, name)) = parent_and_name(ancestor) else { break };
        if name.starts_with("cargo") {
            watched = ancestor;
            break;
        }
        ancestor = parent;
    }
    // A pid alone comes round again; with the start time it does not.
    let run = std::env::var("NEXTEST_RUN_ID").unwrap_or_default();
    RunId { key: short_hash(&format!("{run} {watched} {}", start_time(watched))), watched }
}

/// Twelve hex digits that stand for `text`.
pub fn short_hash(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().take(6).map(|byte| format!("{byte:02x}")).collect()
}

/// Something no other process, thread or moment has.
pub fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let now = std::time::UNIX_EPOCH.elapsed().expect("the clock is past 1970").as_nanos();
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    short_hash(&format!("{} {count} {now}", std::process::id()))
}

/// The fields of `/proc/<pid>/stat` after the name, which is in parentheses and may hold anything.
fn stat(pid: u32) -> Option<(String, Vec<String>)> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, tail) = line.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    Some((name, tail.split_whitespace().map(str::to_owned).collect()))
}

fn parent_and_name(pid: u32) -> Option<(u32, String)> {
    if let Some((name, fields)) = stat(pid) {
        return Some((fields.get(1)?.parse().ok()?, name));
    }
    // No /proc (macOS): ask ps.
    let line = ps(&["-o", "ppid=,comm=", "-p", &pid.to_string()])?;
    let (parent, path) = line.trim().split_once(char::is_whitespace)?;
    Some((parent.parse().ok()?, path.rsplit('/').next()?.to_owned()))
}

fn start_time(pid: u32) -> String {
    stat(pid)
        .and_then(|(_, fields)| fields.get(19).cloned())
        .or_else(|| ps(&["-o", "lstart=", "-p", &pid.to_string()]))
        .unwrap_or_default()
}

fn ps(arguments: &[&str]) -> Option<String> {
    let output = Command::new("ps").args(arguments).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Running, that is: it exists and is not a zombie that nobody has waited for yet.
pub fn is_alive(pid: u32) -> bool {
    match stat(pid) {
        Some((_, fields)) => fields.first().is_none_or(|state| state != "Z"),
        None => !Path::new("/proc/self").exists() && signal("0", &[pid]),
    }
}

pub fn children_of(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| parent_and_name(*pid).is_some_and(|(of, _)| of == parent);
    match fs::read_dir("/proc") {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter(is_child)
            .collect(),
        Err(_) => ps(&["-A", "-o", "pid="])
            .unwrap_or_default()
            .split_whitespace()
            .filter_map(|pid| pid.parse().ok())
            .filter(is_child)
            .collect(),
    }
}

/// The command lines of all processes that have to do with `folder`: they work below it, or it is
/// among their arguments or in their environment. Those of other users are found as far as this one
/// may look. Linux only.
pub fn of_folder(folder: &Path) -> Vec<String> {
    let name = folder.as_os_str().as_encoded_bytes();
    let mentions = |text: &[u8]| text.windows(name.len()).any(|part| part == name);
    let command_line = |process: PathBuf| {
        let line = fs::read(process.join("cmdline")).unwrap_or_default();
        let is_inside = fs::read_link(process.join("cwd")).is_ok_and(|it| it.starts_with(folder));
        let is_told = fs::read(process.join("environ")).is_ok_and(|it| mentions(&it));
        (is_inside || is_told || mentions(&line))
            .then(|| String::from_utf8_lossy(&line).replace('\0', " "))
    };
    let processes = fs::read_dir("/proc").expect("list the processes");
    processes.filter_map(|entry| command_line(entry.ok()?.path())).collect()
}

/// Sends a signal (`KILL`, `QUIT`, …) to exactly these processes; false if one was gone.
pub fn signal(name: &str, pids: &[u32]) -> bool {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    if pids.is_empty() {
        return true;
    }
    Command::new("sh")
        .args(["-c", "name=$1; shift; kill -s \"$name\" \"$@\"", "sh", name])
        .args(pids)
        .stderr(Stdio::null())
        .status()
        .expect("run sh")
        .success()
}

/// `$1`: the process to watch, `$2`: the run's folder, where each server keeps a `server.pid`.
///
/// Tests may outlive a killed runner and be just about to start a server, so it goes on until the
/// folder stays away.
const GUARDIAN: &str = r#"
alive() { kill -0 "$1" 2>/dev/null && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
while alive "$1"; do sleep 0.2; done
seen_away=0
while [ "$seen_away" -lt 10 ]; do
    if [ ! -e "$2" ]; then
        seen_away=$((seen_away + 1))
        sleep 0.1
        continue
    fi
    seen_away=0
    for file in "$2"/*/server.pid; do
        [ -f "$file" ] || continue
        pid=$(cat "$file")
        [ -n "$pid" ] || continue
        kill -s QUIT "$pid" 2>/dev/null
        tries=0
        while alive "$pid" && [ "$tries" -lt 100 ]; do sleep 0.1; tries=$((tries + 1)); done
        alive "$pid" && kill -s KILL "$pid" 2>/dev/null
    done
    rm -rf "$2" 2>/dev/null || sleep 0.1
done
"#;

/// Starts the guardian of a run. It holds no file of the test's (nextest reports inherited output
/// as a leak) and is in a group of its own (nextest kills the test's group, Ctrl-C the terminal's).
pub fn start_guardian(watched: u32, folder: &Path) {
    Command::new("sh")
        .args(["-c", GUARDIAN, "execute-sql-guardian", &watched.to_string()])
        .arg(folder)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .spawn()
        .expect("start the guardian");
}
