//! One thread that runs the async database driver for the blocking tests of this process.
//!
//! Connections live on that thread, so they are served while the test itself is busy elsewhere
//! (a statement that waits for a lock, say). Not for the code under test: it runs its own runtime.

use std::future::Future;
use std::sync::{OnceLock, mpsc};

use tokio::runtime::{Builder, Handle};

pub fn handle() -> &'static Handle {
    static HANDLE: OnceLock<Handle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        let runtime = Builder::new_current_thread().enable_all().build().expect("tokio runtime");
        let handle = runtime.handle().clone();
        std::thread::Builder::new()
            .name("support-runtime".into())
            .spawn(move || runtime.block_on(std::future::pending::<()>()))
            .expect("start the runtime's thread");
        handle
    })
}

/// Runs `future` on the runtime's thread and waits for its result.
pub fn block_on<F>(future: F) -> F::Output
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    start(future).recv().expect("the task on the support runtime panicked")
}

/// Runs `future` on the runtime's thread; the result comes through the channel.
pub fn start<F>(future: F) -> mpsc::Receiver<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (sender, receiver) = mpsc::channel();
    // The receiver may be gone: a test that ended does not want the result any more.
    handle().spawn(async move { drop(sender.send(future.await)) });
    receiver
}
