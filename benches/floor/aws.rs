//! The AWS SDK over the one `reqwest` client, with the credentials that Lambda sets.
//!
//! `aws-config` would find the same by asking one provider after another; a function always has
//! them in its environment.

use aws_credential_types::Credentials;
use aws_sdk_secretsmanager::config::{BehaviorVersion, Builder, Region};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use lambda_runtime::Error;

/// A client of Secrets Manager, at the endpoint that the environment names, if it does.
pub fn secrets_manager(https: &reqwest::Client) -> Result<aws_sdk_secretsmanager::Client, Error> {
    let variable = |name: &str| std::env::var(name);
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID")?,
        variable("AWS_SECRET_ACCESS_KEY")?,
        variable("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    );
    let mut config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(variable("AWS_REGION")?))
        .credentials_provider(credentials)
        .http_client(Connector(https.clone()));
    if let Ok(endpoint) = variable("AWS_ENDPOINT_URL_SECRETS_MANAGER") {
        config = config.endpoint_url(endpoint);
    }
    Ok(aws_sdk_secretsmanager::Client::from_conf(config.build()))
}

#[derive(Debug, Clone)]
struct Connector(reqwest::Client);

impl HttpClient for Connector {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let client = self.0.clone();
        HttpConnectorFuture::new(async move {
            send(&client, request).await.map_err(|error| ConnectorError::other(error, None))
        })
    }
}

async fn send(client: &reqwest::Client, request: HttpRequest) -> Result<HttpResponse, Error> {
    let request = request.try_into_http1x()?;
    let request = request.map(|body| body.bytes().map(<[u8]>::to_vec).unwrap_or_default());
    let response = client.execute(request.try_into()?).await?;
    let mut answer = http::Response::builder().status(response.status());
    for (name, value) in response.headers() {
        answer = answer.header(name, value);
    }
    let answer = answer.body(SdkBody::from(response.bytes().await?))?;
    Ok(HttpResponse::try_from(answer)?)
}
