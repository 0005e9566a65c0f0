//! The world around the function: secret, database, receiver of answers, certificates.
//!
//! The database has the extension already and the ledger after the first event, so that what is
//! measured is the work of a function and not of PostgreSQL. Its log of statements is off and it
//! syncs, both unlike in the tests and like on RDS.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use serde_json::{Value, json};

use super::https;
use super::runtime_api::LIMIT;
use crate::support::{self, Certificate, Database, Server, Settings};

/// A bundle of the size that a user of Python installs.
const RDS: &str = include_str!("../../certs/rds-roots.pem");
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

pub struct World {
    /// The test CA alone.
    pub ca: PathBuf,
    /// The system's roots and the test CA.
    pub system_roots: PathBuf,
    /// All roots of RDS and the test CA.
    pub rds_roots: PathBuf,
    pub secrets: String,
    pub folder: PathBuf,
    receiver: String,
    answers: Receiver<(Instant, Vec<u8>)>,
    /// The id in the last answer; targets take turns, so one is enough.
    physical_id: Mutex<String>,
    _server: Server,
    _database: Database,
}

impl World {
    pub fn start() -> World {
        let settings = Settings::default()
            .conf("fsync = on")
            .conf("log_statement = none")
            .conf("session_preload_libraries = ''");
        let server = Server::private(&settings);
        let database = server.database();
        database.admin().exec("CREATE EXTENSION pgcrypto");
        let ca = server.ca_pem_path();
        let tls = ca.parent().unwrap().to_owned();
        let folder = std::env::temp_dir().join(format!("bench-{}", support::lambda::uuid()));
        fs::create_dir(&folder).unwrap();
        let bundle = |name: &str, roots: &str| {
            let path = folder.join(name);
            fs::write(&path, format!("{roots}\n{}", fs::read_to_string(&ca).unwrap())).unwrap();
            path
        };
        let system = fs::read_to_string(SYSTEM).unwrap_or_default();
        let (system_roots, rds_roots) = (bundle("system.pem", &system), bundle("rds.pem", RDS));

        let (cert, key) = (Certificate::Right.cert_path(&tls), Certificate::Right.key_path(&tls));
        let secret = json!({
            "ARN": secret_arn(),
            "Name": "bench",
            "VersionId": support::lambda::uuid(),
            "VersionStages": ["AWSCURRENT"],
            "CreatedDate": 1_767_225_600.123,
            "SecretString": server.secret_json(&database).to_string(),
        });
        let secrets = https::serve(&cert, &key, move |_| secret.to_string());
        let (note, answers) = channel();
        let receiver = https::serve(&cert, &key, move |request| {
            note.send((Instant::now(), request.body)).unwrap();
            String::new()
        });
        World {
            ca,
            system_roots,
            rds_roots,
            secrets,
            folder,
            receiver,
            answers,
            physical_id: Mutex::default(),
            _server: server,
            _database: database,
        }
    }

    /// When the answer to this event had come in whole; an error unless it says SUCCESS.
    pub fn wait_for_answer(&self, event: &Value) -> Result<Instant, String> {
        let (at, body) = self.answers.recv_timeout(LIMIT).map_err(|_| "no answer".to_owned())?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        // What CloudFormation sends with the next Update.
        let id = answer["PhysicalResourceId"].as_str().unwrap_or_default().to_owned();
        *self.physical_id.lock().unwrap() = id;
        let right = answer["RequestId"] == event["RequestId"] && answer["Status"] == "SUCCESS";
        right.then_some(at).ok_or_else(|| format!("the answer is {answer}"))
    }

    /// An event of the one resource that all targets are asked for: a request of its own, and
    /// properties that differ from those before, as in every Update.
    pub fn event(&self, kind: &str) -> Value {
        let request_id = support::lambda::uuid();
        let stack_id = "arn:aws:cloudformation:eu-west-1:123456789012:stack/bench/\
                        6f9619ff-8b86-4011-b42d-00c04fc964ff";
        let properties = |nonce: &str| {
            json!({
                "ServiceToken": support::FUNCTION_ARN,
                "DBSecret": secret_arn(),
                "PluginsMap": { "pgcrypto": "1.3" },
                "Nonce": nonce,
            })
        };
        let mut event = json!({
            "RequestType": kind,
            "ServiceToken": support::FUNCTION_ARN,
            "ResponseURL": self.response_url(),
            "StackId": stack_id,
            "RequestId": request_id,
            "LogicalResourceId": "Extensions",
            "ResourceType": "Custom::ExecuteSQL",
            "ResourceProperties": properties(&request_id),
        });
        if kind == "Update" {
            event["PhysicalResourceId"] = json!(*self.physical_id.lock().unwrap());
            event["OldResourceProperties"] = properties("before");
        }
        event
    }

    /// As CloudFormation's, but for the host.
    fn response_url(&self) -> String {
        let pattern = support::Receiver::start().url("stack|Extensions|request");
        let path = pattern.splitn(4, '/').nth(3).unwrap().to_owned();
        format!("{}/{path}", self.receiver)
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn secret_arn() -> String {
    support::Secrets::arn("bench")
}
