//! A stand-in for a pooler that swallows what it does not know of a session's start, as PgBouncer
//! does with `ignore_startup_parameters = options`. No TLS.

use std::io::{Read, Write, copy};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

/// Listens until the process ends; gives its port.
pub fn start(upstream: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("it listens").port();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let upstream = upstream.clone();
            thread::spawn(move || pass(client, &upstream));
        }
    });
    port
}

fn pass(mut client: TcpStream, upstream: &str) -> Option<()> {
    let mut length = [0; 4];
    client.read_exact(&mut length).ok()?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize - 4];
    client.read_exact(&mut body).ok()?;
    let mut server = TcpStream::connect(upstream).ok()?;
    let body = without_options(&body);
    let length = u32::try_from(body.len() + 4).expect("a start is short");
    server.write_all(&length.to_be_bytes()).ok()?;
    server.write_all(&body).ok()?;
    let (mut from_server, mut to_client) = (server.try_clone().ok()?, client.try_clone().ok()?);
    thread::spawn(move || {
        drop(copy(&mut from_server, &mut to_client));
        drop(to_client.shutdown(Shutdown::Both));
    });
    drop(copy(&mut client, &mut server));
    drop(server.shutdown(Shutdown::Both));
    Some(())
}

/// The protocol's version, then names and values, each ended by NUL, and one NUL more.
fn without_options(body: &[u8]) -> Vec<u8> {
    let (version, rest) = body.split_at(4);
    let texts: Vec<_> = rest.split(|&byte| byte == 0).collect();
    let mut kept = version.to_vec();
    for pair in texts.chunks_exact(2).filter(|pair| !pair[0].is_empty() && pair[0] != b"options") {
        for text in pair {
            kept.extend(*text);
            kept.push(0);
        }
    }
    kept.push(0);
    kept
}
