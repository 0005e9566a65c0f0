//! The request for an object: where it goes, and its signature (`SigV4`).
//!
//! Addresses are those of the bucket's own host, but below the endpoint's path where an
//! endpoint is given, and where the bucket's name would not fit a certificate (dots).

use std::fmt::{self, Write as _};
use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, Request, Url};

use super::Fault;

/// What a query keeps as it is; a key keeps its slashes too.
const QUERY: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const KEY: AsciiSet = QUERY.remove(b'/');

/// An object.
#[derive(Debug, Clone, Copy)]
pub struct Object<'a> {
    /// The bucket.
    pub bucket: &'a str,
    /// The key.
    pub key: &'a str,
    /// The version, if not the newest.
    pub version: Option<&'a str>,
}

/// As people name one.
impl fmt::Display for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.key)?;
        self.version.map_or(Ok(()), |version| write!(f, "?versionId={version}"))
    }
}

/// Where S3 is.
#[derive(Debug, Clone)]
pub struct Service {
    /// The region, which is part of the signature.
    pub region: String,
    /// A given endpoint, without a slash at its end.
    endpoint: Option<String>,
    fips: bool,
    dual_stack: bool,
}

impl Service {
    /// As the configuration says; `endpoint` is one for S3 alone, which goes before one for all.
    pub fn new(config: &SdkConfig, endpoint: Option<&str>) -> Self {
        let region = config.region().map(ToString::to_string).filter(|it| super::is_region(it));
        let endpoint = endpoint.or(config.endpoint_url());
        Self {
            // Any region tells the right one; this is the one that knows all buckets.
            region: region.unwrap_or_else(|| "us-east-1".to_owned()),
            endpoint: endpoint.map(|it| it.trim_end_matches('/').to_owned()),
            fips: config.use_fips().unwrap_or_default(),
            dual_stack: config.use_dual_stack().unwrap_or_default(),
        }
    }

    fn url(&self, object: &Object<'_>) -> Result<Url, Fault> {
        let Object { bucket, key, version } = object;
        let is_label = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-';
        let mut url = match &self.endpoint {
            Some(endpoint) => format!("{endpoint}/{bucket}"),
            None if bucket.len() <= 63 && bucket.chars().all(is_label) => {
                format!("https://{bucket}.{}", self.host())
            }
            None => format!("https://{}/{bucket}", self.host()),
        };
        let _infallible = write!(url, "/{}", utf8_percent_encode(key, &KEY));
        if let Some(version) = version {
            let _infallible = write!(url, "?versionId={}", utf8_percent_encode(version, &QUERY));
        }
        let parsed =
            Url::parse(&url).map_err(|_| Fault::Request("the endpoint for S3 is no URL"))?;
        // A URL has no parts `.` and `..`; with them it would be another object's.
        if key.split('/').any(|part| matches!(part, "." | "..")) {
            return Err(Fault::Request("its key has a part `.` or `..`, which no URL can hold"));
        }
        Ok(parsed)
    }

    fn host(&self) -> String {
        let fips = if self.fips { "-fips" } else { "" };
        let dual_stack = if self.dual_stack { ".dualstack" } else { "" };
        format!("s3{fips}{dual_stack}.{}.{}", self.region, domain(&self.region))
    }

