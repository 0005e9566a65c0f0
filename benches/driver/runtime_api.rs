//! Lambda's Runtime API for one process: hands out events, and notes when the process waits.

use std::io::{BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, UNIX_EPOCH};

use super::https::read;

/// How long a process may take for anything before the run is given up.
pub const LIMIT: Duration = Duration::from_mins(1);

pub struct RuntimeApi {
    pub address: String,
    events: Sender<String>,
    idle: Receiver<Instant>,
}

struct Shared {
    events: Mutex<Receiver<String>>,
    idle: Sender<Instant>,
}

impl RuntimeApi {
    pub fn start() -> RuntimeApi {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (events, to_hand_out) = channel();
        let (note, idle) = channel();
        let shared = Arc::new(Shared { events: Mutex::new(to_hand_out), idle: note });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || shared.serve(stream));
            }
        });
        RuntimeApi { address, events, idle }
    }

    /// Hands an event to the process, which is waiting for one.
    pub fn offer(&self, event: String) -> Instant {
        let now = Instant::now();
        self.events.send(event).unwrap();
        now
    }

    /// When the process asked for its next event; `None` if it did not.
    pub fn wait_until_idle(&self) -> Option<Instant> {
        self.idle.recv_timeout(LIMIT).ok()
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) {
        stream.set_nodelay(true).unwrap();
        let mut stream = BufReader::new(stream);
        while let Some(request) = read(&mut stream) {
            let answer = if request.method.starts_with("GET ") {
                // The driver may have ended with the process's life; then there is nobody to tell.
                let _told = self.idle.send(Instant::now());
                let Ok(event) = self.events.lock().unwrap().recv() else { return };
                given(&event)
            } else {
                "HTTP/1.1 202 Accepted\r\nContent-Length: 15\r\n\r\n{\"status\":\"OK\"}".to_owned()
            };
            if stream.get_mut().write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    }
}

fn given(event: &str) -> String {
    let deadline = (UNIX_EPOCH.elapsed().unwrap() + Duration::from_mins(5)).as_millis();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
         Lambda-Runtime-Aws-Request-Id: {}\r\nLambda-Runtime-Deadline-Ms: {deadline}\r\n\
         Lambda-Runtime-Invoked-Function-Arn: {}\r\n\
         Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700\r\n\r\n{event}",
        event.len(),
        crate::support::lambda::uuid(),
        crate::support::FUNCTION_ARN,
    )
}
