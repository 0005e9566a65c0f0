//! Which extensions to create, update and move.
//!
//! Everything that the server could refuse and that can be known before is
//! refused here, before anything runs: names, versions, update paths, schemas,
//! requirements. Requirements become steps of their own rather than `CASCADE`,
//! so that the plan shows them and the ledger knows who made them.

use std::collections::BTreeSet;

use super::version::{compare, is_release};
use super::{Claim, Plan, PlanError, Step, closest_name, postgis};
use crate::desired::{Extension, Version};
use crate::ident::Identifier;
use crate::observed::{Installed, Kind, Observed, Offered, OfferedExtension};

/// Whether the plan depends on what the server offers.
///
/// In the common case everything is as wanted, and the costly look at all the
/// extension files of the server can be left out.
pub fn needs_offer(wanted: &[Extension], observed: &Observed) -> bool {
    let (wanted, _) = settled(wanted, observed);
    let wanted = wanted.as_slice();
    let is_settled = |it: &Extension| match (observed.installed.get(it.name.as_str()), &it.version)
    {
        (None, _) | (_, Version::Latest) => false,
        (Some(installed), version) => {
            let exact = matches!(version, Version::Exact(pin) if *pin != installed.version);
            let moved = it.schema.as_ref().is_some_and(|name| name.as_str() != installed.schema);
            !exact && !moved
        }
    };
    !wanted.iter().all(is_settled) || postgis::is_apart(wanted, observed)
}

/// The wishes as they can be met when the resource returns to earlier properties.
///
/// A stack that rolls back asks for the versions that it had before. Extensions do
/// not go back, and the rollback must not fail: one that is newer than its pin then
/// stays, and is named. New properties that pin an older version are refused as ever.
pub(super) fn settled(wanted: &[Extension], observed: &Observed) -> (Vec<Extension>, Vec<String>) {
    let mut notes = Vec::new();
    let returning = observed.ledger.as_ref().is_some_and(|it| it.returning);
    let mut settle = |wish: &Extension| {
        let (Version::Exact(pin), Some(installed)) =
            (&wish.version, observed.installed.get(wish.name.as_str()))
        else {
            return wish.clone();
        };
        if !returning || !compare(&installed.version, pin).is_gt() {
            return wish.clone();
        }
        notes.push(format!(
            "extension {} stays at {}, newer than {pin}",
            wish.name, installed.version
        ));
        Extension { version: Version::Any, ..wish.clone() }
    };
    let wishes = wanted.iter().map(&mut settle).collect();
    (wishes, notes)
}

/// The steps for all wanted extensions.
pub(super) fn plan(wanted: &[Extension], observed: &Observed) -> Result<Plan, PlanError> {
    let nothing = Offered::default();
    let offered = observed.offered.as_ref().unwrap_or(&nothing);
    let mut planner =
        Planner { wanted, observed, offered, plan: Plan::default(), visited: BTreeSet::new() };
    for extension in wanted {
        planner.visit(extension, None)?;
    }
    if needs_offer(wanted, observed) {
        planner.followers()?;
    }
    Ok(planner.plan)
}

struct Planner<'a> {
    wanted: &'a [Extension],
    observed: &'a Observed,
    offered: &'a Offered,
    plan: Plan,
    visited: BTreeSet<Identifier>,
}

impl<'a> Planner<'a> {
    fn visit(
        &mut self,
        wish: &Extension,
        required_by: Option<&Identifier>,
    ) -> Result<(), PlanError> {
        if !self.visited.insert(wish.name.clone()) {
            return Ok(());
        }
        match self.observed.installed.get(wish.name.as_str()) {
            Some(installed) => self.existing(wish, installed)?,
            None => self.missing(wish, required_by)?,
        }
        self.plan.claims.push(Claim { kind: Kind::Extension, name: wish.name.clone() });
        Ok(())
    }

    fn existing(&mut self, wish: &Extension, installed: &Installed) -> Result<(), PlanError> {
        let target = match &wish.version {
            Version::Any if postgis::is_part(wish.name.as_str()) => self.pinned_lead()?,
            Version::Any => None,
            Version::Exact(pin) => Some(pin.clone()),
            Version::Latest => {
                let newest = newest(self.offer(&wish.name)?);
                newest.filter(|it| compare(it, &installed.version).is_gt())
            }
        };
        if let Some(target) = target {
            postgis::check(self.wanted, wish, &target, self.observed)?;
            if target != installed.version {
                self.requirements(wish, &target)?;
                self.update(&wish.name, &installed.version, &target)?;
            }
        }
        match &wish.schema {
            Some(schema) if schema.as_str() != installed.schema => {
                self.relocate(&wish.name, installed, schema)
            }
            _ => Ok(()),
        }
    }

