//! One session, one statement. Reads the secret as RDS writes it.

use lambda_runtime::Error;
use serde::Deserialize;
use tokio_postgres::config::SslMode;

#[derive(Deserialize)]
struct Login {
    host: String,
    port: u16,
    username: String,
    password: String,
    dbname: String,
}

/// Connects (verify-full, SCRAM) and makes sure of the extension.
pub async fn create_extension(
    secret: &str,
    tls: postgres_native_tls::MakeTlsConnector,
) -> Result<(), Error> {
    let login: Login = serde_json::from_str(secret)?;
    let mut config = tokio_postgres::Config::new();
    config.host(&login.host).port(login.port).dbname(&login.dbname).ssl_mode(SslMode::Require);
    config.user(&login.username).password(&login.password);
    let (client, connection) = config.connect(tls).await?;
    // Ends with the client, after it has said good-bye to the server.
    tokio::spawn(connection);
    client.batch_execute("CREATE EXTENSION IF NOT EXISTS pgcrypto").await?;
    Ok(())
}
