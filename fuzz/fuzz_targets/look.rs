//! What is seen of a text is true of its pieces, and blanking changes no position.
#![no_main]

use execute_sql::sql::split::{Piece, look, without_own_transaction};
use execute_sql_fuzz::pieces;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|sql: &str| {
    let pieces = pieces(sql, sql.len().max(1));
    match (look(sql), pieces) {
        (Ok(shape), Ok(pieces)) => {
            let statements = pieces.iter().filter(|it| matches!(it, Piece::Statement(_))).count();
            assert_eq!(shape.statements, statements);
            let inner = without_own_transaction(sql).unwrap();
            assert_eq!(inner.is_some(), shape.own_transaction);
            if let Some(inner) = inner {
                assert_eq!(inner.chars().count(), sql.chars().count());
                assert_eq!(inner.lines().count(), sql.lines().count());
                if !shape.has_meta_commands {
                    assert_eq!(look(&inner).unwrap().statements, shape.statements - 2);
                }
            }
        }
        (Err(seen), Err(split)) => assert_eq!(seen, split),
        (seen, split) => panic!("{seen:?} {split:?}"),
    }
});
