//! A small HTTP/1.1 server for the stand-ins, one thread per connection.
//!
//! By hand, because the stand-ins must see requests as they were sent (the target byte for byte,
//! every header) and must be able to misbehave: answer late, never, or with a reset.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::runtime;

/// A request as it came.
#[derive(Debug, Clone, Default)]
pub struct Request {
    pub method: String,
    /// Path and query, untouched.
    pub target: String,
    /// In the order and with the case in which they were sent.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// The value of the first header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A listening socket on 127.0.0.1; closed, with all its connections, when dropped.
pub struct Listener {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stopped: AtomicBool,
    next: AtomicU64,
    open: Mutex<HashMap<u64, TcpStream>>,
}

/// One client's connection.
pub struct Connection {
    reader: BufReader<TcpStream>,
    shared: Arc<Shared>,
}

impl Listener {
    /// Calls `serve` on a new thread for each connection.
    pub fn start(serve: impl Fn(Connection) + Send + Sync + 'static) -> Listener {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("listen on the loopback");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let serve = Arc::new(serve);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let Ok(copy) = stream.try_clone() else { continue };
                // Answers are small and waited for.
                drop(stream.set_nodelay(true));
                let number = of_thread.next.fetch_add(1, Ordering::SeqCst);
                of_thread.lock().insert(number, copy);
                let (shared, serve) = (Arc::clone(&of_thread), Arc::clone(&serve));
                std::thread::spawn(move || {
                    let reader = BufReader::new(stream);
                    serve(Connection { reader, shared: Arc::clone(&shared) });
                    shared.lock().remove(&number);
                });
            }
        });
        Listener { address, shared }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://127.0.0.1:port`
    pub fn origin(&self) -> String {
        format!("http://{}", self.address)
    }

    /// How many connections are being served.
    pub fn open_connections(&self) -> usize {
        self.shared.lock().len()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(self.address));
        for stream in self.shared.lock().values() {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<u64, TcpStream>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connection {
    /// True when the listener is gone: whoever waits in a handler must give up.
    pub fn is_stopped(&self) -> bool {
        self.shared.stopped.load(Ordering::SeqCst)
    }

    /// The next request; `None` when the client is gone or what it says is no HTTP.
    pub fn read(&mut self) -> Option<Request> {
        let line = self.line()?;
        let mut words = line.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut request = Request { method, target, ..Request::default() };
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':')?;
            request.headers.push((name.to_owned(), value.trim().to_owned()));
        }
        if request.header("expect").is_some() {
            self.reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n").ok()?;
        }
        let chunked = request.header("transfer-encoding").is_some_and(|it| it.contains("chunked"));
        request.body = if chunked {
            self.chunks()?
        } else {
            let length = request.header("content-length").map_or(Some(0), |it| it.parse().ok())?;
            self.bytes(length)?
        };
        Some(request)
    }

    /// Answers the request just read; the connection stays open. A `content-length` among the
    /// headers is sent instead of the true one.
    pub fn answer(&mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) {
        let mut answer = format!("HTTP/1.1 {status} {}\r\n", reason(status));
        for (name, value) in headers {
            write!(answer, "{name}: {value}\r\n").expect("a string takes all");
        }
        if !headers.iter().any(|(name, _)| *name == "content-length") {
            write!(answer, "content-length: {}\r\n", body.len()).expect("a string takes all");
        }
        answer.push_str("\r\n");
        let mut answer = answer.into_bytes();
        answer.extend_from_slice(body);
        // The client may be gone, and that is its right.
        drop(self.reader.get_mut().write_all(&answer));
    }

    /// Cuts the connection: the client sees "connection reset", not an orderly end.
    pub fn reset(self) {
        reset(self.reader.get_ref());
    }

    fn line(&mut self) -> Option<String> {
        let mut line = Vec::new();
        self.reader.read_until(b'\n', &mut line).ok()?;
        if line.pop() != Some(b'\n') {
            return None;
        }
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        Some(String::from_utf8_lossy(&line).into_owned())
    }

    fn bytes(&mut self, length: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes).ok()?;
        Some(bytes)
    }

    fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = self.line()?;
            let length = usize::from_str_radix(line.split(';').next()?.trim(), 16).ok()?;
            if length == 0 {
                // Trailers, up to the empty line.
                while !self.line()?.is_empty() {}
                return Some(body);
            }
            body.extend(self.bytes(length)?);
            self.line()?;
        }
    }
}

/// Makes the close of this connection a reset. The standard library cannot set `SO_LINGER`; tokio
/// can.
pub fn reset(stream: &TcpStream) {
    let Ok(copy) = stream.try_clone() else { return };
    drop(stream.set_nonblocking(true));
    let lingered = runtime::block_on(async move {
        let copy = tokio::net::TcpStream::from_std(copy)?;
        copy.set_zero_linger()
    });
    drop(lingered);
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        202 => "Accepted",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        500 => "Internal Server Error",
        503 => "Slow Down",
        _ => "Status",
    }
}
