//! SQL files that are easy to split wrongly. Each `tests/tricky/NN-name.sql` has a
//! `NN-name.check.sql`: one query that gives `t` if the effect is right. psql is the
//! measure: what it makes of a file, the pieces of the splitter must make too.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::process::Command;

use execute_sql::sql::split::{Piece, Splitter, look, without_own_transaction};
use futures_util::SinkExt;
use support::{Database, MASTER, MASTER_PASSWORD, Server, runtime};
use tokio_postgres::Config;

struct Case {
    name: String,
    path: PathBuf,
    sql: String,
    check: String,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tricky");
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let is_case = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_str().unwrap();
        Path::new(name).extension().is_some_and(|it| it == "sql") && !name.ends_with(".check.sql")
    };
    let read = |path: PathBuf| Case {
        name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
        sql: fs::read_to_string(&path).unwrap(),
        check: fs::read_to_string(path.with_extension("check.sql")).unwrap(),
        path,
    };
    let cases: Vec<_> = paths.into_iter().filter(is_case).map(read).collect();
    assert_eq!(cases.len(), 30);
    cases
}

fn pieces(sql: &str, step: usize) -> Vec<Piece> {
    let (mut splitter, mut found, mut at) = (Splitter::default(), Vec::new(), 0);
    while at < sql.len() {
        let end = sql.ceil_char_boundary((at + step).min(sql.len()));
        let mut chunk = &sql[at..end];
        at = end;
        while let Some(piece) = splitter.next(&mut chunk).unwrap() {
            found.push(piece);
        }
    }
    while let Some(piece) = splitter.finish().unwrap() {
        found.push(piece);
    }
    found
}

fn psql(server: &Server, database: &Database, file: &Path) {
    let program = std::env::var_os("PG_BIN").map(|bin| Path::new(&bin).join("psql"));
    let program = program.filter(|path| path.exists()).unwrap_or_else(|| "psql".into());
    let output = Command::new(program)
        .args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--host", server.host()])
        .args(["--port", &server.port().to_string(), "--username", MASTER])
        .args(["--dbname", &database.name, "--file"])
        .arg(file)
        .env("PGPASSWORD", MASTER_PASSWORD)
        .env("PGCLIENTENCODING", "UTF8")
        .output()
        .expect("psql: apt-get install postgresql-client");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Sends the pieces one by one, as psql does.
async fn send(config: Config, pieces: Vec<Piece>) -> Result<(), tokio_postgres::Error> {
    let tls = native_tls::TlsConnector::builder().danger_accept_invalid_certs(true).build();
    let tls = postgres_native_tls::MakeTlsConnector::new(tls.unwrap());
    let (client, connection) = config.connect(tls).await?;
    let connection = tokio::spawn(connection);
    let mut copy = None;
    let mut pieces = pieces.into_iter().peekable();
    while let Some(piece) = pieces.next() {
        let data = matches!(pieces.peek(), Some(Piece::CopyData(_) | Piece::CopyEnd));
        match piece {
            Piece::Statement(statement) if data => {
                let sink = client.copy_in::<_, Cursor<Vec<u8>>>(&statement.text).await?;
                copy = Some(Box::pin(sink));
            }
            Piece::Statement(statement) => drop(client.simple_query(&statement.text).await?),
            Piece::CopyData(data) => {
                copy.as_mut().unwrap().send(Cursor::new(data.into_bytes())).await?;
            }
            Piece::CopyEnd => drop(copy.take().unwrap().as_mut().finish().await?),
            Piece::Notice { .. } => {}
        }
    }
    drop(client);
    connection.await.unwrap()
}

#[test]
fn the_pieces_have_the_same_effect_as_the_file_has_in_psql() {
    let server = Server::shared();
    for case in cases() {
        let reference = server.database();
        psql(server, &reference, &case.path);
        assert_eq!(reference.master().value(&case.check), "t", "{} in psql", case.name);

        let database = server.database();
        let config = server.config(MASTER, MASTER_PASSWORD, &database.name);
        runtime::block_on(send(config, pieces(&case.sql, 1 << 16)))
            .unwrap_or_else(|error| panic!("{}: {error:?}", case.name));
        assert_eq!(database.master().value(&case.check), "t", "{}", case.name);
    }
}

#[test]
fn the_pieces_do_not_depend_on_how_a_file_is_cut() {
    for case in cases() {
        let whole = pieces(&case.sql, 1 << 16);
        assert!(!whole.is_empty());
        assert_eq!(pieces(&case.sql, 1), whole, "{}", case.name);
        assert_eq!(pieces(&case.sql, 7), whole, "{}", case.name);
    }
}

#[test]
fn only_what_needs_it_is_split() {
    for case in cases() {
        let shape = look(&case.sql).unwrap();
        let number = &case.name[..2];
        assert_eq!(shape.has_copy_data, ["10", "11", "20"].contains(&number), "{}", case.name);
        assert_eq!(shape.has_meta_commands, ["20", "26"].contains(&number), "{}", case.name);
        assert_eq!(shape.own_transaction, number == "19", "{}", case.name);
        let alone = shape.needs_no_transaction.is_some();
        assert_eq!(alone, ["29", "30"].contains(&number), "{}", case.name);
    }
}

#[test]
fn a_plain_text_is_sent_in_one_message() {
    let server = Server::shared();
    for case in cases() {
        let shape = look(&case.sql).unwrap();
        if shape.has_copy_data || shape.has_meta_commands || shape.needs_no_transaction.is_some() {
            continue;
        }
        let inner = without_own_transaction(&case.sql).unwrap();
        let sql = inner.as_deref().unwrap_or(case.sql.trim_start_matches('\u{feff}'));
        let database = server.database();
        database.master().exec(&format!("BEGIN;{sql}\n;COMMIT"));
        assert_eq!(database.master().value(&case.check), "t", "{}", case.name);
    }
}
