//! What to do about an SQLSTATE, in one sentence for a person at a console.
//!
//! Messages come from the server; advice comes from here. Codes and their
//! meaning: PostgreSQL manual, appendix A.

/// Advice for an error while statements run.
pub fn for_statement(sqlstate: &str) -> Option<&'static str> {
    Some(match sqlstate {
        "25001" => {
            "The statement cannot run in a transaction, and each list of statements is one; run it \
             outside of this resource."
        }
        "25006" => "The server is a reader; name the writer (cluster) endpoint.",
        "2BP01" => "Other objects depend on it; remove them first.",
        "40001" | "40P01" => "It met other work on the database; deploy again.",
        "42501" => {
            "The login lacks a privilege; use the master user's secret, or grant what is missing."
        }
        "42P06" | "42P07" | "42710" | "42701" | "42723" => {
            "It exists already; write the statement so that it may run again (IF NOT EXISTS)."
        }
        "42601" => "Correct the statement.",
        "42P01" | "42703" | "42883" | "3F000" | "42704" => {
            "Something it names does not exist, or not in the session's search_path."
        }
        "53100" => "The server's disk is full; enlarge its storage.",
        "53200" | "53400" => "The server ran out of a resource; see its log.",
        "55006" => "Other sessions use the object; end them and deploy again.",
        "55P03" => {
            "Another session holds a lock on it: find it in pg_stat_activity, or raise `LockTimeout`."
        }
        "57014" => {
            "It was stopped at its time limit: raise `StatementTimeout`, the function's timeout and \
             `ServiceTimeout`."
        }
        "58P01" => "The server lacks a file of the extension; it is not installed there.",
        "0A000" => "This server does not support it.",
        _ => return None,
    })
}

/// Advice for an error while the session is made.
pub fn for_login(sqlstate: &str) -> Option<&'static str> {
    Some(match sqlstate {
        "28P01" => {
            "The server refuses the password: bring the secret and the role's password together \
             (the secret was read twice)."
        }
        "28000" => {
            "The server refuses the login: check the user, `rds_iam`, and that its pg_hba.conf or \
             `rds.force_ssl` allows this kind of connection."
        }
        "3D000" => {
            "The database does not exist: check `dbname` in the secret or `Connection.Database`."
        }
        "42501" => "The role may not connect to this database: GRANT CONNECT to it.",
        "53300" => "All connection slots are taken: end idle sessions or raise `max_connections`.",
        "57P03" => "The server was still starting: raise `Connection.WaitFor`.",
        "08P01" | "0A000" => {
            "A proxy or pooler may stand between: name the instance's or cluster's own endpoint."
        }
        _ => return None,
    })
}
