//! The JSON text of a database secret.
//!
//! RDS and Aurora write `engine, host, port, username, password, dbname`; a
//! secret that RDS manages by itself holds `username` and `password` alone.
//! `port` is a number or a text. Unknown keys are left alone.

use secrecy::SecretString;
use serde_json::{Map, Value};

/// A login, as far as its secret tells.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// Host name of the server.
    pub host: Option<String>,
    /// TCP port.
    pub port: Option<u16>,
    /// The role.
    pub username: Option<String>,
    /// Its password.
    pub password: Option<SecretString>,
    /// The database.
    pub database: Option<String>,
    /// The kind of server, as the secret writes it.
    pub engine: Option<String>,
    /// The secret of the role that may change this one (`masterarn`).
    pub master_arn: Option<String>,
}

/// Why a text is no login; none of these repeats the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Not JSON, or JSON of another kind.
    #[error("is not a JSON object")]
    NotAnObject,
    /// A key that is needed and is nowhere else.
    #[error("has no `{0}`")]
    Missing(&'static str),
    /// A key whose value cannot be what it should be.
    #[error("has a `{0}` that is no {1}")]
    Wrong(&'static str, &'static str),
    /// A secret for another kind of server.
    #[error("is for engine `{0}`; this resource speaks to PostgreSQL")]
    OtherEngine(String),
}

impl Login {
    /// Reads a secret's text.
    pub fn read(text: &str) -> Result<Self, LoginError> {
        let Ok(Value::Object(map)) = serde_json::from_str(text) else {
            return Err(LoginError::NotAnObject);
        };
        let engine = string(&map, "engine")?;
        if let Some(engine) = &engine {
            if !engine.to_lowercase().contains("postgres") {
                return Err(LoginError::OtherEngine(engine.chars().take(40).collect()));
            }
        }
        Ok(Self {
            host: string(&map, "host")?,
            port: port(&map)?,
            username: string(&map, "username")?,
            password: string(&map, "password")?.map(SecretString::from),
            database: string(&map, "dbname")?,
            engine,
            master_arn: string(&map, "masterarn")?,
        })
    }
}

/// The text of a secret with these keys changed and every other key kept; a null changes nothing.
pub fn with(text: &str, changes: &[(&str, Value)]) -> Result<SecretString, LoginError> {
    let Ok(Value::Object(mut map)) = serde_json::from_str(text) else {
        return Err(LoginError::NotAnObject);
    };
    for (key, value) in changes.iter().filter(|(_, value)| !value.is_null()) {
        map.insert((*key).to_owned(), value.clone());
    }
    Ok(Value::Object(map).to_string().into())
}

fn string(map: &Map<String, Value>, key: &'static str) -> Result<Option<String>, LoginError> {
    match map.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) if text.contains('\0') => Err(LoginError::Wrong(key, "text")),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(LoginError::Wrong(key, "text")),
    }
}

fn port(map: &Map<String, Value>) -> Result<Option<u16>, LoginError> {
    let port = match map.get("port") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Number(number)) => number.as_u64().and_then(|it| u16::try_from(it).ok()),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(_) => None,
    };
    port.filter(|&port| port > 0).map(Some).ok_or(LoginError::Wrong("port", "port number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_of_secret_reads() {
        let full = r#"{"engine":"aurora-postgresql","host":"h","port":"5433","username":"u",
            "password":"p","dbname":"d","masterarn":"x"}"#;
        let login = Login::read(full).unwrap();
        assert_eq!(
            (login.host.as_deref(), login.port, login.database.as_deref()),
            (Some("h"), Some(5433), Some("d"))
        );
        assert!(!format!("{login:?}").contains("\"p\""));
        let managed = Login::read(r#"{"username":"u","password":"p"}"#).unwrap();
        assert_eq!((managed.host, managed.port), (None, None));
    }

    #[test]
    fn what_is_no_login_is_refused_without_repeating_it() {
        let error = |text| Login::read(text).unwrap_err().to_string();
        assert_eq!(error("hunter2"), "is not a JSON object");
        assert_eq!(error(r#"["hunter2"]"#), "is not a JSON object");
        assert_eq!(error(r#"{"port":"hunter2"}"#), "has a `port` that is no port number");
        assert_eq!(error(r#"{"password":{"x":"hunter2"}}"#), "has a `password` that is no text");
        assert!(error(r#"{"engine":"mysql"}"#).contains("for engine `mysql`"));
    }

    #[test]
    fn a_changed_secret_keeps_what_it_does_not_know() {
        use secrecy::ExposeSecret;
        use serde_json::json;
        let text = r#"{"ssl":true,"password":"old","port":"5432","own":{"a":[1]}}"#;
        let changes = [("password", json!("new")), ("host", json!("h")), ("port", Value::Null)];
        let written = with(text, &changes).unwrap();
        let read: Value = serde_json::from_str(written.expose_secret()).unwrap();
        let wanted =
            json!({"ssl": true, "password": "new", "port": "5432", "own": {"a": [1]}, "host": "h"});
        assert_eq!(read, wanted);
        assert_eq!(with("hunter2", &changes).unwrap_err(), LoginError::NotAnObject);
    }

    #[test]
    fn a_secret_tells_its_engine_and_its_master() {
        let login = Login::read(r#"{"engine":"postgres","masterarn":"arn:x"}"#).unwrap();
        assert_eq!(
            (login.engine.as_deref(), login.master_arn.as_deref()),
            (Some("postgres"), Some("arn:x"))
        );
    }
}
