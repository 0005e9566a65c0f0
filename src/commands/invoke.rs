//! `invoke EVENT.json`: one event through the function's own handler, here.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Exit, print};
use crate::handler::{self, Call};
use crate::source::Places;
use crate::trust::Https;
use crate::world;

/// What the function is called where no ARN is known.
const LOCAL_ARN: &str = "arn:aws:lambda:local:000000000000:function:execute-sql";

/// Runs it.
pub async fn invoke(path: &Path, timeout: u64, function_arn: Option<&str>) -> Result<Exit> {
    let event = read(path).with_context(|| format!("reading `{}`", path.display()))?;
    let end = SystemTime::now() + Duration::from_secs(timeout);
    let call = Call {
        function_arn: function_arn.map_or_else(|| service_token(&event), str::to_owned),
        event,
        request_id: format!("local-{:08x}", fastrand::u32(..)),
        deadline_ms: u64::try_from(end.duration_since(UNIX_EPOCH)?.as_millis())?,
        log_stream: "local".into(),
    };
    let https = Arc::new(Https::default());
    let world = world::real(https.clone(), None, Places::of_command(path));
    match handler::handle(&world, &https, &call).await {
        Ok(value) => {
            print::json(&value);
            Ok(Exit::Done)
        }
        Err(thrown) => {
            print::json(&serde_json::json!({
                "errorType": thrown.name, "errorMessage": thrown.message,
            }));
            Ok(Exit::Failed)
        }
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        std::io::stdin().read_to_end(&mut bytes)?;
    } else {
        bytes = std::fs::read(path)?;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// An event that names its function is meant for it.
fn service_token(event: &str) -> String {
    let event: Value = serde_json::from_str(event).unwrap_or_default();
    let token = event.pointer("/ResourceProperties/ServiceToken").and_then(Value::as_str);
    token.unwrap_or(LOCAL_ARN).to_owned()
}