    fn missing(
        &mut self,
        wish: &Extension,
        required_by: Option<&Identifier>,
    ) -> Result<(), PlanError> {
        let offer = self.offer(&wish.name)?;
        let version = match &wish.version {
            Version::Exact(pin) => pin.clone(),
            Version::Latest => newest(offer).unwrap_or_default(),
            Version::Any => {
                let is_part = postgis::is_part(wish.name.as_str());
                let lead = if is_part { self.lead()? } else { None };
                lead.or_else(|| offer.default_version.clone()).unwrap_or_default()
            }
        };
        let Some(found) = offer.versions.iter().find(|it| it.version == version) else {
            let available = releases(offer.versions.iter().map(|it| it.version.clone()));
            return Err(PlanError::NoSuchVersion {
                name: wish.name.clone(),
                wanted: version,
                available,
            });
        };
        if let (Some(wanted), Some(fixed)) = (&wish.schema, &found.schema) {
            if wanted.as_str() != fixed {
                let (fixed, wanted) = (fixed.clone(), wanted.clone());
                return Err(PlanError::FixedSchema { name: wish.name.clone(), fixed, wanted });
            }
        }
        postgis::check(self.wanted, wish, &version, self.observed)?;
        self.requirements(wish, &version)?;
        let schema = wish.schema.clone().filter(|_| found.schema.is_none());
        self.schema(schema.as_ref());
        self.plan.steps.push(Step::CreateExtension {
            name: wish.name.clone(),
            version,
            schema,
            required_by: required_by.cloned(),
        });
        Ok(())
    }

    /// Everything that `version` of the extension requires comes before it.
    fn requirements(&mut self, wish: &Extension, version: &str) -> Result<(), PlanError> {
        let offer = self.offer(&wish.name)?;
        let found = offer.versions.iter().find(|it| it.version == version);
        let required = found.map(|it| it.requires.clone()).unwrap_or_default();
        for name in required {
            if let Some(wanted) = self.wanted.iter().find(|it| it.name.as_str() == name) {
                self.visit(wanted, None)?;
            } else if !self.observed.installed.contains_key(&name) {
                let required = Identifier::new(&name).ok().filter(|_| wish.cascade);
                let Some(required) = required else {
                    return Err(PlanError::MissingRequirement {
                        name: wish.name.clone(),
                        required: name,
                    });
                };
                let follows = postgis::is_part(wish.name.as_str()) && name == postgis::LEAD;
                let implied = Extension {
                    name: required,
                    version: if follows { Version::Exact(version.into()) } else { Version::Any },
                    schema: wish.schema.clone().filter(|_| !self.has_fixed_schema(&name)),
                    cascade: true,
                    on_delete: wish.on_delete,
                };
                self.visit(&implied, Some(&wish.name))?;
            }
        }
        Ok(())
    }

    fn has_fixed_schema(&self, name: &str) -> bool {
        let offer = self.offered.extensions.get(name);
        offer.is_some_and(|it| it.versions.iter().any(|version| version.schema.is_some()))
    }

    fn update(&mut self, name: &Identifier, from: &str, to: &str) -> Result<(), PlanError> {
        let (installed, wanted) = (from.to_owned(), to.to_owned());
        if is_release(from) && is_release(to) && compare(to, from).is_lt() {
            return Err(PlanError::Downgrade { name: name.clone(), installed, wanted });
        }
        let offer = self.offer(name)?;
        if !offer.updates.iter().any(|(start, end)| start == from && end == to) {
            let reachable = offer.updates.iter().filter(|(start, _)| start == from);
            let reachable = releases(reachable.map(|(_, end)| end.clone()));
            let reachable =
                reachable.into_iter().filter(|it| compare(it, from).is_gt()).collect::<Vec<_>>();
            return Err(if offer.versions.iter().any(|it| it.version == to) {
                PlanError::NoUpdatePath { name: name.clone(), installed, wanted, reachable }
            } else {
                let available = releases(offer.versions.iter().map(|it| it.version.clone()));
                PlanError::NoSuchVersion { name: name.clone(), wanted, available }
            });
        }
        self.plan.steps.push(Step::UpdateExtension {
            name: name.clone(),
            from: installed,
            to: wanted,
        });
        Ok(())
    }

