//! Where changelog files come from: a folder, a text in the template, an object in S3.
//!
//! Whatever the source, a changelog gets a bundle of files and the path that it
//! begins with. Reading the bundle blocks; [`open`] does what may take long (the
//! network, the search of folders) and asks AWS for nothing unless an object is named.

mod dir;
mod error;
mod inline;
mod s3;
mod temp;
mod zip;

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::aws::Aws;
use crate::budget::Budget;
use crate::changelog::Files;
use crate::changelog::files::normal;
use crate::desired::Source;

pub use error::SourceError;
pub use s3::Fault;

/// A layer's files are below this folder.
const LAYERS: &str = "/opt";
/// The folder of the function's code where Lambda does not say otherwise.
const CODE: &str = "/var/task";

/// Where this process finds and keeps files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The folders that paths are relative to; the first that has a path serves it.
    pub roots: Vec<PathBuf>,
    /// The folder for temporary files.
    pub temp: PathBuf,
    /// An endpoint for S3 that is not AWS's own (`AWS_ENDPOINT_URL_S3`).
    pub s3_endpoint: Option<String>,
}

impl Places {
    /// In Lambda: the layers, then the function's code.
    pub fn of_function() -> Self {
        let code = std::env::var_os("LAMBDA_TASK_ROOT").filter(|it| !it.is_empty());
        Self::at(vec![LAYERS.into(), code.unwrap_or_else(|| CODE.into()).into()])
    }

    /// On the command line: the folder of the file that names the changelog, then the current one.
    pub fn of_command(file: &Path) -> Self {
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let absolute = |folder: &Path| std::path::absolute(folder).unwrap_or(folder.to_owned());
        let mut roots = vec![absolute(folder), absolute(Path::new("."))];
        roots.dedup();
        Self::at(roots)
    }

    fn at(roots: Vec<PathBuf>) -> Self {
        let ignored = std::env::var("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS");
        let ignored = ignored.is_ok_and(|it| it.eq_ignore_ascii_case("true"));
        let endpoint = std::env::var("AWS_ENDPOINT_URL_S3").ok();
        Self {
            roots,
            temp: std::env::temp_dir(),
            s3_endpoint: endpoint.filter(|it| !it.is_empty() && !ignored),
        }
    }
}

/// The files of a changelog.
#[derive(Clone)]
pub struct Bundle {
    /// The files; reading them blocks.
    pub files: Arc<dyn Files>,
    /// The file or folder that the changelog begins with; empty is the whole bundle.
    pub root: String,
}

impl std::fmt::Debug for Bundle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bundle").field("root", &self.root).finish_non_exhaustive()
    }
}

/// Finds or fetches the files.
pub async fn open(
    source: &Source,
    places: &Places,
    aws: &Aws,
    budget: &Budget,
) -> Result<Bundle, SourceError> {
    match source {
        Source::Path(path) => {
            budget.doing(format!("looking for changelog `{path}`"));
            let (path, roots) = (path.clone(), places.roots.clone());
            blocking(move || {
                let (dir, root) = dir::find(&path, &roots)?;
                Ok(Bundle { files: Arc::new(dir), root })
            })
            .await
        }
        Source::Inline(text) => {
            let one = inline::One::of_text(text);
            let root = one.name().to_owned();
            Ok(Bundle { files: Arc::new(one), root })
        }
        Source::Bucket { bucket, key, version, path } => {
            let object = s3::Object { bucket, key, version: version.as_deref() };
            let name = object.to_string();
            budget.doing(format!("fetching `{name}`"));
            let file = s3::fetch(&object, places, aws, budget).await?;
            let (key, path) = (key.clone(), path.clone());
            blocking(move || bundle(&name, Arc::new(file), &key, path.as_deref())).await
        }
    }
}

/// Runs what blocks where it may.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SourceError> + Send + 'static,
) -> Result<T, SourceError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(error) => Err(SourceError::Unreadable("files".into(), error.to_string())),
        },
    }
}

/// An object as a bundle: a zip, or one file. Which, its first bytes tell.
fn bundle(
    object: &str,
    file: Arc<File>,
    key: &str,
    path: Option<&str>,
) -> Result<Bundle, SourceError> {
    let failed = |why: &str| SourceError::Unreadable(object.to_owned(), why.to_owned());
    let climbs = |_| SourceError::Climbs(path.unwrap_or(key).to_owned());
    let mut magic = [0; 4];
    let read = file.read_at(&mut magic, 0).map_err(|error| failed(&error.to_string()))?;
    match &magic[..read] {
        b"PK\x03\x04" | b"PK\x05\x06" | b"PK\x07\x08" => {}
        [0x1f, 0x8b, ..] => {
            return Err(failed("it is packed by gzip; send a zip, or the file itself"));
        }
        _ if path.is_some() => {
            return Err(failed("it is no zip, so there is no `Path` in it"));
        }
        _ => {
            let name = normal(key.rsplit('/').next().unwrap_or(key)).map_err(climbs)?;
            let one = inline::One::of_file(name.clone(), file);
            return Ok(Bundle { files: Arc::new(one), root: name });
        }
    }
    let zip = zip::open(file).map_err(|why| SourceError::Zip(object.to_owned(), why))?;
    let root = normal(path.unwrap_or_default()).map_err(climbs)?;
    if zip.has(&root) {
        return Ok(Bundle { files: Arc::new(zip), root });
    }
    Err(SourceError::Missing {
        closest: zip.nearly(&root).map(str::to_owned),
        searched: vec![object.to_owned()],
        path: root,
    })
}
