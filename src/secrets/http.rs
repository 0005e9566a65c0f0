//! The AWS SDK's HTTP client, over the one TLS stack of this program.
//!
//! The SDK would bring a TLS stack of its own. This hands its requests to the
//! same `reqwest` client that sends answers, with the SDK's time limits.

use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;

use crate::trust::{HTTPS_CONNECT_TIMEOUT, Https};

/// An [`HttpClient`] over [`Https`].
#[derive(Clone)]
pub struct Client(pub Arc<Https>);

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

#[derive(Clone)]
struct Connector {
    https: Arc<Https>,
    limit: Option<Duration>,
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpClient for Client {
    /// The connect limit is the client's own ([`HTTPS_CONNECT_TIMEOUT`], also the
    /// SDK's default); it and the SDK's read limit bound each request together.
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let connect = settings.connect_timeout().unwrap_or(HTTPS_CONNECT_TIMEOUT);
        let limit = settings.read_timeout().map(|read| connect + read);
        SharedHttpConnector::new(Connector { https: self.0.clone(), limit })
    }
}

impl HttpConnector for Connector {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let connector = self.clone();
        HttpConnectorFuture::new(async move { connector.send(request).await })
    }
}

impl Connector {
    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let user = |error: Box<dyn std::error::Error + Send + Sync>| ConnectorError::user(error);
        let (parts, body) = request.try_into_http1x().map_err(|it| user(it.into()))?.into_parts();
        let body = body.bytes().map(<[u8]>::to_vec).unwrap_or_default();
        let request = http::Request::from_parts(parts, body);
        let mut request = reqwest::Request::try_from(request).map_err(|it| user(it.into()))?;
        *request.timeout_mut() = self.limit;
        let response = self.https.send(request).await.map_err(connector_error)?;
        let mut builder = http::Response::builder().status(response.status());
        for (name, value) in response.headers() {
            builder = builder.header(name, value);
        }
        let body = response.bytes().await.map_err(connector_error)?;
        let response = builder.body(SdkBody::from(body)).map_err(|it| user(it.into()))?;
        HttpResponse::try_from(response).map_err(|it| user(it.into()))
    }
}

fn connector_error(error: reqwest::Error) -> ConnectorError {
    if error.is_timeout() {
        ConnectorError::timeout(error.into())
    } else if error.is_connect() || error.is_request() || error.is_body() || error.is_decode() {
        ConnectorError::io(error.into())
    } else {
        ConnectorError::other(error.into(), None)
    }
}