    fn relocate(
        &mut self,
        name: &Identifier,
        installed: &Installed,
        to: &Identifier,
    ) -> Result<(), PlanError> {
        if !installed.relocatable {
            return Err(PlanError::NotRelocatable {
                name: name.clone(),
                installed: installed.schema.clone(),
                wanted: to.clone(),
            });
        }
        self.schema(Some(to));
        self.plan.steps.push(Step::MoveExtension {
            name: name.clone(),
            from: installed.schema.clone(),
            to: to.clone(),
        });
        Ok(())
    }

    fn schema(&mut self, name: Option<&Identifier>) {
        let Some(name) = name else { return };
        let claim = Claim { kind: Kind::Schema, name: name.clone() };
        if self.plan.claims.contains(&claim) {
            return;
        }
        if !self.observed.schemas.contains_key(name.as_str()) {
            self.plan.steps.push(Step::CreateSchema { name: name.clone() });
        }
        self.plan.claims.push(claim);
    }

    /// The version that `postgis` is pinned to, if this resource pins it.
    fn pinned_lead(&self) -> Result<Option<String>, PlanError> {
        let is_pinned =
            |it: &Extension| it.name.as_str() == postgis::LEAD && it.version != Version::Any;
        if self.wanted.iter().any(is_pinned) { self.lead() } else { Ok(None) }
    }

    /// The version that `postgis` will have; `None` where it is neither wanted nor there.
    fn lead(&self) -> Result<Option<String>, PlanError> {
        let Some(lead) = self.wanted.iter().find(|it| it.name.as_str() == postgis::LEAD) else {
            // A new part joins what is there.
            let installed = self.observed.installed.get(postgis::LEAD);
            return Ok(installed.map(|it| it.version.clone()));
        };
        let installed = self.observed.installed.get(postgis::LEAD);
        Ok(match (&lead.version, installed) {
            (Version::Exact(pin), _) => Some(pin.clone()),
            (Version::Any, Some(installed)) => Some(installed.version.clone()),
            (Version::Any, None) => self.offer(&lead.name)?.default_version.clone(),
            (Version::Latest, installed) => {
                let newest = newest(self.offer(&lead.name)?);
                match (newest, installed) {
                    (Some(new), Some(old)) if compare(&new, &old.version).is_le() => {
                        Some(old.version.clone())
                    }
                    (newest, _) => newest,
                }
            }
        })
    }

    /// Installed parts of PostGIS that nobody asked for move along with a pinned lead.
    fn followers(&mut self) -> Result<(), PlanError> {
        let Some(target) = self.pinned_lead()? else { return Ok(()) };
        for part in postgis::PARTS {
            let Some(installed) = self.observed.installed.get(part) else { continue };
            let Ok(name) = Identifier::new(part) else { continue };
            if self.visited.contains(part) || installed.version == target {
                continue;
            }
            self.update(&name, &installed.version, &target)?;
        }
        Ok(())
    }

    /// What the server offers under a name, after its own rules were asked.
    fn offer(&self, name: &Identifier) -> Result<&'a OfferedExtension, PlanError> {
        let refusals = [
            ("rds.allowed_extensions", &self.offered.allowed),
            ("rds.extensions", &self.offered.supported),
        ];
        for (setting, list) in refusals {
            if list.as_deref().is_some_and(|list| !lists(list, name.as_str())) {
                return Err(PlanError::NotAllowed { name: name.clone(), setting });
            }
        }
        self.offered.extensions.get(name.as_str()).ok_or_else(|| PlanError::Unavailable {
            name: name.clone(),
            closest: closest_name(name.as_str(), &self.offered.names),
        })
    }
}

/// Whether a setting of RDS, names with commas between or `*`, has the name.
fn lists(setting: &str, name: &str) -> bool {
    let mut names = setting.split(',').map(str::trim);
    setting.trim() == "*" || names.any(|it| it.eq_ignore_ascii_case(name))
}

fn releases(versions: impl Iterator<Item = String>) -> Vec<String> {
    let mut releases: Vec<_> = versions.filter(|it| is_release(it)).collect();
    releases.sort_by(|a, b| compare(a, b));
    releases
}

