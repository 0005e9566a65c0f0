//! An object of S3, fetched into a temporary file.
//!
//! One GET over the program's own HTTPS client, signed here: S3's SDK is larger than all of
//! this program. What passes (a busy service, a cut connection) is tried again; a bucket
//! in another region tells which, and is asked there.

mod fault;
mod request;

use std::fs::File;
use std::io;
use std::ops::Deref;
use std::time::{Duration, SystemTime};

use aws_credential_types::provider::ProvideCredentials;
use reqwest::Response;
use tokio::io::{AsyncWriteExt, BufWriter};
use tokio::time::timeout;

use super::{Places, SourceError, temp};
use crate::aws::Aws;
use crate::budget::Budget;
use crate::trust::{causes, is_unverified};

pub use fault::Fault;
use fault::{Answer, is_region};
pub use request::Object;
use request::Service;

/// As much as Lambda's `/tmp` holds unless somebody asked for more.
const MOST_BYTES: u64 = 512 << 20;
/// Of an answer that is no object.
const MOST_WORDS: usize = 64 << 10;
const MOST_TRIES: u32 = 5;
/// For the first byte, and then for each next piece.
const SILENCE: Duration = Duration::from_secs(20);

/// Why a try ended without a file.
enum Failed {
    Fault(Fault),
    Disk(io::Error),
}

impl From<Fault> for Failed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Fetches it; the file has no name, and is gone with its last handle.
pub async fn fetch(
    object: &Object<'_>,
    places: &Places,
    aws: &Aws,
    budget: &Budget,
) -> Result<File, SourceError> {
    let mut service = Service::new(aws.config().await, places.s3_endpoint.as_deref());
    let mut moved = false;
    let mut tries = 0;
    loop {
        let fault = match attempt(object, &service, places, aws).await {
            Ok(file) => return Ok(file),
            Err(Failed::Disk(error)) => return Err(kept(object, places, &error)),
            Err(Failed::Fault(fault)) => fault,
        };
        if let (Fault::Region(region), false) = (&fault, moved) {
            tracing::debug!(region, "{object} is in another region");
            moved = true;
            service.region.clone_from(region);
            continue;
        }
        tries += 1;
        let wait = Duration::from_millis(100) * 2_u32.pow(tries);
        if !fault.heals() || tries >= MOST_TRIES || !budget.pause(wait).await {
            return Err(SourceError::Object(object.to_string(), fault));
        }
        tracing::warn!(attempt = tries, "{object}: {fault}; trying again");
    }
}

async fn attempt(
    object: &Object<'_>,
    service: &Service,
    places: &Places,
    aws: &Aws,
) -> Result<File, Failed> {
    let none = || Fault::Credentials("there are none".into());
    let provider = aws.config().await.credentials_provider().ok_or_else(none)?;
    let credentials = provider
        .provide_credentials()
        .await
        .map_err(|error| Fault::Credentials(innermost(&error)))?;
    let request = service.request(object, credentials, SystemTime::now())?;
    let response = match timeout(SILENCE, aws.https().send(request)).await {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => return Err(cut(&error).into()),
        Err(_) => return Err(silent().into()),
    };
    if !response.status().is_success() {
        return Err(refusal(response, service).await.into());
    }
    if response.content_length().is_some_and(|it| it > MOST_BYTES) {
        return Err(Fault::TooLarge(MOST_BYTES).into());
    }
    save(response, places).await
}

async fn save(mut response: Response, places: &Places) -> Result<File, Failed> {
    let file = temp::file(&places.temp).map_err(Failed::Disk)?;
    let mut file = BufWriter::with_capacity(256 << 10, tokio::fs::File::from_std(file));
    let mut length = 0_u64;
    while let Some(piece) = next(&mut response).await? {
        length += piece.len() as u64;
        if length > MOST_BYTES {
            return Err(Fault::TooLarge(MOST_BYTES).into());
        }
        file.write_all(&piece).await.map_err(Failed::Disk)?;
    }
    file.flush().await.map_err(Failed::Disk)?;
    Ok(file.into_inner().into_std().await)
}

async fn next(response: &mut Response) -> Result<Option<impl Deref<Target = [u8]> + use<>>, Fault> {
    match timeout(SILENCE, response.chunk()).await {
        Ok(Ok(piece)) => Ok(piece),
        Ok(Err(error)) => Err(cut(&error)),
        Err(_) => Err(silent()),
    }
}

/// What an answer without an object means.
async fn refusal(mut response: Response, service: &Service) -> Fault {
    let status = response.status().as_u16();
    let headers = response.headers().clone();
    let header = |name: &str| headers.get(name).and_then(|it| it.to_str().ok());
    let mut body = Vec::new();
    // A text that is cut short only tells less.
    while let Ok(Some(piece)) = next(&mut response).await {
        body.extend_from_slice(&piece);
        if body.len() > MOST_WORDS {
            break;
        }
    }
    Fault::of(&Answer {
        status,
        region: header("x-amz-bucket-region"),
        deleted: header("x-amz-delete-marker") == Some("true"),
        asked: &service.region,
        body: &String::from_utf8_lossy(&body),
    })
}

fn silent() -> Fault {
    Fault::Unavailable("S3 did not answer in time".into())
}

/// A request that got no answer. A certificate that does not verify will not do so later.
fn cut(error: &reqwest::Error) -> Fault {
    if is_unverified(error) {
        Fault::Untrusted(innermost(error))
    } else {
        Fault::Unavailable(format!("no answer from S3: {}", innermost(error)))
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let text = causes(error).last().map(ToString::to_string).unwrap_or_default();
    text.chars().take(200).collect()
}

fn kept(object: &Object<'_>, places: &Places, error: &io::Error) -> SourceError {
    SourceError::Temp {
        object: object.to_string(),
        folder: places.temp.display().to_string(),
        why: error.to_string(),
        full: matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded),
    }
}
