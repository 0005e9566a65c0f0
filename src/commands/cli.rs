//! The arguments. `--help` is made of the comments here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Bring a PostgreSQL server to what a template says: extensions, changelogs, statements, tenants.
#[derive(Debug, Parser)]
#[command(name = "execute-sql", version, max_term_width = 100, after_help = EXIT_CODES)]
pub struct Cli {
    /// How to print: text for people, JSON for programs
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes: 0 done or the same, 1 failed, 2 verify found a difference, 64 wrong arguments.
The server is taken from --database-url, else from PGHOST and its like, else from DBSecret.
Tenants: region and credentials for their secrets are taken as by every AWS program (AWS_REGION and
its like), and the server's host goes into the secrets: name it as applications do.
Log: set EXECUTE_SQL_LOG to error, warn, info or debug.";

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print what apply would do, tenants' databases, roles and secrets included; write nothing
    Plan {
        /// What is wanted, and where
        #[command(flatten)]
        source: Source,
        /// Also try pending changesets of the target database (not of tenants) out in one transaction
        /// that is rolled back: shows errors, locks, rewritten tables, rows and times; holds those locks
        /// until it ends
        #[arg(long)]
        rehearse: bool,
    },
    /// Bring the database and the tenants to what is wanted
    Apply {
        /// What is wanted, and where
        #[command(flatten)]
        source: Source,
        /// Who runs this, and whether it may
        #[command(flatten)]
        run: RunLabels,
    },
    /// Compare; write nothing; exit with 2 if anything differs
    Verify {
        /// What is wanted, and where
        #[command(flatten)]
        source: Source,
    },
    /// Run one Lambda event through the function's own handler, here
    Invoke {
        /// The event as a JSON file, or - for standard input
        event: PathBuf,
        /// The time that the function would have, in seconds
        #[arg(long, default_value_t = 300, value_name = "SECONDS")]
        timeout: u64,
        /// The ARN that the function would be invoked by; by default the event's `ServiceToken`
        #[arg(long, value_name = "ARN")]
        function_arn: Option<String>,
    },
    /// Deploy the example stack on this machine, against a throw-away PostgreSQL and a stand-in for AWS
    Demo {
        /// Keep everything running until Ctrl-C, and say how to connect
        #[arg(long)]
        keep: bool,
    },
    /// Not supported yet
    #[command(hide = true)]
    History,
    /// Not supported yet
    #[command(hide = true)]
    Rollback,
    /// Not supported yet
    #[command(hide = true)]
    Tag,
    /// Not supported yet
    #[command(hide = true)]
    Baseline,
    /// Not supported yet
    #[command(hide = true)]
    Repair,
    /// Not supported yet
    #[command(hide = true)]
    Validate,
    /// Not supported yet
    #[command(hide = true)]
    Fingerprint,
    /// Not supported yet
    #[command(hide = true)]
    Inspect,
}

/// What is wanted, and of which server.
#[derive(Debug, Args)]
pub struct Source {
    /// The properties of the resource, as YAML or JSON
    #[arg(long, value_name = "FILE", required_unless_present_any = ["template", "tfvars"])]
    pub file: Option<PathBuf>,
    /// A CloudFormation template, YAML or JSON, as `cdk synth` writes it
    #[arg(long, value_name = "FILE", conflicts_with = "file")]
    pub template: Option<PathBuf>,
    /// The resource in the template, by its logical id, if there are several
    #[arg(long, value_name = "LOGICAL_ID", requires = "template")]
    pub resource: Option<String>,
    /// The value of a template parameter; may be given often
    #[arg(long = "parameter", value_name = "NAME=VALUE", requires = "template")]
    pub parameters: Vec<String>,
    /// A name that tells several desired states of one database apart, in its ledger; by default
    /// the resource's logical id, or "default"
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Not supported yet
    #[arg(long, value_name = "FILE", hide = true, value_parser = not_yet)]
    pub tfvars: Option<String>,
    /// The server and login, as postgresql://user:password@host:port/database?sslmode=verify-full
    #[arg(long, value_name = "URL", env = "EXECUTE_SQL_DATABASE_URL", hide_env_values = true)]
    pub database_url: Option<String>,
}

/// Refuses an option that has a name but no work yet.
fn not_yet(_: &str) -> Result<String, String> {
    Err("this option is not supported yet".to_owned())
}

/// Labels for the audit, and the gate.
#[derive(Debug, Args)]
pub struct RunLabels {
    /// The environment, for the audit
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,
    /// The build, for the audit
    #[arg(long, value_name = "ID")]
    pub build_id: Option<String>,
    /// The run, for the audit; the same id again is the same request
    #[arg(long, value_name = "ID")]
    pub run_id: Option<String>,
    /// Not supported yet
    #[arg(long, value_name = "FILE", hide = true, value_parser = not_yet)]
    pub audit: Option<String>,
    /// Refuse every environment but dev, unless `ALLOW_DB_PROVISION=true`
    #[arg(long)]
    pub require_approval: bool,
}
