//! The floor: the least that a Lambda function of this kind has to do.
//!
//! It reads a secret, logs in over verified TLS, runs one `CREATE EXTENSION IF NOT EXISTS`, and
//! answers CloudFormation. It has no ledger, no lock, no plan, no retries and no error texts, and
//! it shares no code with the product, so that a slow product cannot hide in it. `benches/run`
//! holds the product against it. Everything that can be made before the first event is, for that
//! is when Lambda gives a function the most of the processor.

mod aws;
mod database;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use native_tls::{Certificate, TlsConnector};
use serde::Deserialize;

/// What all events share.
struct World {
    https: reqwest::Client,
    secrets: aws_sdk_secretsmanager::Client,
    tls: postgres_native_tls::MakeTlsConnector,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    #[serde(rename = "ResponseURL")]
    response_url: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    physical_resource_id: Option<String>,
    resource_properties: Properties,
}

#[derive(Deserialize)]
struct Properties {
    #[serde(rename = "DBSecret")]
    secret: String,
}

fn main() -> Result<(), Error> {
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        // `cargo bench` without a name starts every bench there is.
        eprintln!("the floor runs in a Lambda environment only; see benches/run");
        return Ok(());
    }
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(serve())
}

async fn serve() -> Result<(), Error> {
    let https = reqwest::Client::builder()
        .tls_certs_merge(pem(include_str!("../../certs/amazon-roots.pem")).filter_map(|it| {
            // The PEM is handed on as it is: each certificate is parsed once.
            reqwest::Certificate::from_pem(it.as_bytes()).ok()
        }))
        .build()?;
    let world = World { secrets: aws::secrets_manager(&https)?, https, tls: tls()? };
    let world = &world;
    let handler = move |event: LambdaEvent<Event>| handle(world, event.payload);
    lambda_runtime::run(service_fn(handler)).await
}

fn tls() -> Result<postgres_native_tls::MakeTlsConnector, native_tls::Error> {
    let mut builder = TlsConnector::builder();
    for certificate in pem(include_str!("rds-eu-west-1.pem")) {
        builder.add_root_certificate(Certificate::from_pem(certificate.as_bytes())?);
    }
    Ok(postgres_native_tls::MakeTlsConnector::new(builder.build()?))
}

fn pem(bundle: &str) -> impl Iterator<Item = &str> {
    bundle
        .split_inclusive("-----END CERTIFICATE-----")
        .filter_map(|it| it.find("-----BEGIN").map(|at| &it[at..]))
}

async fn handle(world: &World, event: Event) -> Result<(), Error> {
    let secret = &event.resource_properties.secret;
    let request = world.secrets.get_secret_value().secret_id(secret).version_stage("AWSCURRENT");
    let secret = request.send().await?.secret_string.ok_or("the secret has no text")?;
    database::create_extension(&secret, world.tls.clone()).await?;
    let physical_id = event.physical_resource_id.unwrap_or_else(|| "floor".to_owned());
    let body = serde_json::json!({
        "Status": "SUCCESS",
        "PhysicalResourceId": physical_id,
        "StackId": event.stack_id,
        "RequestId": event.request_id,
        "LogicalResourceId": event.logical_resource_id,
    });
    let put = world.https.put(event.response_url).header("content-type", "");
    put.body(body.to_string()).send().await?.error_for_status()?;
    Ok(())
}
