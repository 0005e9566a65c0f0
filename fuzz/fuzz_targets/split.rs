//! Any text gives pieces or an error, and the same ones however it is cut.
#![no_main]

use execute_sql::sql::split::Piece;
use execute_sql_fuzz::pieces;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|sql: &str| {
    let whole = pieces(sql, sql.len().max(1));
    assert_eq!(pieces(sql, 1), whole);
    assert_eq!(pieces(sql, 7), whole);
    for piece in whole.into_iter().flatten() {
        if let Piece::Statement(statement) = piece {
            assert!(sql.get(statement.span.clone()).is_some());
            assert!(statement.place(1) <= (statement.line, statement.column));
            for position in [0, 2, u32::MAX] {
                let (line, column) = statement.place(position);
                assert!(line >= 1 && column >= 1);
            }
        }
    }
});
