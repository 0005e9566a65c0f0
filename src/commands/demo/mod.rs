//! `execute-sql demo`: the main job, shown on this machine.
//!
//! A throw-away PostgreSQL and MiniStack, a local stand-in for AWS, are started;
//! `cfn/quickstart.yaml` is deployed, updated and deleted there through the real
//! `bootstrap`. It uses no account, no credentials and no server of the user's,
//! and nothing of it stays: see [`guard`]. It is told for a person to read; exit
//! code and the stack's own words are what a test can rely on.
//!
//! The tests use [`guard`], [`aws`] and [`stack`] too, to bring other stacks up there.

pub mod aws;
mod certificates;
pub mod guard;
mod missing;
mod postgres;
pub mod stack;
mod xml;

use std::io::Write;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use secrecy::ExposeSecret;
use tokio::signal::unix::{SignalKind, signal};

use aws::{Aws, architecture};
use guard::Guard;
use missing::Programs;
pub use missing::ministack;
use postgres::{DATABASE, MASTER, Offer, Server};
use stack::{Event, Stack};

/// What `demo` can be told.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Leave everything running until Ctrl-C, with the stack in place.
    pub keep: bool,
}

const TEMPLATE: &str = include_str!("../../../cfn/quickstart.yaml");
const STACK: &str = "demo";
const BUCKET: &str = "demo-code";
const KEY: &str = "bootstrap.zip";
const SECRET: &str = "demo/database";
/// What the update adds.
const MORE: &str = "pg_trgm";

/// Shows it all, and cleans up whatever happens.
pub async fn run(options: &Options) -> Result<()> {
    let programs = missing::programs()?;
    let guard = Guard::start()?;
    let shown = tokio::select! {
        shown = show(options, &guard, &programs) => shown,
        signal = interrupted() => signal.and_then(|it| bail!("stopped by {it}")),
    };
    let stopped = guard.stop().await;
    if stopped.is_ok() {
        tell("\nEverything is stopped and removed.");
    }
    shown.and(stopped)
}

async fn show(options: &Options, guard: &Guard, programs: &Programs) -> Result<()> {
    tell("Starting a throw-away PostgreSQL and MiniStack, a stand-in for AWS:");
    let begun = Instant::now();
    let server = postgres::start(guard, programs).await?;
    let offer = server.offer().await?;
    tell_server(&server, &offer, begun.elapsed());
    let begun = Instant::now();
    let aws = Aws::start(guard, &programs.ministack, Path::new(&server.authority)).await?;
    tell(format_args!("  MiniStack at {} ({})", aws.url, seconds(begun.elapsed())));
    let begun = Instant::now();
    let size = aws.upload(&programs.bootstrap, BUCKET, KEY).await?;
    let took = seconds(begun.elapsed());
    tell(format_args!("  the function, {} MB, as s3://{BUCKET}/{KEY} ({took})", size / 1_000_000));
    let secret = aws.create_secret(SECRET, &server.secret()).await?;
    tell(format_args!("  secret {SECRET} with the login of role {MASTER}"));

    let Offer { postgis, pgcrypto } = &offer;
    tell(format_args!(
        "\nCreating stack {STACK} from cfn/quickstart.yaml: PostGIS {postgis}, pgcrypto {pgcrypto}"
    ));
    let mut parameters = vec![
        ("CodeBucket", BUCKET),
        ("CodeKey", KEY),
        ("Architecture", architecture()),
        ("DBSecret", &secret),
        ("PostgisVersion", postgis),
        ("PgcryptoVersion", pgcrypto),
    ];
    let mut stack = Stack::create(&aws, STACK, TEMPLATE, &parameters).await?;
    follow(&mut stack, "CREATE_COMPLETE").await?;
    tell_outputs(&stack).await?;
    tell_queries(&server).await?;

    tell(format_args!("\nUpdating it: AnotherExtension={MORE}"));
    parameters.push(("AnotherExtension", MORE));
    stack.update(TEMPLATE, &parameters).await?;
    follow(&mut stack, "UPDATE_COMPLETE").await?;
    tell_outputs(&stack).await?;
    if options.keep {
        return keep(guard.folder(), &server, &aws).await;
    }

    tell("\nDeleting it");
    stack.delete().await?;
    follow(&mut stack, "DELETE_COMPLETE").await?;
    tell_what_stayed(&server).await
}

fn tell_server(server: &Server, offer: &Offer, took: Duration) {
    let Server { version, port, .. } = server;
    let Offer { postgis, pgcrypto } = offer;
    tell(format_args!(
        "  PostgreSQL {version} at localhost:{port}, offering PostGIS {postgis} and pgcrypto \
         {pgcrypto} ({})",
        seconds(took)
    ));
    if server.restricted {
        tell(format_args!("    TLS verify-full, SCRAM; role {MASTER} is no superuser, as on RDS"));
    } else {
        let line = missing::install_line(server.version.split('.').next());
        tell(format_args!(
            "    TLS verify-full, SCRAM; without pgextwlist role {MASTER} has to be a superuser"
        ));
        tell(format_args!("    (to have it restricted as on RDS: {line})"));
    }
}

