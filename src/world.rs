//! Puts together what the work needs of the outside, once per process.

use std::sync::Arc;

use crate::aws::Aws;
use crate::engine::World;
use crate::secrets::Login;
use crate::secrets::aws::SecretsManager;
use crate::source::Places;
use crate::trust::{Connectors, Https};

/// The world as AWS has it; `login` is one that was given by hand, `places` is where changelogs are.
pub fn real(https: Arc<Https>, login: Option<Login>, places: Places) -> World {
    let aws = Arc::new(Aws::new(https));
    let region = std::env::var("AWS_REGION").ok().filter(|it| !it.is_empty());
    World {
        secrets: Arc::new(SecretsManager::new(aws.clone())),
        connectors: Connectors::prepared(region.as_deref()),
        aws,
        region,
        login,
        places,
    }
}
