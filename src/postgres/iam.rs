//! A token of RDS IAM authentication: a pre-signed request that serves as password.
//!
//! It is valid for fifteen minutes and only for the host, port and user in it
//! (RDS User Guide, "Connecting using IAM authentication"). It only works over
//! TLS, and the role needs `rds_iam`.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use secrecy::SecretString;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Makes a token with the credentials of `aws`.
pub async fn token(
    aws: &SdkConfig,
    host: &str,
    port: u16,
    username: &str,
    region: &str,
) -> Result<SecretString, Error> {
    let provider = aws.credentials_provider().ok_or("there are no AWS credentials")?;
    let credentials = provider.provide_credentials().await?;
    signed(credentials, host, port, username, region, SystemTime::now())
}

fn signed(
    credentials: Credentials,
    host: &str,
    port: u16,
    username: &str,
    region: &str,
    now: SystemTime,
) -> Result<SecretString, Error> {
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(Duration::from_secs(900));
    settings.signature_location = SignatureLocation::QueryParams;
    let identity = credentials.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("rds-db")
        .time(now)
        .settings(settings)
        .build()?;
    let mut url = reqwest::Url::parse(&format!("https://{host}:{port}/"))?;
    url.query_pairs_mut().append_pair("Action", "connect").append_pair("DBUser", username);
    let request =
        SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::Bytes(b""))?;
    let (instructions, _) = sign(request, &parameters.into())?.into_parts();
    for (name, value) in instructions.params() {
        url.query_pairs_mut().append_pair(name, value);
    }
    Ok(url.as_str().trim_start_matches("https://").to_owned().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn a_token_is_a_signed_request_without_its_scheme() {
        let credentials =
            Credentials::new("AKIDEXAMPLE", "secret", Some("session".into()), None, "test");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let host = "db.abc.eu-west-1.rds.amazonaws.com";
        let token = signed(credentials, host, 5432, "app_user", "eu-west-1", now).unwrap();
        let token = token.expose_secret();
        let (place, query) = token.split_once("/?").unwrap();
        assert_eq!(place, format!("{host}:5432"));
        let names: Vec<_> = query.split('&').filter_map(|it| it.split('=').next()).collect();
        assert_eq!(names[..2], ["Action", "DBUser"]);
        for name in ["X-Amz-Security-Token", "X-Amz-Signature", "X-Amz-Expires"] {
            assert!(names.contains(&name), "{name}");
        }
        assert!(query.contains("X-Amz-Date=20231114T221320Z"));
        assert!(query.contains("%2Feu-west-1%2Frds-db%2Faws4_request"));
    }
}