/// Tells the events of a stack until it has the wanted status. Any other end is an error, told
/// together with the function's log.
async fn follow(stack: &mut Stack<'_>, wanted: &str) -> Result<()> {
    let ended = stack.end(tell_event).await;
    if ended.as_ref().is_ok_and(|status| status == wanted) {
        return Ok(());
    }
    match stack.log().await {
        Ok(lines) if lines.is_empty() => tell("\nThe function has logged nothing."),
        Ok(lines) => tell(format_args!("\nThe function's log:\n  {}", lines.join("\n  "))),
        Err(error) => tell(format_args!("\nThe function's log cannot be read: {error}")),
    }
    let status = ended?;
    // Those that follow come from the first.
    let first = stack.events.iter().find(|it| it.status.ends_with("_FAILED"));
    let first = first.map(|it| format!(": {}: {}", it.resource, it.reason)).unwrap_or_default();
    bail!("stack `{STACK}` is {status}, not {wanted}{first}")
}

fn tell_event(event: &Event) {
    let Event { time, resource, status, reason, .. } = event;
    let time = time.get(11..19).unwrap_or(time);
    let line = format!("{time}  {resource:<8}  {status:<35} {reason}");
    tell(format_args!("  {}", line.trim_end()));
}

async fn tell_outputs(stack: &Stack<'_>) -> Result<()> {
    tell("");
    for (key, value) in stack.outputs().await? {
        tell(format_args!("  {key:<16}  {value}"));
    }
    Ok(())
}

/// What an application does with the extensions.
async fn tell_queries(server: &Server) -> Result<()> {
    const DISTANCE: &str = "SELECT round(ST_Distance(a.at, b.at) / 1000) || ' km'
    FROM places a, places b WHERE a.name = 'Berlin' AND b.name = 'Paris'";
    const PASSWORD: &str = "SELECT hash = crypt('open sesame', hash)
    FROM crypt('open sesame', gen_salt('bf')) AS hash";
    tell(format_args!("\nUsing them in database {DATABASE}:"));
    let session = server.session().await?;
    for (what, sql) in [
        ("the changelog's table and PostGIS, from Berlin to Paris", DISTANCE),
        ("pgcrypto, a password against its hash", PASSWORD),
    ] {
        let value = session.value(sql).await?.unwrap_or_default();
        tell(format_args!("  {sql}\n  -- {what}: {value}"));
    }
    session.close().await;
    Ok(())
}

async fn tell_what_stayed(server: &Server) -> Result<()> {
    const STAYED: &str = "SELECT string_agg(extname || '=' || extversion, ',' ORDER BY extname)
        FROM pg_extension";
    let session = server.session().await?;
    let stayed = session.value(STAYED).await?.unwrap_or_default();
    let ledger = session.value("SELECT to_regnamespace('execute_sql')").await?;
    session.close().await;
    tell(format_args!("\n  Extensions        {stayed}"));
    if let Some(schema) = ledger {
        tell(format_args!(
            "  Schema            {schema}, the ledger of what was done and by which stack"
        ));
    }
    tell("  They stayed, for OnDelete is Retain unless the template says Drop:");
    tell("  the end of a stack is no reason to lose data.");
    Ok(())
}

async fn keep(folder: &Path, server: &Server, aws: &Aws) -> Result<()> {
    let passwords = folder.join("pgpass");
    let line =
        format!("localhost:{}:*:{MASTER}:{}\n", server.port, server.password.expose_secret());
    write_private(&passwords, &line).context("write the password file")?;
    tell("\nEverything keeps running until Ctrl-C. To connect:");
    tell(format_args!(
        "  PGPASSFILE={} psql 'host=localhost port={} dbname={DATABASE} user={MASTER} \
         sslmode=verify-full sslrootcert={}'",
        passwords.display(),
        server.port,
        server.authority
    ));
    tell(format_args!(
        "  AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test AWS_REGION=us-east-1 \
         aws --endpoint-url {} cloudformation describe-stack-events --stack-name demo",
        aws.url
    ));
    interrupted().await.map(|_| ())
}

fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

/// The name of the signal that asks the demo to end.
async fn interrupted() -> Result<&'static str> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let name = tokio::select! {
        _ = interrupt.recv() => "Ctrl-C",
        _ = terminate.recv() => "SIGTERM",
        _ = hangup.recv() => "SIGHUP",
    };
    Ok(name)
}

/// A port that nobody listens on now.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let port = listener.and_then(|it| it.local_addr()).map(|it| it.port());
    port.map_err(|error| anyhow!("find a free port: {error}"))
}

/// Prints one line. Where nobody reads any more (`demo | head`), the demo goes on to its end.
fn tell(line: impl std::fmt::Display) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f32())
}
