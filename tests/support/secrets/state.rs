//! What the service keeps: secrets, their versions and the stages of these.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::ARN_PREFIX;

#[derive(Default)]
pub struct State {
    pub secrets: Vec<Secret>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Secret {
    pub name: String,
    pub arn: String,
    pub description: String,
    pub kms_key_id: Option<String>,
    pub tags: BTreeMap<String, String>,
    /// The days of its recovery window, while it waits for its deletion.
    pub deleted: Option<u64>,
    pub owning_service: Option<String>,
    pub rotation: Option<RotationRules>,
    /// What `RotateSecret` has asked for and no test has driven yet: token, and whether the first
    /// rotation is now.
    pub due: Option<(String, bool)>,
    /// Oldest first.
    pub versions: Vec<Version>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct RotationRules {
    pub lambda_arn: String,
    pub days: Option<u64>,
    pub schedule: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    pub id: String,
    /// `None` in a rotation before anything is put.
    pub value: Option<Text>,
    pub stages: Vec<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub enum Text {
    String(String),
    Binary(Vec<u8>),
}

impl Text {
    /// As an answer has it.
    pub fn write(&self, answer: &mut Value) {
        match self {
            Text::String(text) => answer["SecretString"] = json!(text),
            Text::Binary(bytes) => {
                answer["SecretBinary"] = json!(openssl::base64::encode_block(bytes));
            }
        }
    }
}

impl State {
    /// By name, full ARN, or ARN without the last seven characters.
    pub fn find(&self, id: &str) -> Option<&Secret> {
        self.secrets.iter().find(|it| it.is(id))
    }

    pub fn find_mut(&mut self, id: &str) -> Option<&mut Secret> {
        self.secrets.iter_mut().find(|it| it.is(id))
    }

    pub fn forget(&mut self, id: &str) {
        self.secrets.retain(|it| !it.is(id));
    }
}

impl Secret {
    pub fn new(name: &str, arn: &str) -> Secret {
        Secret {
            name: name.to_owned(),
            arn: arn.to_owned(),
            description: String::new(),
            kms_key_id: None,
            tags: BTreeMap::new(),
            deleted: None,
            // Only services may write an exclamation mark into a name.
            owning_service: name.split_once('!').map(|(service, _)| service.to_owned()),
            rotation: None,
            due: None,
            versions: Vec::new(),
        }
    }

    fn is(&self, id: &str) -> bool {
        self.arn == id || id.strip_prefix(ARN_PREFIX).unwrap_or(id) == self.name
    }

    /// The version with a stage.
    pub fn at(&self, stage: &str) -> Option<&Version> {
        self.versions.iter().find(|it| it.has(stage))
    }

    pub fn version(&self, id: &str) -> Option<&Version> {
        self.versions.iter().find(|it| it.id == id)
    }

    pub fn version_mut(&mut self, id: &str) -> Option<&mut Version> {
        self.versions.iter_mut().find(|it| it.id == id)
    }

    /// A version, or the value of one that has none, with these stages on top.
    pub fn add(&mut self, id: &str, value: Option<Text>, stages: &[&str]) {
        if self.version(id).is_none() {
            self.versions.push(Version { id: id.to_owned(), value: None, stages: Vec::new() });
        }
        self.version_mut(id).expect("it is there now").value = value;
        for stage in stages {
            self.attach(stage, id);
        }
    }

    /// Moves a stage; `AWSPREVIOUS` follows where `AWSCURRENT` leaves.
    pub fn attach(&mut self, stage: &str, id: &str) {
        let before = self.at(stage).map(|it| it.id.clone());
        if before.as_deref() == Some(id) {
            return;
        }
        self.detach(stage);
        let version = self.version_mut(id).expect("stages go to versions that are there");
        version.stages.push(stage.to_owned());
        if stage == "AWSCURRENT" {
            version.stages.retain(|it| it != "AWSPREVIOUS");
            if let Some(before) = before {
                self.attach("AWSPREVIOUS", &before);
            }
        }
    }

    pub fn detach(&mut self, stage: &str) {
        for version in &mut self.versions {
            version.stages.retain(|it| it != stage);
        }
    }
}

impl Version {
    pub fn has(&self, stage: &str) -> bool {
        self.stages.iter().any(|it| it == stage)
    }
}
