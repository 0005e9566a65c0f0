//! One execution environment of Lambda's: a process, and the Runtime API that it talks to.
//!
//! Each process gets a server of its own, so what a dead one had asked for can never be answered
//! to its successor.

use std::fs::File;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::GENEROUS;
use super::http::{Connection, Listener, Request};
use super::lambda::{FunctionOptions, Invocation, lock};

const API: &str = "/2018-06-01/runtime/";
/// How often a waiting thread looks whether the process has ended.
const LOOK: Duration = Duration::from_millis(10);

/// An invocation to be served.
pub struct Job {
    pub request_id: String,
    pub body: Vec<u8>,
    pub timeout: Duration,
    pub arn: String,
    pub on_delivery: mpsc::Sender<()>,
}

pub enum Next {
    Done(Invocation),
    /// The process had served (or waited) before, and ended before it took this one.
    GoneBefore,
}

pub struct Environment {
    process: Mutex<Child>,
    api: Arc<Api>,
    listener: Listener,
    started: Instant,
}

#[derive(Default)]
struct Api {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    current: Option<Current>,
    /// The process waits for an invocation now.
    is_idle: bool,
    /// It has done so at least once: the init phase is over.
    is_ready: bool,
    init_error: Option<Invocation>,
}

struct Current {
    request_id: String,
    headers: Vec<(&'static str, String)>,
    timeout: Duration,
    body: Vec<u8>,
    on_delivery: mpsc::Sender<()>,
    delivered: Option<Instant>,
    result: Option<Invocation>,
}

impl Environment {
    pub fn start(options: &FunctionOptions, log: &File) -> Environment {
        let api = Arc::new(Api::default());
        let served = Arc::clone(&api);
        let listener = Listener::start(move |connection| served.serve(connection));
        let task_root = options.binary.parent().unwrap_or(Path::new("/"));
        let mut command = Command::new(&options.binary);
        command.env_clear().envs(lambda_env(&format!("127.0.0.1:{}", listener.port()), task_root));
        // For coverage of the real binary; nothing of Lambda's.
        command.envs(std::env::var_os("LLVM_PROFILE_FILE").map(|it| ("LLVM_PROFILE_FILE", it)));
        command.envs(options.env.iter().cloned()).current_dir(task_root).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a handle of the log"));
        command.stderr(log.try_clone().expect("a handle of the log"));
        let process = command
            .spawn()
            .unwrap_or_else(|error| panic!("start {}: {error}", options.binary.display()));
        Environment { process: Mutex::new(process), api, listener, started: Instant::now() }
    }

    pub fn pid(&self) -> u32 {
        lock(&self.process).id()
    }

    pub fn is_alive(&self) -> bool {
        lock(&self.process).try_wait().is_ok_and(|status| status.is_none())
    }

    pub fn kill(&self) {
        let mut process = lock(&self.process);
        // It may have ended by itself.
        drop(process.kill());
        drop(process.wait());
    }

    /// Has the process serve `job`; one at a time.
    pub fn run(&self, job: &Job) -> Next {
        self.api.offer(job);
        let next = self.wait();
        lock(&self.api.state).current = None;
        if matches!(next, Next::Done(Invocation::Returned(_) | Invocation::Threw { .. })) {
            self.wait_until_idle(job.timeout);
        }
        next
    }

    fn wait(&self) -> Next {
        let mut state = lock(&self.api.state);
        loop {
            if let Some(invocation) = state.outcome() {
                return Next::Done(invocation);
            }
            if !self.is_alive() {
                drop(state);
                return self.after_death();
            }
            let delivered =
                state.current.as_ref().and_then(|job| Some((job.delivered?, job.timeout)));
            match delivered {
                Some((at, timeout)) if at.elapsed() >= timeout => {
                    drop(state);
                    self.kill();
                    return Next::Done(Invocation::TimedOut);
                }
                // Lambda has 10 s for this; a busy test machine may need more.
                None if !state.is_ready && self.started.elapsed() > GENEROUS => {
                    drop(state);
                    self.kill();
                    return Next::Done(Invocation::TimedOut);
                }
                _ => {}
            }
            state = self.api.wait(state, LOOK);
        }
    }

    /// The process has ended; what it sent before that still counts.
    fn after_death(&self) -> Next {
        let ended = Instant::now();
        loop {
            let mut state = lock(&self.api.state);
            if let Some(invocation) = state.outcome() {
                return Next::Done(invocation);
            }
            // A thread that waits for an invocation to hand out does not notice the death.
            let reading =
                self.listener.open_connections().saturating_sub(usize::from(state.is_idle));
            if reading == 0 || ended.elapsed() > Duration::from_secs(5) {
                let delivered = state.current.as_ref().is_some_and(|job| job.delivered.is_some());
                // From here on nobody takes it.
                state.current = None;
                let gone_before = state.is_ready && !delivered;
                return if gone_before { Next::GoneBefore } else { Next::Done(Invocation::Died) };
            }
            drop(self.api.wait(state, LOOK));
        }
    }

