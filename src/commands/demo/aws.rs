//! MiniStack, the stand-in for AWS, and the calls to it that the demo and the tests make.
//!
//! The calls are plain HTTP without a signature, which MiniStack allows and
//! which spares three more SDKs. Its environment is what the function inherits,
//! so it is empty but for what both need: no credentials of the user's get in,
//! and nothing goes to the real AWS.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::guard::Guard;
use super::xml;

/// MiniStack is ready after half a second where nothing else runs.
const START_LIMIT: Duration = Duration::from_secs(40);
/// Of one call. Nothing that takes long is waited for in a call.
const CALL_LIMIT: Duration = Duration::from_secs(30);
const REGION: &str = "us-east-1";

/// The running stand-in.
pub struct Aws {
    /// Where it answers.
    pub url: String,
    http: reqwest::Client,
    log: PathBuf,
}

impl Aws {
    /// Starts it; `authority` is the certificate file that the function is to trust.
    pub async fn start(guard: &Guard, ministack: &Path, authority: &Path) -> Result<Self> {
        let folder = guard.make_folder("aws", None)?;
        let port = super::free_port()?;
        let url = format!("http://127.0.0.1:{port}");
        let log_path = folder.join("log");
        let log = File::create(&log_path).context("make MiniStack's log")?;
        let mut process = Guard::command(&folder, "KILL", ministack, None)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &folder)
            .env("TMPDIR", &folder)
            .env("GATEWAY_PORT", port.to_string())
            .env("BIND_HOST", "127.0.0.1")
            .env("MINISTACK_HOST", "127.0.0.1")
            .env("MINISTACK_REGION", REGION)
            .env("LAMBDA_EXECUTOR", "local")
            .env("LOG_LEVEL", "WARNING")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("AWS_ENDPOINT_URL", &url)
            .env("SSL_CERT_FILE", authority)
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("start MiniStack")?;
        let http = reqwest::Client::builder().no_proxy().timeout(CALL_LIMIT).build()?;
        let aws = Self { url, http, log: log_path };
        let end = Instant::now() + START_LIMIT;
        while !aws.is_ready().await {
            if process.try_wait()?.is_some() || Instant::now() > end {
                let log = fs::read_to_string(&aws.log).unwrap_or_default();
                bail!("MiniStack did not start:\n{}", log.trim());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(aws)
    }

    async fn is_ready(&self) -> bool {
        let answer = self.http.get(format!("{}/_ministack/health", self.url)).send().await;
        answer.is_ok_and(|it| it.status().is_success())
    }

    /// Puts the program as a function's zip into a bucket; returns the zip's size in bytes.
    pub async fn upload(&self, program: &Path, bucket: &str, key: &str) -> Result<usize> {
        let zip = zipped(program).with_context(|| format!("zip `{}`", program.display()))?;
        let size = zip.len();
        self.put(bucket, Vec::new()).await?;
        self.put(&format!("{bucket}/{key}"), zip).await?;
        Ok(size)
    }

    async fn put(&self, path: &str, body: Vec<u8>) -> Result<()> {
        let answer = self.http.put(format!("{}/{path}", self.url)).body(body).send().await?;
        answer.error_for_status().with_context(|| format!("put `{path}` into S3"))?;
        Ok(())
    }

    /// Creates a secret; returns its ARN.
    pub async fn create_secret(&self, name: &str, text: &str) -> Result<String> {
        let input = json!({ "Name": name, "SecretString": text });
        let answer = self.json("secretsmanager.CreateSecret", &input).await?;
        let arn = answer.get("ARN").and_then(Value::as_str);
        Ok(arn.with_context(|| format!("secret `{name}` got no ARN"))?.to_owned())
    }

    /// What a function has logged, oldest first.
    pub async fn log(&self, group: &str) -> Result<Vec<String>> {
        let input = json!({ "logGroupName": group });
        let answer = self.json("Logs_20140328.FilterLogEvents", &input).await?;
        let events = answer.get("events").and_then(Value::as_array).into_iter().flatten();
        let messages = events.filter_map(|it| it.get("message")?.as_str());
        Ok(messages.map(|it| it.trim_end().to_owned()).collect())
    }

    /// What MiniStack itself says of a function that it could not run, or that ended in an error.
    /// No answer is to be expected of such a function, and MiniStack does not run it again.
    pub fn function_error(&self) -> Option<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let line = log.lines().find(|line| line.contains(" ERROR [lambda] "));
        line.map(str::to_owned)
    }

    async fn json(&self, target: &str, input: &Value) -> Result<Value> {
        let request = self.http.post(&self.url).header("x-amz-target", target);
        let request = request.header("content-type", "application/x-amz-json-1.1");
        let answer = request.body(input.to_string()).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        // What is refused may repeat what was sent, so a secret; only the kind of error is told.
        if !status.is_success() {
            let answer: Value = serde_json::from_str(&text).unwrap_or_default();
            let kind = answer.get("__type").and_then(Value::as_str).unwrap_or_default();
            bail!("{target} failed: {status} {kind}");
        }
        serde_json::from_str(&text).with_context(|| format!("{target} did not answer in JSON"))
    }

    /// A call of CloudFormation; returns the answer's XML.
    pub async fn cloudformation(&self, action: &str, input: &[(&str, &str)]) -> Result<String> {
        let fixed = [("Action", action), ("Version", "2010-05-15")];
        let pairs = fixed.iter().chain(input);
        // A URL's query is written like a form.
        let form = reqwest::Url::parse_with_params(&self.url, pairs)?;
        let form = form.query().unwrap_or_default().to_owned();
        let request = self.http.post(&self.url);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = request.body(form).send().await?;
        let status = answer.status();
        let text = answer.text().await?;
        if !status.is_success() {
            bail!("{action} failed: {}", xml::text(&text, "Message"));
        }
        Ok(text)
    }
}

/// As the template names this machine's processor, for which `bootstrap` was built.
pub fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "aarch64" => "arm64",
        other => other,
    }
}

/// A zip with the program as `bootstrap`, executable. It is not compressed: it goes no further
/// than this machine, and a debug build would take seconds for it.
fn zipped(program: &Path) -> Result<Vec<u8>> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .unix_permissions(0o755);
    writer.start_file("bootstrap", options)?;
    std::io::copy(&mut File::open(program)?, &mut writer)?;
    Ok(writer.finish()?.into_inner())
}
