//! Plays AWS Lambda for the real `bootstrap`: starts the process with Lambda's environment, hands
//! it invocations over the Runtime API, takes its answers, and kills it at the deadline.
//!
//! One process serves one invocation after another, as in Lambda; after a death the next
//! invocation gets a new one. Not played: the freeze between invocations, the 10 s limit of the
//! init phase with its second try, retries of asynchronous invocations (see
//! [`Function::invoke_as`]).

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;

use super::environment::{Environment, Job, Next};
use super::processes::unique;

pub const FUNCTION_ARN: &str = "arn:aws:lambda:eu-west-1:123456789012:function:execute-sql";

#[derive(Debug, Clone)]
pub struct FunctionOptions {
    pub binary: PathBuf,
    /// On top of what Lambda sets, and stronger.
    pub env: Vec<(String, String)>,
    pub timeout: Duration,
    pub arn: String,
}

/// What became of an invocation, as the invoker of a function sees it.
#[derive(Debug, Clone, PartialEq)]
pub enum Invocation {
    Returned(Value),
    Threw {
        error_type: String,
        error_message: String,
    },
    /// The process ended without an answer (`Runtime.ExitError`).
    Died,
    /// The deadline passed without an answer; the process was killed.
    TimedOut,
}

pub struct Function {
    inner: Arc<Inner>,
}

/// An invocation under way.
pub struct Pending {
    pub request_id: String,
    delivered: mpsc::Receiver<()>,
    thread: JoinHandle<Invocation>,
}

struct Inner {
    options: FunctionOptions,
    log: File,
    /// Held during an invocation: the others wait for their turn.
    turn: Mutex<()>,
    environment: Mutex<Option<Arc<Environment>>>,
    last_request_id: Mutex<String>,
}

impl FunctionOptions {
    /// A function of 30 seconds with nothing set but what Lambda sets.
    pub fn new(binary: impl Into<PathBuf>) -> FunctionOptions {
        FunctionOptions {
            binary: binary.into(),
            env: Vec::new(),
            timeout: Duration::from_secs(30),
            arn: FUNCTION_ARN.into(),
        }
    }

    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> FunctionOptions {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> FunctionOptions {
        self.timeout = timeout;
        self
    }
}

impl Invocation {
    /// The value returned; panics on any other end.
    #[track_caller]
    pub fn returned(self) -> Value {
        match self {
            Invocation::Returned(value) => value,
            other => panic!("the function did not return but {other:?}"),
        }
    }
}

impl Function {
    pub fn start(options: FunctionOptions) -> Function {
        let inner = Inner {
            options,
            log: unnamed_file(),
            turn: Mutex::default(),
            environment: Mutex::default(),
            last_request_id: Mutex::default(),
        };
        inner.environment();
        Function { inner: Arc::new(inner) }
    }

    /// Invokes the function and waits for the end, at most its timeout.
    pub fn invoke(&self, body: &[u8]) -> Invocation {
        self.start_invoke(body).wait()
    }

    /// The same with another timeout.
    pub fn invoke_with(&self, timeout: Duration, body: &[u8]) -> Invocation {
        self.begin(&uuid(), timeout, body).wait()
    }

    /// Invokes under a given request id: the same one again is how Lambda retries.
    pub fn invoke_as(&self, request_id: &str, body: &[u8]) -> Invocation {
        self.begin(request_id, self.inner.options.timeout, body).wait()
    }

    /// Starts an invocation and returns at once.
    pub fn start_invoke(&self, body: &[u8]) -> Pending {
        self.begin(&uuid(), self.inner.options.timeout, body)
    }

    fn begin(&self, request_id: &str, timeout: Duration, body: &[u8]) -> Pending {
        let request_id = request_id.to_owned();
        request_id.clone_into(&mut lock(&self.inner.last_request_id));
        let (sender, delivered) = mpsc::channel();
        let job = Job {
            request_id: request_id.clone(),
            body: body.to_vec(),
            timeout,
            arn: self.inner.options.arn.clone(),
            on_delivery: sender,
        };
        let inner = Arc::clone(&self.inner);
        let thread = std::thread::spawn(move || inner.run(&job));
        Pending { request_id, delivered, thread }
    }

    pub fn last_request_id(&self) -> String {
        lock(&self.inner.last_request_id).clone()
    }

    /// SIGKILL, now; an invocation under way ends with [`Invocation::Died`].
    pub fn kill(&self) {
        let environment = lock(&self.inner.environment).clone();
        if let Some(environment) = environment {
            environment.kill();
        }
    }

    /// The process that serves invocations now; `None` when it has ended.
    pub fn pid(&self) -> Option<u32> {
        let environment = lock(&self.inner.environment).clone();
        environment
            .filter(|environment| environment.is_alive())
            .map(|environment| environment.pid())
    }

    /// All that the process, and those before it, wrote to stdout and stderr so far.
    pub fn log(&self) -> String {
        // By position: reading moves no offset that a process could share.
        let length = self.inner.log.metadata().expect("look at the log").len();
        let mut bytes = vec![0; usize::try_from(length).expect("the log fits into memory")];
        self.inner.log.read_exact_at(&mut bytes, 0).expect("read the log");
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.kill();
        // The listener ends with the environment, and its threads with the listener.
        lock(&self.inner.environment).take();
    }
}

impl Pending {
    /// Waits until the process has taken the invocation (or can no longer do so).
    pub fn wait_until_delivered(&self) {
        let _delivered_or_gone = self.delivered.recv();
    }

    pub fn is_done(&self) -> bool {
        self.thread.is_finished()
    }

    pub fn wait(self) -> Invocation {
        self.thread.join().expect("the invocation's thread panicked")
    }
}

impl Inner {
    fn run(&self, job: &Job) -> Invocation {
        let _turn = lock(&self.turn);
        loop {
            match self.environment().run(job) {
                Next::Done(invocation) => return invocation,
                // It served before and ended while idle: a new one does not know of that.
                Next::GoneBefore => {}
            }
        }
    }

    /// The living environment, or a new one.
    fn environment(&self) -> Arc<Environment> {
        let mut slot = lock(&self.environment);
        if let Some(environment) = slot.as_ref().filter(|environment| environment.is_alive()) {
            return Arc::clone(environment);
        }
        let environment = Arc::new(Environment::start(&self.options, &self.log));
        *slot = Some(Arc::clone(&environment));
        environment
    }
}

/// The log's file: a file, as a pipe would be read late; without a name, so nothing to remove.
fn unnamed_file() -> File {
    let path = std::env::temp_dir().join(format!("execute-sql-log-{}", unique()));
    let file = File::options().create_new(true).read(true).append(true).open(&path);
    let file = file.expect("make the function's log");
    std::fs::remove_file(&path).expect("take the log's name away");
    file
}

/// Something that looks like a version 4 UUID.
pub fn uuid() -> String {
    let digits = format!("{}{}{}", unique(), unique(), unique());
    let d = &digits[..32];
    format!("{}-{}-4{}-8{}-{}", &d[..8], &d[8..12], &d[13..16], &d[17..20], &d[20..])
}

pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