    /// Lambda takes an environment as busy until it asks for the next invocation; until then it
    /// may also write log lines.
    fn wait_until_idle(&self, limit: Duration) {
        let start = Instant::now();
        let mut state = lock(&self.api.state);
        while !state.is_idle && start.elapsed() < limit && self.is_alive() {
            state = self.api.wait(state, LOOK);
        }
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.kill();
    }
}

impl State {
    fn outcome(&mut self) -> Option<Invocation> {
        self.current.as_mut().and_then(|job| job.result.take()).or_else(|| self.init_error.take())
    }
}

impl Api {
    fn wait<'a>(
        &self,
        state: std::sync::MutexGuard<'a, State>,
        limit: Duration,
    ) -> std::sync::MutexGuard<'a, State> {
        let waited = self.changed.wait_timeout(state, limit);
        waited.unwrap_or_else(std::sync::PoisonError::into_inner).0
    }

    fn offer(&self, job: &Job) {
        let headers = vec![
            ("Lambda-Runtime-Aws-Request-Id", job.request_id.clone()),
            ("Lambda-Runtime-Invoked-Function-Arn", job.arn.clone()),
            ("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700".to_owned()),
            ("Content-Type", "application/json".to_owned()),
        ];
        lock(&self.state).current = Some(Current {
            request_id: job.request_id.clone(),
            headers,
            timeout: job.timeout,
            body: job.body.clone(),
            on_delivery: job.on_delivery.clone(),
            delivered: None,
            result: None,
        });
        self.changed.notify_all();
    }

    fn serve(&self, mut connection: Connection) {
        while let Some(request) = connection.read() {
            let path = request.target.strip_prefix(API).unwrap_or_default().to_owned();
            match (request.method.as_str(), path.split('/').collect::<Vec<_>>().as_slice()) {
                ("GET", ["invocation", "next"]) => self.hand_out(&mut connection),
                ("POST", ["init", "error"]) => {
                    lock(&self.state).init_error = Some(thrown(&request));
                    self.changed.notify_all();
                    accept(&mut connection);
                }
                ("POST", ["invocation", id, "response"]) => {
                    let value = serde_json::from_slice(&request.body).unwrap_or_else(|_| {
                        Value::String(String::from_utf8_lossy(&request.body).into_owned())
                    });
                    self.take(&mut connection, id, Invocation::Returned(value));
                }
                ("POST", ["invocation", id, "error"]) => {
                    self.take(&mut connection, id, thrown(&request));
                }
                _ => connection.answer(404, &[], b"{}"),
            }
        }
        self.changed.notify_all();
    }

    /// Waits for an invocation, as long as it takes.
    fn hand_out(&self, connection: &mut Connection) {
        let mut state = lock(&self.state);
        state.is_idle = true;
        state.is_ready = true;
        self.changed.notify_all();
        loop {
            if connection.is_stopped() {
                return;
            }
            if let Some(job) = state.current.as_mut().filter(|job| job.delivered.is_none()) {
                let deadline = SystemTime::now() + job.timeout;
                let deadline = deadline.duration_since(UNIX_EPOCH).expect("it is past 1970");
                let deadline = deadline.as_millis().to_string();
                let mut headers = vec![("Lambda-Runtime-Deadline-Ms", deadline.as_str())];
                headers.extend(job.headers.iter().map(|(name, value)| (*name, value.as_str())));
                job.delivered = Some(Instant::now());
                connection.answer(200, &headers, &job.body);
                // The test may not wait for it.
                let _waited_for = job.on_delivery.send(());
                state.is_idle = false;
                return;
            }
            state = self.wait(state, Duration::from_secs(1));
        }
    }

    fn take(&self, connection: &mut Connection, request_id: &str, result: Invocation) {
        let mut state = lock(&self.state);
        match state.current.as_mut().filter(|job| job.request_id == request_id) {
            Some(job) if job.result.is_none() => {
                job.result = Some(result);
                drop(state);
                self.changed.notify_all();
                accept(connection);
            }
            _ => connection.answer(400, &[], br#"{"errorType":"InvalidRequestID"}"#),
        }
    }
}

fn accept(connection: &mut Connection) {
    connection.answer(202, &[("Content-Type", "application/json")], br#"{"status":"OK"}"#);
}

fn thrown(request: &Request) -> Invocation {
    let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
    let field = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
    Invocation::Threw { error_type: field("errorType"), error_message: field("errorMessage") }
}

/// What a function of runtime provided.al2023 finds in its environment.
fn lambda_env(api: &str, task_root: &Path) -> Vec<(&'static str, String)> {
    let fixed = [
        ("AWS_LAMBDA_FUNCTION_NAME", "execute-sql"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/execute-sql"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/01/31/[$LATEST]0123456789abcdef0123456789abcdef"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_DEFAULT_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "ASIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("AWS_SESSION_TOKEN", "IQoJb3JpZ2luX2VjEXAMPLETOKEN"),
        ("_HANDLER", "bootstrap"),
        ("TZ", ":UTC"),
        ("LANG", "en_US.UTF-8"),
        ("PATH", "/usr/local/bin:/usr/bin/:/bin:/opt/bin"),
        ("LD_LIBRARY_PATH", "/lib64:/usr/lib64:/var/runtime:/var/runtime/lib:/var/task:/opt/lib"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
    ];
    let mut env: Vec<_> = fixed.map(|(name, value)| (name, value.to_owned())).into();
    env.push(("AWS_LAMBDA_RUNTIME_API", api.to_owned()));
    // /var/task in Lambda; here the folder where the binary is.
    env.push(("LAMBDA_TASK_ROOT", task_root.display().to_string()));
    env
}
