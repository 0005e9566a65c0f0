//! What a running application sees of rotations: it logs in and queries all the time, and keeps the
//! login that it has read, as caches of secrets do, until that one is refused.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use serde_json::Value;

use crate::stage::{Alternating, Single, Stage, Strategy};
use crate::support::{Client, GENEROUS, MAJORS, Server, wait_until};

const ROTATIONS: usize = 10;
const OLDEST: u32 = MAJORS[0];
const NEWEST: u32 = MAJORS[MAJORS.len() - 1];

#[derive(Default)]
struct Seen {
    logins: AtomicUsize,
    failed: AtomicUsize,
    /// Failed with the login of the secret as it was at that very moment.
    failed_fresh: AtomicUsize,
    /// How often the secret was read.
    reads: AtomicUsize,
    queries: AtomicUsize,
    broken: AtomicUsize,
    stopped: AtomicBool,
}

impl Seen {
    fn count(of: &AtomicUsize) -> usize {
        of.load(Ordering::SeqCst)
    }

    fn add(to: &AtomicUsize) {
        to.fetch_add(1, Ordering::SeqCst);
    }
}

/// A login per round and a query in each, with what the secret said so many logins ago at most; and
/// one session that is never given up.
fn application(stage: &Stage<'_>, seen: &Seen, cached: usize) {
    let mut login = stage.current();
    let mut kept = stage.login(&login);
    for round in 0.. {
        if seen.stopped.load(Ordering::SeqCst) {
            return;
        }
        if round % cached == 0 {
            login = stage.current();
            Seen::add(&seen.reads);
        }
        match stage.try_login(&login) {
            Ok(client) => {
                Seen::add(&seen.logins);
                query(&client, seen);
            }
            Err(refused) => {
                assert_eq!(refused.sqlstate, "28P01", "{refused}");
                Seen::add(&seen.failed);
                login = reread(stage, seen, &login);
                kept = stage.login(&login);
            }
        }
        query(&kept, seen);
    }
}

/// Reads the secret again until its login works.
fn reread(stage: &Stage<'_>, seen: &Seen, before: &Value) -> Value {
    let start = Instant::now();
    loop {
        let now = stage.current();
        if now != *before {
            if stage.try_login(&now).is_ok() {
                return now;
            }
            Seen::add(&seen.failed_fresh);
        }
        assert!(start.elapsed() < GENEROUS, "the secret's login does not come to work");
        std::thread::yield_now();
    }
}

fn query(client: &Client, seen: &Seen) {
    match client.try_rows("SELECT count(*) FROM pg_class") {
        Ok(_) => Seen::add(&seen.queries),
        Err(_) => Seen::add(&seen.broken),
    }
}

fn run(server: &Server, strategy: Strategy, cached: usize) -> (usize, usize) {
    let stage = Stage::on(server, strategy);
    let seen = Seen::default();
    std::thread::scope(|scope| {
        scope.spawn(|| application(&stage, &seen, cached));
        for _ in 0..ROTATIONS {
            stage.rotate().done();
            // What it has cached is of this version or the one before: so long a cache may be.
            let reads = Seen::count(&seen.reads);
            wait_until("the application reads", || Seen::count(&seen.reads) > reads + 1);
        }
        seen.stopped.store(true, Ordering::SeqCst);
    });
    let (failed, fresh) = (Seen::count(&seen.failed), Seen::count(&seen.failed_fresh));
    println!(
        "{strategy:?}, {ROTATIONS} rotations, secret read every {cached} logins: {} logins, {failed} \
         failed, {fresh} failed with a secret just read; {} queries, {} failed",
        Seen::count(&seen.logins),
        Seen::count(&seen.queries),
        Seen::count(&seen.broken),
    );
    assert_eq!(Seen::count(&seen.broken), 0, "an open session is never ended");
    (failed, fresh)
}

#[test]
fn with_two_roles_an_application_never_sees_a_failed_login() {
    assert_eq!(run(&Server::rds_like(OLDEST), Alternating, 1), (0, 0));
}

#[test]
fn with_two_roles_a_login_may_be_cached_until_the_next_rotation() {
    for major in [OLDEST, NEWEST] {
        assert_eq!(run(&Server::rds_like(major), Alternating, 6), (0, 0));
    }
}

#[test]
fn with_one_role_an_application_sees_one_failed_login_at_most_and_reconnects() {
    for major in [OLDEST, NEWEST] {
        let (failed, fresh) = run(&Server::rds_like(major), Single, 6);
        assert!(failed <= ROTATIONS && fresh == 0, "{failed} and {fresh} on PostgreSQL {major}");
    }
}
