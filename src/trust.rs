//! Which certificates are trusted, without paying for all of them.
//!
//! OpenSSL takes tens of milliseconds to load a system's hundred and more roots,
//! and native-tls loads them for every connector; that would be most of a cold
//! start. So trust comes in two tiers. The first holds the few roots that AWS
//! uses, chosen by region; only when a certificate does not verify by it, the
//! second is tried: all of RDS, and the system's own. Both tiers are trusted
//! alike; the first is merely quicker.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, OnceLock, PoisonError};

use native_tls::{Certificate, TlsConnector};

use crate::desired::SslMode;

const AMAZON: &str = include_str!("../certs/amazon-roots.pem");
const RDS: &str = include_str!("../certs/rds-roots.pem");

/// Where systems keep their roots in one file.
const SYSTEM: [&str; 4] = [
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

const VARIABLE: &str = "SSL_CERT_FILE";

/// Keeps OpenSSL from loading the system's roots by itself, unless the user chose
/// a file. Must run before any thread is started.
pub fn prepare() {
    if std::env::var_os(VARIABLE).is_none() {
        std::env::set_var(VARIABLE, "/dev/null");
    }
}

/// How many roots to load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Tier {
    /// Amazon's roots, and those of RDS in one region.
    Few,
    /// All of RDS, and the system's.
    All,
}

fn for_postgres(tier: Tier, region: Option<&str>) -> Vec<Certificate> {
    let rds = match (tier, region) {
        (Tier::All, _) | (Tier::Few, None) => certificates(RDS),
        (Tier::Few, Some(region)) => certificates(&of_region(region)),
    };
    let system = if tier == Tier::All { system_bundle() } else { String::new() };
    rds.into_iter().chain(certificates(AMAZON)).chain(certificates(&system)).collect()
}

/// The part of the RDS bundle that a region uses; its roots are named after it.
fn of_region(region: &str) -> String {
    let name = format!(" {region} ");
    RDS.split_inclusive("-----END CERTIFICATE-----\n")
        .filter(|pem| pem.lines().next().is_some_and(|title| title.contains(&name)))
        .collect()
}

fn system_bundle() -> String {
    SYSTEM.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap_or_default()
}

/// The certificates of a PEM text; what is no certificate in it is passed over.
fn certificates(pem: &str) -> Vec<Certificate> {
    pems(pem).filter_map(|pem| Certificate::from_pem(pem.as_bytes()).ok()).collect()
}

fn pems(text: &str) -> impl Iterator<Item = &str> {
    let parts = text.split_inclusive("-----END CERTIFICATE-----");
    parts.filter_map(|part| part.find("-----BEGIN CERTIFICATE-----").map(|at| &part[at..]))
}

/// The region in the name of an RDS endpoint.
pub fn region_of(host: &str) -> Option<&str> {
    let domain = host.trim_end_matches('.').strip_suffix(".rds.amazonaws.com")?;
    domain.rsplit('.').next()
}

/// Makes TLS connectors for PostgreSQL, each kind once.
#[derive(Default)]
pub struct Connectors {
    cache: Mutex<HashMap<Key, TlsConnector>>,
    /// The last one that was made of a file's text.
    of_file: Mutex<Option<(SslMode, String, TlsConnector)>>,
}

type Key = (Tier, SslMode, Option<String>);

impl Connectors {
    /// With the connector that a region's databases need most often made already.
    pub fn prepared(region: Option<&str>) -> Self {
        let connectors = Self::default();
        // If this fails it will fail again where there is somebody to tell.
        let _for_later = connectors.built_in(Tier::Few, SslMode::VerifyFull, region);
        connectors
    }

    /// A connector that trusts the tier's roots.
    pub fn built_in(
        &self,
        tier: Tier,
        mode: SslMode,
        region: Option<&str>,
    ) -> Result<TlsConnector, native_tls::Error> {
        let key = (tier, mode, region.map(str::to_owned));
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = cache.get(&key) {
            return Ok(connector.clone());
        }
        let mut builder = TlsConnector::builder();
        if mode != SslMode::Require {
            for certificate in for_postgres(tier, region) {
                builder.add_root_certificate(certificate);
            }
        }
        let connector = checking(&mut builder, mode).build()?;
        cache.insert(key, connector.clone());
        Ok(connector)
    }

    /// A connector that trusts the roots of one PEM text and no other. For the same text as before
    /// it is the same: a run may open thousands of sessions. `None` if the text holds none.
    pub fn of_file(
        &self,
        pem: &str,
        mode: SslMode,
    ) -> Result<Option<TlsConnector>, native_tls::Error> {
        let mut last = self.of_file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, _, connector)) = last.as_ref().filter(|it| it.0 == mode && it.1 == pem) {
            return Ok(Some(connector.clone()));
        }
        if !holds_certificates(pem) {
            return Ok(None);
        }
        let mut builder = TlsConnector::builder();
        builder.disable_built_in_roots(true);
        for certificate in certificates(pem) {
            builder.add_root_certificate(certificate);
        }
        let connector = checking(&mut builder, mode).build()?;
        *last = Some((mode, pem.to_owned(), connector.clone()));
        Ok(Some(connector))
    }
}

