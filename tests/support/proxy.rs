//! A TCP proxy in front of PostgreSQL, for failures of the network and for counting round trips.
//!
//! A mode holds for connections that come after it is set; `cut` and `freeze` act on those that
//! are open. What passes is not understood: TLS goes through as it is.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use super::http::reset;
use super::instance::free_port;
use super::lambda::lock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything goes through.
    Pass,
    /// Nobody listens: connection refused.
    Refuse,
    /// Takes the connection and all that is sent, and never says a word.
    Blackhole,
    /// Answers with something that is not PostgreSQL's protocol, and ends.
    Garbage,
    /// Ends the connection once this side has sent so many bytes; they are delivered first.
    CloseAfter { from: Side, bytes: u64 },
}

pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    accepting: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    upstream: String,
    /// Set for the accepting thread to end and the port to close.
    closing: AtomicBool,
    mode: Mutex<Mode>,
    streams: Mutex<Vec<TcpStream>>,
    frozen: Mutex<bool>,
    thawed: Condvar,
    round_trips: AtomicU64,
    connections: AtomicU64,
}

/// One client's way through.
struct Route {
    shared: Arc<Shared>,
    mode: Mode,
    client: TcpStream,
    server: TcpStream,
    /// The next bytes from the client are a new flight.
    server_spoke: AtomicBool,
}

impl Proxy {
    /// In front of `upstream` (`host:port`), in mode [`Mode::Pass`].
    pub fn start(upstream: &str) -> Proxy {
        let proxy = Proxy {
            address: SocketAddr::from(([127, 0, 0, 1], free_port())),
            shared: Arc::new(Shared {
                upstream: upstream.to_owned(),
                closing: AtomicBool::new(false),
                mode: Mutex::new(Mode::Pass),
                streams: Mutex::default(),
                frozen: Mutex::new(false),
                thawed: Condvar::new(),
                round_trips: AtomicU64::new(0),
                connections: AtomicU64::new(0),
            }),
            accepting: Mutex::new(None),
        };
        proxy.listen();
        proxy
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// For the connections to come.
    pub fn set(&self, mode: Mode) {
        *lock(&self.shared.mode) = mode;
        if mode == Mode::Refuse {
            self.close();
        } else {
            self.listen();
        }
    }

    /// Resets all open connections.
    pub fn cut(&self) {
        for stream in lock(&self.shared.streams).drain(..) {
            reset(&stream);
            drop(stream.shutdown(Shutdown::Both));
        }
    }

    /// Holds back all that is sent, as when the network is gone in the middle of a session.
    pub fn freeze(&self) {
        *lock(&self.shared.frozen) = true;
    }

    /// Lets what was held back go on.
    pub fn thaw(&self) {
        *lock(&self.shared.frozen) = false;
        self.shared.thawed.notify_all();
    }

    /// How often a client spoke and then waited for the server, over all connections since the
    /// start: requests sent in one go count once. Those of the TLS handshake and of the login are
    /// among them.
    pub fn round_trips(&self) -> u64 {
        self.shared.round_trips.load(Ordering::SeqCst)
    }

    /// How many connections were taken since the start.
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::SeqCst)
    }

    fn listen(&self) {
        let mut accepting = lock(&self.accepting);
        if accepting.is_some() {
            return;
        }
        let listener = TcpListener::bind(self.address).expect("listen on the proxy's port");
        self.shared.closing.store(false, Ordering::SeqCst);
        let shared = Arc::clone(&self.shared);
        *accepting = Some(std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.closing.load(Ordering::SeqCst) {
                    return;
                }
                if let Ok(stream) = stream {
                    shared.connections.fetch_add(1, Ordering::SeqCst);
                    let shared = Arc::clone(&shared);
                    std::thread::spawn(move || shared.serve(stream));
                }
            }
        }));
    }

    fn close(&self) {
        if let Some(thread) = lock(&self.accepting).take() {
            self.shared.closing.store(true, Ordering::SeqCst);
            // Wakes the thread, which then drops the listener.
            drop(TcpStream::connect(self.address));
            thread.join().expect("the accepting thread panicked");
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.close();
        self.cut();
        self.thaw();
    }
}

impl Shared {
    fn serve(self: Arc<Self>, client: TcpStream) {
        drop(client.set_nodelay(true));
        let mode = *lock(&self.mode);
        self.remember(&client);
        match mode {
            Mode::Blackhole => swallow(client),
            Mode::Garbage => {
                let mut stream = &client;
                // After the client's first words, so that it is listening.
                drop(stream.read(&mut [0; 1024]));
                drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"));
                // Ended, as an HTTP server would: held open, it is a second `Blackhole`, for a
                // client may take the text for a length and wait for the rest.
                drop(stream.shutdown(Shutdown::Both));
            }
            Mode::Refuse => reset(&client),
            Mode::Pass | Mode::CloseAfter { .. } => {
                let Ok(server) = TcpStream::connect(&self.upstream) else { return reset(&client) };
                drop(server.set_nodelay(true));
                self.remember(&server);
                let server_spoke = AtomicBool::new(true);
                let route = Route { shared: self, mode, client, server, server_spoke };
                std::thread::scope(|scope| {
                    scope.spawn(|| route.forward(Side::Client));
                    route.forward(Side::Server);
                });
            }
        }
    }

    fn remember(&self, stream: &TcpStream) {
        if let Ok(copy) = stream.try_clone() {
            lock(&self.streams).push(copy);
        }
    }

    fn wait_while_frozen(&self) {
        let frozen = lock(&self.frozen);
        let thawed = self.thawed.wait_while(frozen, |frozen| *frozen);
        drop(thawed.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Route {
    /// Passes on what `from` sends until one of the two is gone.
    fn forward(&self, from: Side) {
        let (mut source, mut target) = match from {
            Side::Client => (&self.client, &self.server),
            Side::Server => (&self.server, &self.client),
        };
        let mut left = match self.mode {
            Mode::CloseAfter { from: side, bytes } if side == from => bytes,
            _ => u64::MAX,
        };
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = match source.read(&mut buffer) {
                Ok(0) | Err(_) => break,
                Ok(length) => length,
            };
            self.shared.wait_while_frozen();
            match from {
                Side::Client if self.server_spoke.swap(false, Ordering::SeqCst) => {
                    self.shared.round_trips.fetch_add(1, Ordering::SeqCst);
                }
                Side::Client => {}
                Side::Server => self.server_spoke.store(true, Ordering::SeqCst),
            }
            let allowed = usize::try_from(left).unwrap_or(usize::MAX).min(length);
            left -= allowed as u64;
            if target.write_all(&buffer[..allowed]).is_err() {
                break;
            }
            if left == 0 {
                return self.end();
            }
        }
        // An orderly end of one direction is passed on as such.
        drop(target.shutdown(Shutdown::Write));
    }

    fn end(&self) {
        for stream in [&self.client, &self.server] {
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

/// Reads until the client gives up.
fn swallow(mut client: TcpStream) {
    let mut buffer = [0; 4096];
    while client.read(&mut buffer).is_ok_and(|length| length > 0) {}
}
