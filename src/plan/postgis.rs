//! PostGIS is one thing in several extensions.
//!
//! `postgis_raster`, `postgis_topology`, `postgis_tiger_geocoder` and
//! `postgis_sfcgal` are built with `postgis` and work only at its version
//! (PostGIS manual, "Upgrading spatial databases"), but PostgreSQL would let
//! each stay behind. So the parts take their version from the lead.

use super::PlanError;
use super::version::compare;
use crate::desired::{Extension, Version};
use crate::observed::Observed;

/// The extension that decides the version.
pub const LEAD: &str = "postgis";

/// Those that follow it.
pub const PARTS: [&str; 4] =
    ["postgis_raster", "postgis_topology", "postgis_tiger_geocoder", "postgis_sfcgal"];

/// Whether an extension follows [`LEAD`].
pub fn is_part(name: &str) -> bool {
    PARTS.contains(&name)
}

/// Whether a pinned lead and an installed part of it are at different versions.
pub fn is_apart(wanted: &[Extension], observed: &Observed) -> bool {
    let lead = wanted.iter().find(|it| it.name.as_str() == LEAD);
    let Some(Version::Exact(pin)) = lead.map(|it| &it.version) else { return false };
    PARTS.iter().any(|part| observed.installed.get(*part).is_some_and(|it| it.version != *pin))
}

/// Refuses a part at another version than its lead, and the step from PostGIS 2 to 3.
pub fn check(
    wanted: &[Extension],
    wish: &Extension,
    target: &str,
    observed: &Observed,
) -> Result<(), PlanError> {
    if wish.name.as_str() != LEAD && !is_part(wish.name.as_str()) {
        return Ok(());
    }
    if let Some(installed) = observed.installed.get(wish.name.as_str()) {
        let two_to_three = compare(&installed.version, "3").is_lt() && compare(target, "3").is_ge();
        if two_to_three {
            let installed = installed.version.clone();
            return Err(PlanError::PostgisMajor { name: wish.name.clone(), installed });
        }
    }
    let lead = wanted.iter().find(|it| it.name.as_str() == LEAD);
    let lead = match lead.map(|it| &it.version) {
        Some(Version::Exact(pin)) => Some(pin.as_str()),
        Some(_) => None,
        None => observed.installed.get(LEAD).map(|it| it.version.as_str()),
    };
    match lead {
        Some(lead) if lead != target => Err(PlanError::PostgisSplit {
            name: wish.name.clone(),
            wanted: target.to_owned(),
            lead: lead.to_owned(),
        }),
        _ => Ok(()),
    }
}
