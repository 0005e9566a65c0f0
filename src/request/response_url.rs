//! The pre-signed address that CloudFormation waits at.
//!
//! Whoever holds it can answer in our place, so it is a secret and prints as
//! nothing. Its query tells when the request was made and until when it may be
//! answered, and its path repeats the ids, which helps when an event is damaged.

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};

use super::Ids;

/// A `ResponseURL`, kept byte for byte: decoding and encoding it again breaks its signature.
#[derive(Debug, Clone)]
pub struct ResponseUrl(SecretString);

/// Why an address is not one to send an answer to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the ResponseURL is neither https nor http to this machine")]
pub struct RefusedUrl;

impl ResponseUrl {
    /// Takes `https` addresses, and `http` ones of loopback hosts for local stand-ins.
    pub fn new(url: impl Into<String>) -> Result<Self, RefusedUrl> {
        let url = url.into();
        let accepted = match url.split_once("://") {
            Some(("https", rest)) => !rest.is_empty(),
            Some(("http", rest)) => is_loopback(rest),
            _ => false,
        };
        accepted.then(|| Self(url.into())).ok_or(RefusedUrl)
    }

    /// The address, for the request that carries the answer and nothing else.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The secret itself, to be kept out of logs.
    pub fn secret(&self) -> &SecretString {
        &self.0
    }

    /// When the URL was signed and when it expires, in seconds since 1970.
    ///
    /// CloudFormation signs for two hours; the moment of signing dates the event.
    pub fn signed_and_expires(&self) -> (Option<u64>, Option<u64>) {
        let signed = self.query("X-Amz-Date").and_then(basic_iso8601);
        let seconds = self.query("X-Amz-Expires").and_then(|it| it.parse::<u64>().ok());
        match (signed, seconds) {
            (Some(signed), Some(seconds)) => (Some(signed), Some(signed + seconds)),
            // The older signature tells only its end.
            _ => (signed, self.query("Expires").and_then(|it| it.parse().ok())),
        }
    }

    fn query(&self, name: &str) -> Option<&str> {
        let (_, query) = self.expose().split_once('?')?;
        query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
    }

    /// `StackId|LogicalResourceId|RequestId`, the object key that CloudFormation writes to.
    pub fn ids(&self) -> Option<Ids> {
        let path = self.expose().split_once("://")?.1.split_once('/')?.1;
        let key = percent_decode_str(path.split('?').next()?).decode_utf8().ok()?;
        let mut parts = key.rsplit('/').next()?.rsplitn(3, '|');
        let (request_id, logical_resource_id) = (parts.next()?, parts.next()?);
        let start = key.find("arn:")?;
        let end = key.len() - request_id.len() - logical_resource_id.len() - 2;
        Some(Ids {
            stack_id: key.get(start..end)?.to_owned(),
            request_id: request_id.to_owned(),
            logical_resource_id: logical_resource_id.to_owned(),
            physical_resource_id: None,
        })
    }
}

fn is_loopback(rest: &str) -> bool {
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let host = match authority.strip_prefix('[') {
        Some(v6) => v6.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host == "localhost" || host.parse::<core::net::IpAddr>().is_ok_and(|it| it.is_loopback())
}

/// `20260131T235959Z` as seconds since 1970.
fn basic_iso8601(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    if digits.len() != 14 || text.len() != 16 {
        return None;
    }
    let part = |from: usize, to: usize| digits[from..to].parse::<u64>().ok();
    let (year, month, day) = (part(0, 4)?, part(4, 6)?, part(6, 8)?);
    if year < 1970 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days from civil, with years that begin in March, so that the leap day comes last.
    let (y, m) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    Some(days * 86_400 + part(8, 10)? * 3600 + part(10, 12)? * 60 + part(12, 14)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://cloudformation-custom-resource-response-euwest1.s3.eu-west-1.amazonaws.com/arn%3Aaws%3Acloudformation%3Aeu-west-1%3A123456789012%3Astack/app/1f%7CAppSchema%7Cc0ffee?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Date=20240229T120000Z&X-Amz-SignedHeaders=host&X-Amz-Expires=7200&X-Amz-Signature=00";

    #[test]
    fn the_url_tells_its_time_and_its_ids() {
        let url = ResponseUrl::new(URL).unwrap();
        assert_eq!(url.signed_and_expires(), (Some(1_709_208_000), Some(1_709_215_200)));
        let ids = url.ids().unwrap();
        assert_eq!(ids.stack_id, "arn:aws:cloudformation:eu-west-1:123456789012:stack/app/1f");
        assert_eq!(ids.logical_resource_id, "AppSchema");
        assert_eq!(ids.request_id, "c0ffee");
        assert!(!format!("{url:?}").contains("Signature"));
    }

    #[test]
    fn the_old_signature_tells_its_end() {
        let url =
            ResponseUrl::new("https://b.s3.amazonaws.com/k?AWSAccessKeyId=A&Expires=1709215200");
        assert_eq!(url.unwrap().signed_and_expires(), (None, Some(1_709_215_200)));
    }

    #[test]
    fn plain_http_goes_nowhere_but_here() {
        for url in ["http://127.0.0.1:4566/x", "http://localhost/x", "http://[::1]:1/x"] {
            assert!(ResponseUrl::new(url).is_ok(), "{url}");
        }
        for url in ["http://10.0.0.1/x", "http://localhost.evil.org/x", "ftp://localhost/", "", "x"]
        {
            assert!(ResponseUrl::new(url).is_err(), "{url}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_url_is_read_without_a_panic(url in "https://.{0,80}") {
            if let Ok(url) = ResponseUrl::new(url) {
                url.signed_and_expires();
                url.ids();
            }
        }
    }
}