fn newest(offer: &OfferedExtension) -> Option<String> {
    let newest = releases(offer.versions.iter().map(|it| it.version.clone())).pop();
    newest.or_else(|| offer.default_version.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn wish(name: &str, version: &str) -> Extension {
        Extension {
            name: Identifier::new(name).unwrap(),
            version: match version {
                "" => Version::Any,
                "latest" => Version::Latest,
                pin => Version::Exact(pin.into()),
            },
            schema: None,
            cascade: true,
            on_delete: None,
        }
    }

    fn server() -> serde_json::Value {
        let postgis = |requires: &[&str]| {
            let versions = ["3.3.0", "3.4.2", "ANY"];
            let versions = versions.map(|it| json!({"version": it, "requires": requires}));
            json!({
                "default_version": "3.4.2",
                "versions": versions,
                "updates": [["3.3.0", "3.4.2"], ["3.3.0", "ANY"], ["3.4.2", "3.3.0"]],
            })
        };
        json!({
            "server": {"version": "15", "version_num": 150_000, "database": "d", "database_oid": 1,
                       "role": "m", "in_recovery": false, "now": 0.0},
            "installed": {
                "hstore": {"version": "1.8", "schema": "public", "oid": 7, "relocatable": true},
            },
            "schemas": {"public": 2200},
            "offered": {
                "names": ["hstore", "pg_trgm", "postgis", "vector"],
                "extensions": {
                    "hstore": {"default_version": "1.8", "versions": [{"version": "1.8"}], "updates": [["1.8", "1.9"]]},
                    "pg_trgm": {"default_version": "1.6", "versions": [{"version": "1.3"}, {"version": "1.6"}]},
                    "fuzzystrmatch": {"default_version": "1.1", "versions": [{"version": "1.1"}]},
                    "postgis": postgis(&[]),
                    "postgis_raster": postgis(&["postgis"]),
                    "postgis_topology": postgis(&["postgis"]),
                    "postgis_tiger_geocoder": postgis(&["postgis", "fuzzystrmatch"]),
                },
            },
        })
    }

    fn planned(wanted: &[Extension], server: serde_json::Value) -> String {
        match plan(wanted, &serde_json::from_value(server).unwrap()) {
            Ok(plan) => plan.to_string(),
            Err(error) => format!("{error}\n{}", error.hint().unwrap_or_default()),
        }
    }

    fn with_postgis(version: &str, parts: &[&str]) -> serde_json::Value {
        let mut server = server();
        for (at, name) in ["postgis"].iter().chain(parts).enumerate() {
            server["installed"][name] = json!({"version": version, "schema": "public", "oid": 20 + at, "relocatable": false});
        }
        server
    }

    #[test]
    fn what_is_there_needs_no_step_and_no_look_at_the_offer() {
        let mut server = server();
        server["offered"] = json!(null);
        let observed = serde_json::from_value(server).unwrap();
        let wanted = [wish("hstore", ""), wish("hstore", "1.8")];
        for wanted in wanted {
            assert!(!needs_offer(std::slice::from_ref(&wanted), &observed));
            assert_eq!(plan(&[wanted], &observed).unwrap().steps, []);
        }
        assert!(needs_offer(&[wish("hstore", "1.9")], &observed));
        assert!(needs_offer(&[wish("hstore", "latest")], &observed));
        assert!(needs_offer(&[wish("vector", "")], &observed));
    }

    #[test]
    fn requirements_come_first_and_are_shown() {
        let mut tiger = wish("postgis_tiger_geocoder", "");
        insta::assert_snapshot!(planned(&[tiger.clone(), wish("pg_trgm", "1.3")], server()), @"
        + extension postgis 3.4.2 (required by postgis_tiger_geocoder)
        + extension fuzzystrmatch 1.1 (required by postgis_tiger_geocoder)
        + extension postgis_tiger_geocoder 3.4.2
        + extension pg_trgm 1.3
        ");
        tiger.cascade = false;
        insta::assert_snapshot!(planned(&[tiger], server()), @"
        extension `postgis_tiger_geocoder` needs `postgis`, which is not installed, and `Cascade` is false
        Ask for it too, or leave `Cascade` out.
        ");
    }

    #[test]
    fn parts_of_postgis_take_its_version_wherever_they_stand() {
        let wanted = [wish("postgis_topology", ""), wish("postgis", "3.3.0")];
        insta::assert_snapshot!(planned(&wanted, server()), @"
        + extension postgis 3.3.0
        + extension postgis_topology 3.3.0
        ");
        insta::assert_snapshot!(planned(&[wish("postgis_raster", "")], with_postgis("3.3.0", &[])), @"+ extension postgis_raster 3.3.0");
    }

    #[test]
    fn installed_parts_of_postgis_move_along_on_an_update() {
        let server = || with_postgis("3.3.0", &["postgis_raster", "postgis_topology"]);
        insta::assert_snapshot!(planned(&[wish("postgis", "latest")], server()), @"
        ~ extension postgis 3.3.0 -> 3.4.2
        ~ extension postgis_raster 3.3.0 -> 3.4.2
        ~ extension postgis_topology 3.3.0 -> 3.4.2
        ");
        let wanted = [wish("postgis_topology", ""), wish("postgis", "3.4.2")];
        insta::assert_snapshot!(planned(&wanted, server()), @"
        ~ extension postgis 3.3.0 -> 3.4.2
        ~ extension postgis_topology 3.3.0 -> 3.4.2
        ~ extension postgis_raster 3.3.0 -> 3.4.2
        ");
        let split = [wish("postgis", "3.4.2"), wish("postgis_raster", "3.3.0")];
        insta::assert_snapshot!(planned(&split, server()), @"
        extension `postgis_raster` is asked for at 3.3.0, but `postgis` at 3.4.2; they are parts of one thing and only work at the same version
        Pin `postgis` alone; its parts follow.
        ");
    }

    #[test]
    fn a_part_that_was_left_behind_catches_up() {
        let mut server = with_postgis("3.4.2", &["postgis_topology"]);
        server["installed"]["postgis_topology"]["version"] = json!("3.3.0");
        insta::assert_snapshot!(planned(&[wish("postgis", "3.4.2")], server), @"~ extension postgis_topology 3.3.0 -> 3.4.2");
    }

    #[test]
    fn a_rollback_does_not_fail_for_what_cannot_go_back() {
        let mut server = with_postgis("3.4.2", &["postgis_raster"]);
        server["ledger"] = json!({"version": 1, "returning": true});
        let observed: Observed = serde_json::from_value(server).unwrap();
        let wanted = [wish("postgis", "3.3.0"), wish("postgis_raster", "3.3.0")];
        assert!(!needs_offer(&wanted, &observed));
        let (wanted, notes) = settled(&wanted, &observed);
        assert_eq!(plan(&wanted, &observed).unwrap().steps, []);
        insta::assert_snapshot!(notes.join("\n"), @r"
        extension postgis stays at 3.4.2, newer than 3.3.0
        extension postgis_raster stays at 3.4.2, newer than 3.3.0
        ");
    }

    #[test]
    fn what_the_server_lacks_is_refused_with_what_it_has() {
        insta::assert_snapshot!(planned(&[wish("pgvector", "")], server()), @"
        extension `pgvector` is not available on this server; did you mean `vector`?
        Check the name, or the engine version: see `SELECT * FROM pg_available_extensions`.
        ");
        insta::assert_snapshot!(planned(&[wish("postgis", "3.5.0")], server()), @"
        extension `postgis` has no version 3.5.0 on this server; to be had: 3.3.0, 3.4.2
        Pin one of these, leave the version out, or upgrade the engine.
        ");
        insta::assert_snapshot!(planned(&[wish("hstore", "2.0")], server()), @"
        extension `hstore` has no version 2.0 on this server; to be had: 1.8
        Pin one of these, leave the version out, or upgrade the engine.
        ");
        insta::assert_snapshot!(planned(&[wish("postgis", "3.3.0")], with_postgis("3.4.2", &[])), @"
        extension `postgis` is installed at 3.4.2; going back to 3.3.0 is not done, for PostgreSQL has no way back that keeps data
        Pin the installed version or a newer one.
        ");
        let mut server = server();
        server["offered"]["allowed"] = json!("postgis, hstore");
        insta::assert_snapshot!(planned(&[wish("pg_trgm", "")], server), @"
        extension `pg_trgm` is not in `rds.allowed_extensions` of this server
        Add it to that parameter in the parameter group, or leave it out.
        ");
    }

    #[test]
    fn postgis_two_is_not_dragged_to_three() {
        let server = with_postgis("2.5.4", &[]);
        insta::assert_snapshot!(planned(&[wish("postgis", "3.4.2")], server), @"
        extension `postgis` is installed at 2.5.4; the step from PostGIS 2 to 3 splits raster from it and needs a hand
        Run `SELECT postgis_extensions_upgrade()` twice, as the RDS manual says, then deploy.
        ");
    }

    #[test]
    fn a_schema_is_made_once_and_before_what_lives_in_it() {
        let gis = |name: &str| Extension {
            schema: Some(Identifier::new("gis").unwrap()),
            ..wish(name, "")
        };
        insta::assert_snapshot!(planned(&[gis("postgis_raster"), gis("hstore")], server()), @"
        + schema gis
        + extension postgis 3.4.2 in schema gis (required by postgis_raster)
        + extension postgis_raster 3.4.2 in schema gis
        ~ extension hstore schema public -> gis
        ");
        insta::assert_snapshot!(planned(&[gis("postgis")], with_postgis("3.4.2", &[])), @"
        extension `postgis` is installed in schema `public` and cannot be moved to `gis`
        Leave `Schema` out, or name the schema that it is in.
        ");
    }
}
