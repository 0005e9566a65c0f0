//! Why the files of a changelog are not to be had.
//!
//! Every error names the path or object it is about; what S3 said is told apart by
//! status and code. Nothing of a request (headers, signature, credentials) is in
//! any text.

use std::fmt;

use super::s3::Fault;

/// Why there are no files.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Nothing of that name anywhere.
    #[error("changelog `{path}` is not in {}", listed(.searched))]
    Missing {
        /// The path, relative to the places.
        path: String,
        /// The places that were searched, in order.
        searched: Vec<String>,
        /// What is there and called nearly the same.
        closest: Option<String>,
    },
    /// The path, or a symbolic link on it, leads out of its place.
    #[error("changelog `{0}`: the path leads out of its folder")]
    Climbs(String),
    /// It is there, but reading failed.
    #[error("reading changelog `{0}` failed: {1}")]
    Unreadable(String, String),
    /// The object is a zip that is not taken.
    #[error("the zip `{0}` {1}")]
    Zip(String, String),
    /// The object was not to be had from S3.
    #[error("`{0}`: {1}")]
    Object(String, Fault),
    /// The object was had, but could not be kept.
    #[error("keeping `{object}` in the folder `{folder}` failed: {why}")]
    Temp {
        /// The object.
        object: String,
        /// The folder for temporary files.
        folder: String,
        /// What the system said.
        why: String,
        /// Whether there was no room.
        full: bool,
    },
}

impl SourceError {
    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Missing { closest: Some(closest), .. } => {
                return Some(format!("There is `{closest}`."));
            }
            Self::Missing { .. } => {
                "Put the files into a layer (below `/opt`), beside the function's code, or into a zip \
                 in S3, and name the path from there."
            }
            Self::Climbs(_) => {
                "Name a path inside of the folder, and link to nothing outside of it."
            }
            Self::Unreadable(..) => return None,
            Self::Zip(..) => {
                "Make it anew with plain files, stored or deflated, without a password."
            }
            Self::Object(_, fault) => return fault.hint().map(str::to_owned),
            Self::Temp { full: true, .. } => {
                "Raise the function's `EphemeralStorage`, or make the zip smaller."
            }
            Self::Temp { .. } => "The folder for temporary files has to be writable.",
        };
        Some(hint.to_owned())
    }

    /// Whether a later try may succeed.
    pub fn heals(&self) -> bool {
        matches!(self, Self::Object(_, fault) if fault.heals())
    }
}

/// The places of a search, as a sentence lists them.
fn listed(places: &[String]) -> impl fmt::Display {
    match places {
        [] => "any folder".to_owned(),
        places => places.iter().map(|it| format!("`{it}`")).collect::<Vec<_>>().join(" or "),
    }
}
