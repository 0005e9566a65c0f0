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
        connectors: Arc::default(),
        aws,
        region,
        login,
        places,
    }
}

/// The same with everything made already that the first event will need: Lambda gives a function
/// more of a processor before it than after it.
pub fn prepared() -> Result<(World, Arc<Https>), reqwest::Error> {
    let https = Arc::new(Https::prepared()?);
    let mut world = real(https.clone(), None, Places::of_function());
    world.connectors = Arc::new(Connectors::prepared(world.region.as_deref()));
    Ok((world, https))
}
