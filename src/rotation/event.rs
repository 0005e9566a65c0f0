//! The event of Secrets Manager: which step, of which secret, for which version.
//!
//! `RotationToken` comes with a rotation by an assumed role or of another
//! account; it is passed on and otherwise left alone. Fields that are not known
//! are no error: the service may add some.

use serde_json::Value;

/// One of the four steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A pending version is written.
    Create,
    /// The server learns its password.
    Set,
    /// It is logged in with.
    Test,
    /// It becomes the current one.
    Finish,
}

impl Step {
    /// As the service writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Create => "createSecret",
            Self::Set => "setSecret",
            Self::Test => "testSecret",
            Self::Finish => "finishSecret",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::Create, Self::Set, Self::Test, Self::Finish]
            .into_iter()
            .find(|it| it.as_str() == text)
    }
}

/// One call of the function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What to do.
    pub step: Step,
    /// The secret's ARN.
    pub secret: String,
    /// The id of the version that is to become current.
    pub token: String,
    /// To be passed on with the new version.
    pub rotation_token: Option<String>,
}

impl Event {
    /// Reads an event's text; says what is wrong with it.
    pub fn read(text: &str) -> Result<Self, String> {
        let event: Value = serde_json::from_str(text).unwrap_or_default();
        if !event.is_object() {
            return Err("the event is not a JSON object".to_owned());
        }
        let field = |key: &str| match event.get(key) {
            Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
            None | Some(Value::Null | Value::String(_)) => Err(format!("the event has no `{key}`")),
            Some(_) => Err(format!("`{key}` of the event is no text")),
        };
        let step = field("Step")?;
        Ok(Self {
            step: Step::read(&step).ok_or_else(|| {
                let step: String = step.chars().take(40).collect();
                format!("`Step` of the event is `{step}`, which is none of the four")
            })?,
            secret: field("SecretId")?,
            token: field("ClientRequestToken")?,
            rotation_token: field("RotationToken").ok(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_reads_with_and_without_a_rotation_token() {
        let text = r#"{"Step":"setSecret","SecretId":"arn:x","ClientRequestToken":"t","New":1}"#;
        let event = Event::read(text).unwrap();
        assert_eq!((event.step, event.secret.as_str()), (Step::Set, "arn:x"));
        assert_eq!((event.token.as_str(), event.rotation_token), ("t", None));
        let text = text.replace("\"New\":1", "\"RotationToken\":\"r\"");
        assert_eq!(Event::read(&text).unwrap().rotation_token.as_deref(), Some("r"));
    }

    #[test]
    fn an_event_that_lacks_something_says_what() {
        let wrong = |text| Event::read(text).unwrap_err();
        assert_eq!(wrong("x"), "the event is not a JSON object");
        assert_eq!(wrong("{}"), "the event has no `Step`");
        assert_eq!(wrong(r#"{"Step":7}"#), "`Step` of the event is no text");
        assert!(wrong(r#"{"Step":"SetSecret"}"#).contains("`SetSecret`, which is none"));
        assert_eq!(wrong(r#"{"Step":"setSecret"}"#), "the event has no `SecretId`");
        let tokenless = r#"{"Step":"setSecret","SecretId":"x","ClientRequestToken":""}"#;
        assert_eq!(wrong(tokenless), "the event has no `ClientRequestToken`");
    }
}