/// Whether a PEM text holds any certificate.
fn holds_certificates(pem: &str) -> bool {
    !certificates(pem).is_empty()
}

fn checking(
    builder: &mut native_tls::TlsConnectorBuilder,
    mode: SslMode,
) -> &mut native_tls::TlsConnectorBuilder {
    builder.min_protocol_version(Some(native_tls::Protocol::Tlsv12));
    match mode {
        SslMode::VerifyFull | SslMode::Disable => builder,
        SslMode::VerifyCa => builder.danger_accept_invalid_hostnames(true),
        SslMode::Require => {
            builder.danger_accept_invalid_certs(true).danger_accept_invalid_hostnames(true)
        }
    }
}

/// Whether an error, or what caused it, is a certificate that did not verify.
pub fn is_unverified(error: &(dyn Error + 'static)) -> bool {
    // OpenSSL's SSL_R_CERTIFICATE_VERIFY_FAILED, in its library of TLS errors.
    const CERTIFICATE_VERIFY_FAILED: i32 = 134;
    causes(error).any(|cause| {
        cause.downcast_ref::<openssl::error::ErrorStack>().is_some_and(|stack| {
            stack.errors().iter().any(|it| it.reason_code() == CERTIFICATE_VERIFY_FAILED)
        })
    })
}

/// An error and everything that caused it.
pub fn causes<'a>(
    error: &'a (dyn Error + 'static),
) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        next = error.source();
        Some(error)
    })
}

/// The HTTPS clients of both tiers, each made when it is first needed.
#[derive(Default)]
pub struct Https {
    few: OnceLock<reqwest::Client>,
    all: OnceLock<reqwest::Client>,
}

impl Https {
    /// With the client of the first tier made already.
    pub fn prepared() -> Result<Self, reqwest::Error> {
        let https = Self::default();
        https.client(Tier::Few)?;
        Ok(https)
    }

    fn client(&self, tier: Tier) -> Result<&reqwest::Client, reqwest::Error> {
        let cell = if tier == Tier::Few { &self.few } else { &self.all };
        if let Some(client) = cell.get() {
            return Ok(client);
        }
        let client = https_client(tier)?;
        Ok(cell.get_or_init(|| client))
    }

    /// Sends a request; once more with all roots if the first ones did not verify the server.
    pub async fn send(
        &self,
        request: reqwest::Request,
    ) -> Result<reqwest::Response, reqwest::Error> {
        let again = request.try_clone();
        match (self.client(Tier::Few)?.execute(request).await, again) {
            (Err(error), Some(again)) if is_unverified(&error) => {
                self.client(Tier::All)?.execute(again).await
            }
            (result, _) => result,
        }
    }
}

/// How long a TCP and TLS connection to an AWS endpoint may take to stand.
pub const HTTPS_CONNECT_TIMEOUT: std::time::Duration = std::time::Duration::from_millis(3100);

fn https_client(tier: Tier) -> Result<reqwest::Client, reqwest::Error> {
    let system = if tier == Tier::All { system_bundle() } else { String::new() };
    let roots = pems(AMAZON).chain(pems(&system));
    let roots = roots.filter_map(|pem| reqwest::Certificate::from_pem(pem.as_bytes()).ok());
    reqwest::Client::builder()
        .connect_timeout(HTTPS_CONNECT_TIMEOUT)
        // A frozen function wakes up to connections that the peer closed long ago.
        .pool_idle_timeout(std::time::Duration::from_secs(20))
        .redirect(reqwest::redirect::Policy::none())
        .tls_certs_merge(roots)
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_root_is_readable_and_few_are_loaded_first() {
        assert_eq!(certificates(AMAZON).len(), 6);
        assert_eq!(certificates(RDS).len(), 108);
        assert_eq!(certificates(&of_region("eu-west-1")).len(), 3);
        assert_eq!(certificates(&of_region("nowhere-1")).len(), 0);
    }

    #[test]
    fn a_connector_of_each_kind_is_made_once() {
        let connectors = Connectors::prepared(Some("eu-west-1"));
        for mode in [SslMode::VerifyFull, SslMode::VerifyCa, SslMode::Require] {
            for tier in [Tier::Few, Tier::All] {
                connectors.built_in(tier, mode, Some("eu-west-1")).unwrap();
                connectors.built_in(tier, mode, Some("eu-west-1")).unwrap();
            }
        }
        assert_eq!(connectors.cache.lock().unwrap().len(), 6);
        assert!(!holds_certificates("hunter2"));
    }

    #[test]
    fn an_endpoint_tells_its_region() {
        assert_eq!(region_of("db.abc.eu-west-1.rds.amazonaws.com"), Some("eu-west-1"));
        assert_eq!(region_of("db.internal.example.org"), None);
    }
}
