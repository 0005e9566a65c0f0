//! AWS's configuration, loaded when it is first needed and not before.
//!
//! Most of it costs nothing, but a search for credentials may go as far as the
//! network; a run against a server that was named by hand never needs it. The
//! region comes from the environment or a profile, never from an instance's
//! metadata: a machine's own region says little about the database's.

use std::sync::Arc;
use std::time::Duration;

use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use tokio::sync::OnceCell;

use crate::secrets::http::Client;
use crate::trust::{HTTPS_CONNECT_TIMEOUT, Https};

/// The configuration, once somebody asked for it.
pub struct Aws {
    https: Arc<Https>,
    config: OnceCell<SdkConfig>,
}

impl Aws {
    /// Nothing is loaded yet.
    pub fn new(https: Arc<Https>) -> Self {
        Self { https, config: OnceCell::new() }
    }

    /// With a configuration that somebody made.
    pub fn of(https: Arc<Https>, config: SdkConfig) -> Self {
        Self { https, config: OnceCell::new_with(Some(config)) }
    }

    /// The client for what has no SDK here.
    pub fn https(&self) -> &Https {
        &self.https
    }

    /// The configuration.
    pub async fn config(&self) -> &SdkConfig {
        self.config.get_or_init(|| Box::pin(load(self.https.clone()))).await
    }
}

/// Short limits: what does not answer at once is tried again by who asks.
async fn load(https: Arc<Https>) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(HTTPS_CONNECT_TIMEOUT)
        .read_timeout(Duration::from_secs(5))
        .operation_timeout(Duration::from_secs(20))
        .build();
    let region = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
        .or_else(ProfileFileRegionProvider::builder().build());
    aws_config::defaults(BehaviorVersion::latest())
        .region(region)
        .http_client(Client(https))
        .timeout_config(timeouts)
        .load()
        .await
}
