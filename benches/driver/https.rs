//! A small HTTPS server for the stand-ins, one thread per connection, connections kept alive.
//!
//! Over TLS, as the real ones are: the handshakes are most of what a first event costs.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::sync::Arc;

use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod};

/// A request, as far as the stand-ins care.
pub struct Request {
    pub method: String,
    pub body: Vec<u8>,
}

/// Serves for as long as this process lives; gives the origin (`https://localhost:port`).
///
/// `answer` is called when a request has come in whole, and gives the answer's body.
pub fn serve(
    certificate: &Path,
    key: &Path,
    answer: impl Fn(Request) -> String + Send + Sync + 'static,
) -> String {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server()).unwrap();
    acceptor.set_certificate_chain_file(certificate).unwrap();
    acceptor.set_private_key_file(key, SslFiletype::PEM).unwrap();
    let acceptor = acceptor.build();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (acceptor, answer) = (acceptor.clone(), Arc::clone(&answer));
            std::thread::spawn(move || {
                stream.set_nodelay(true).unwrap();
                // A client that is killed in between is no fault of ours.
                let Ok(stream) = acceptor.accept(stream) else { return };
                let mut stream = BufReader::new(stream);
                while let Some(request) = read(&mut stream) {
                    let body = answer(request);
                    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.1\r\n";
                    let text = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
                    if stream.get_mut().write_all(text.as_bytes()).is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("https://localhost:{port}")
}

/// The next request of a connection; `None` at its end.
pub fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).ok().filter(|&length| length > 0)?;
    let method = line.split(' ').take(2).collect::<Vec<_>>().join(" ");
    let mut length = 0;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|&length| length > 0)?;
        let Some((name, value)) = line.split_once(':') else { break };
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Request { method, body })
}
