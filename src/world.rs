//! Builds what the work needs of the outside, once per process.

use std::sync::Arc;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};

use crate::engine::World;
use crate::secrets::aws::SecretsManager;
use crate::secrets::http::Client;
use crate::secrets::Login;
use crate::trust::{Connectors, Https, HTTPS_CONNECT_TIMEOUT};

/// The world as AWS has it; `login` is one that was given by hand.
pub async fn real(https: Arc<Https>, login: Option<Login>) -> World {
    let aws = configuration(https).await;
    World {
        secrets: Arc::new(SecretsManager::new(&aws)),
        connectors: Connectors::default(),
        aws,
        login,
    }
}

/// Short limits: what does not answer at once is tried again by who asks.
async fn configuration(https: Arc<Https>) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(HTTPS_CONNECT_TIMEOUT)
        .read_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(20))
        .build();
    aws_config::defaults(BehaviorVersion::latest())
        .http_client(Client(https))
        .timeout_config(timeouts)
        .load()
        .await
}