    /// The signed request.
    pub fn request(
        &self,
        object: &Object<'_>,
        credentials: Credentials,
        now: SystemTime,
    ) -> Result<Request, Fault> {
        let mut request = Request::new(Method::GET, self.url(object)?);
        let failed = |_| Fault::Request("the request cannot be signed");
        for (name, value) in
            signature(request.url(), &self.region, credentials, now).map_err(failed)?
        {
            let name = HeaderName::from_bytes(name.as_bytes()).map_err(|it| failed(it.into()))?;
            let mut value = HeaderValue::from_str(&value).map_err(|it| failed(it.into()))?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        Ok(request)
    }
}

type Error = Box<dyn std::error::Error + Send + Sync>;

fn signature(
    url: &Url,
    region: &str,
    credentials: Credentials,
    now: SystemTime,
) -> Result<Vec<(String, String)>, Error> {
    // S3 signs paths as they are sent, and the hash of the body along with them.
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("s3")
        .time(now)
        .settings(settings)
        .build()?;
    let request =
        SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::Bytes(b""))?;
    let (instructions, _) = sign(request, &parameters.into())?.into_parts();
    Ok(instructions.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

/// The domain of a region's partition.
fn domain(region: &str) -> &'static str {
    let partitions = [
        ("cn-", "amazonaws.com.cn"),
        ("eusc-", "amazonaws.eu"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("us-isof-", "csp.hci.ic.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
    ];
    let found = partitions.iter().find(|(prefix, _)| region.starts_with(prefix));
    found.map_or("amazonaws.com", |(_, domain)| domain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn service(region: &str, endpoint: Option<&str>) -> Service {
        let region = aws_config::Region::new(region.to_owned());
        Service::new(&SdkConfig::builder().region(region).build(), endpoint)
    }

    fn object<'a>(bucket: &'a str, key: &'a str) -> Object<'a> {
        Object { bucket, key, version: None }
    }

    #[test]
    fn the_bucket_is_in_the_host_or_in_the_path() {
        let local = Some("http://127.0.0.1:4566/");
        for (region, endpoint, bucket, key, url) in [
            ("eu-west-1", None, "app", "a/b.zip", "https://app.s3.eu-west-1.amazonaws.com/a/b.zip"),
            ("cn-north-1", None, "app", "a", "https://app.s3.cn-north-1.amazonaws.com.cn/a"),
            ("eu-west-1", None, "a.b.c", "a", "https://s3.eu-west-1.amazonaws.com/a.b.c/a"),
            ("eu-west-1", None, "Old_One", "a", "https://s3.eu-west-1.amazonaws.com/Old_One/a"),
            ("eu-west-1", local, "app", "a", "http://127.0.0.1:4566/app/a"),
            (
                "eu-west-1",
                None,
                "app",
                "/ä b+c?d#e%2F//f(1)&~*'.sql",
                "https://app.s3.eu-west-1.amazonaws.com//%C3%A4%20b%2Bc%3Fd%23e%252F//f%281%29%26~%2A%27.sql",
            ),
        ] {
            let found = service(region, endpoint).url(&object(bucket, key)).unwrap();
            assert_eq!(found.as_str(), url);
        }
        let version = Object { version: Some("3/L4+x="), ..object("app", "a") };
        let found = service("eu-west-1", local).url(&version).unwrap();
        assert_eq!(found.as_str(), "http://127.0.0.1:4566/app/a?versionId=3%2FL4%2Bx%3D");
        for key in ["a/../b", "./a", "a/.."] {
            assert!(service("eu-west-1", None).url(&object("app", key)).is_err(), "{key}");
        }
    }

    #[test]
    fn a_request_is_signed_as_s3_checks_it() {
        let credentials =
            Credentials::new("AKIDEXAMPLE", "hunter2", Some("session".into()), None, "t");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let version = Object { version: Some("v/1"), ..object("app", "ä b") };
        let request = service("eu-west-1", None).request(&version, credentials, now).unwrap();
        let header = |name: &str| request.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("x-amz-date"), "20231114T221320Z");
        assert_eq!(header("x-amz-security-token"), "session");
        assert_eq!(
            header("x-amz-content-sha256"),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        // As botocore's `S3SigV4Auth` signs the same request.
        assert_eq!(
            header("authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20231114/eu-west-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, \
             Signature=b4cdde0126f113101b4060e24f2b40f8201b944d05a3713f67542fc8481a77d6"
        );
        let shown = format!("{request:?}");
        assert!(!shown.contains("session") && !shown.contains("Signature"), "{shown}");
    }

    proptest! {
        #[test]
        fn a_key_is_sent_whole_or_refused(key in "[a-z/. %?#+\\\\\u{e4}\"]{1,20}") {
            if let Ok(url) = service("eu-west-1", None).url(&object("app", &key)) {
                let sent = percent_encoding::percent_decode_str(&url.path()[1..]);
                prop_assert_eq!(sent.decode_utf8().unwrap(), key);
            }
        }
    }
}
