//! `execute-sql` brings a PostgreSQL database to what a CloudFormation template says.
//!
//! It is the function behind `Custom::ExecuteSQL`, and a command line over the
//! same engine. Everything it does is one trip down one road:
//!
//! ```text
//! event (JSON) --request--> Request --properties--> Desired ---.
//!                                                               +--plan--> Plan --Display--> text (plan stops here)
//! Session --inspect--> Observed --------------------------------'           |   (verify: a plan that is not empty)
//!                                                                          apply (one transaction: steps + ledger)
//!                                                                            v
//!                                                      Outcome | Failure{cause, hint, name}
//!                                                                            v
//!                                   Response --answer--> ResponseURL, or the return value; once
//! ```
//!
//! # Map
//!
//! Pure: same input, same answer.
//!
//! | room | what it holds |
//! |---|---|
//! | [`ident`] | a name, checked once and quoted always |
//! | [`sql`] | literals, and how tokens are told apart |
//! | [`request`] | an event's text to a typed request, in two stages |
//! | [`invocation`] | a plain call, read |
//! | [`desired`] | what is asked for |
//! | [`changelog`] | files to changesets: Liquibase, Flyway, plain SQL |
//! | [`observed`] | what is there |
//! | [`plan`] | the steps between the two; what a Delete may remove |
//! | [`ledger`] | the tables that remember, as statements |
//! | [`history`] | Liquibase's tables, as statements |
//! | [`outcome`], [`response`] | what was done; the JSON that CloudFormation accepts |
//! | [`failure`], [`hint`] | what went wrong, and what to do about it |
//!
//! Acting: talks to something.
//!
//! | room | what it talks to |
//! |---|---|
//! | [`postgres`] | the session: TLS, login, IAM tokens, errors by SQLSTATE |
//! | [`inspect`] | catalog and ledger, in at most two round trips |
//! | [`lock`] | the advisory lock, and the sessions of a resource |
//! | [`apply`] | carries a plan out |
//! | [`secrets`] | Secrets Manager |
//! | [`source`] | where changelog files come from: folder, template, S3 |
//! | [`aws`] | AWS's configuration, when it is needed |
//! | [`answer`] | the PUT to the `ResponseURL` |
//! | [`trust`] | certificates, in two tiers |
//! | [`redact`], [`telemetry`] | secrets out of text; the log |
//! | [`budget`] | the time that is left |
//!
//! Wiring.
//!
//! | room | what it puts together |
//! |---|---|
//! | [`engine`] | the road itself: open, lock, look, plan, apply, write down |
//! | [`handler`] | one event in, exactly one answer out |
//! | [`rotation`] | Secrets Manager's four steps: a fresh password, set, tested, current |
//! | [`commands`] | the same for people |
//! | [`world`] | the outside, once per process |
//!
//! # What always holds
//!
//! 1. One event, exactly one answer: errors, panics and the deadline included ([`handler`]).
//! 2. Only what a resource made is ever removed, and only on request ([`plan::ownership`]).
//! 3. A plan is plain data without secrets; after `apply` the plan is empty, or nothing is committed.
//! 4. The work and the memory of it are one transaction, so a repeated event finds either all or nothing.
//!    What cannot be in one (a database, a secret) is written down before, and known again after a crash.
//! 5. A secret is a type that does not print; SQL text never holds a password, only its verifier.
//! 6. Errors are told apart by SQLSTATE and type, never by their text.
//!
//! `tests/architecture.rs` holds the sources against this page.
//!
//! # Words
//!
//! *Desired* and *observed* are the two states; the *plan* is the *steps* between
//! them; the *outcome* is what came of it. A *resource* is a logical id in a
//! stack. It *has* objects that it *created* or *adopted*; the *ledger* (schema
//! `execute_sql` in the target database) says which. A *tombstone* is what a
//! Delete leaves for a Create that still runs. A *tenant* is a database or schema
//! with its *logins*: roles, each with a secret; the *master* is the login of the
//! resource. What is about tenants is in rooms of that name within the rooms above.

pub mod answer;
pub mod apply;
pub mod aws;
pub mod budget;
pub mod changelog;
pub mod commands;
pub mod desired;
pub mod engine;
pub mod failure;
pub mod handler;
pub mod hint;
pub mod history;
pub mod ident;
pub mod inspect;
pub mod invocation;
pub mod ledger;
pub mod lock;
pub mod observed;
pub mod outcome;
pub mod plan;
pub mod postgres;
pub mod redact;
pub mod request;
pub mod response;
pub mod rotation;
pub mod secrets;
pub mod source;
pub mod sql;
pub mod telemetry;
pub mod trust;
pub mod world;
