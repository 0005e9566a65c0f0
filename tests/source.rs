//! Where changelog files come from: folders, and S3, whose requests and answers are played here
//! byte for byte. The last test has them from MiniStack, whose S3 is not ours.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use execute_sql::aws::Aws;
use execute_sql::budget::Budget;
use execute_sql::commands::demo;
use execute_sql::desired::Source;
use execute_sql::failure::Failure;
use execute_sql::source::{self, Bundle, Fault, Places, SourceError};
use execute_sql::trust::Https;
use support::http::{Listener, Request};
use tokio::runtime::{Builder, Runtime};

const SECRET: &str = "hunter2-secret-key";
const TOKEN: &str = "hunter2-session-token";

/// A folder for one test, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let name = format!("execute-sql-source-{:016x}", fastrand::u64(..));
        let folder = std::env::temp_dir().join(name);
        std::fs::create_dir(&folder).unwrap();
        Folder(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// An answer: status, headers, body.
type Answer = (u16, Vec<(&'static str, &'static str)>, Vec<u8>);

/// An S3 that gives these answers in turn, and the last one for ever.
struct S3 {
    listener: Listener,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl S3 {
    fn start(answers: Vec<Answer>) -> S3 {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let of_server = Arc::clone(&seen);
        let listener = Listener::start(move |mut connection| {
            while let Some(request) = connection.read() {
                let mut seen = of_server.lock().unwrap();
                let at = seen.len().min(answers.len() - 1);
                seen.push(request);
                drop(seen);
                let (status, headers, body) = &answers[at];
                match status {
                    0 => return connection.reset(),
                    _ => connection.answer(*status, headers, body),
                }
                // With less than was promised the connection ends.
                if headers.iter().any(|(name, _)| *name == "content-length") {
                    return;
                }
            }
        });
        S3 { listener, seen }
    }

    fn requests(&self) -> Vec<Request> {
        self.seen.lock().unwrap().clone()
    }

    fn open(&self, object: &Source) -> Result<Bundle, SourceError> {
        self.open_for(object, Duration::from_secs(60))
    }

    fn open_for(&self, object: &Source, time: Duration) -> Result<Bundle, SourceError> {
        opened(object, &places(self.listener.origin(), &std::env::temp_dir()), time)
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn places(endpoint: String, temp: &Path) -> Places {
    Places { roots: Vec::new(), temp: temp.to_owned(), s3_endpoint: Some(endpoint) }
}

fn opened(object: &Source, places: &Places, time: Duration) -> Result<Bundle, SourceError> {
    let credentials = Credentials::new("AKIDEXAMPLE", SECRET, Some(TOKEN.into()), None, "test");
    let config = SdkConfig::builder()
        .region(Region::new("eu-west-1"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let aws = Aws::of(Arc::new(Https::default()), config);
    runtime().block_on(async {
        let budget = Budget::new(tokio::time::Instant::now() + time);
        source::open(object, places, &aws, &budget).await
    })
}

fn object(key: &str, version: Option<&str>, path: Option<&str>) -> Source {
    Source::Bucket {
        bucket: "releases".into(),
        key: key.into(),
        version: version.map(str::to_owned),
        path: path.map(str::to_owned),
    }
}

fn zip() -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for name in ["db/changelog.yaml", "db/sql/a.sql"] {
        writer.start_file(name, options).unwrap();
        writer.write_all(name.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn ok(body: Vec<u8>) -> Answer {
    (200, vec![], body)
}

fn refusal(status: u16, code: &str) -> Answer {
    let body = format!("<Error><Code>{code}</Code><Message>no</Message></Error>");
    (status, vec![("content-type", "application/xml")], body.into_bytes())
}

fn text(bundle: &Bundle, path: &str) -> String {
    let mut text = String::new();
    bundle.files.open(path).unwrap().read_to_string(&mut text).unwrap();
    text
}

#[test]
fn an_object_is_asked_for_with_a_signature_and_read_as_a_zip() {
    let s3 = S3::start(vec![ok(zip())]);
    let bundle = s3.open(&object("app/ä 1+2.zip", Some("v/1="), Some("./db/"))).unwrap();
    assert_eq!(bundle.root, "db");
    assert_eq!(text(&bundle, "db/sql/a.sql"), "db/sql/a.sql");
    assert_eq!(bundle.files.list("db/sql").unwrap().unwrap(), ["db/sql/a.sql"]);
    let [request] = &s3.requests()[..] else { panic!("more than one request") };
    assert_eq!(request.method, "GET");
    assert_eq!(request.target, "/releases/app/%C3%A4%201%2B2.zip?versionId=v%2F1%3D");
    let authorization = request.header("authorization").unwrap();
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
    assert!(authorization.contains("/eu-west-1/s3/aws4_request"));
    assert_eq!(request.header("x-amz-security-token"), Some(TOKEN));
    assert!(request.header("x-amz-date").is_some());
}

#[test]
fn an_object_that_is_no_zip_is_one_file() {
    let s3 = S3::start(vec![ok(b"select 1".to_vec())]);
    let bundle = s3.open(&object("app/001.sql", None, None)).unwrap();
    assert_eq!(bundle.root, "001.sql");
    assert_eq!(text(&bundle, "001.sql"), "select 1");
    let error = s3.open(&object("app/001.sql", None, Some("db"))).unwrap_err();
    assert!(error.to_string().contains("it is no zip"), "{error}");
    let s3 = S3::start(vec![ok(b"\x1f\x8b\x08\0".to_vec())]);
    let error = s3.open(&object("app.tar.gz", None, None)).unwrap_err();
    assert!(error.to_string().contains("packed by gzip"), "{error}");
}

#[test]
fn what_is_not_in_the_zip_is_told_with_what_is() {
    let s3 = S3::start(vec![ok(zip())]);
    let error = s3.open(&object("app.zip", None, Some("db/changelog.yml"))).unwrap_err();
    insta::assert_snapshot!(error, @"changelog `db/changelog.yml` is not in `s3://releases/app.zip`");
    insta::assert_snapshot!(error.hint().unwrap(), @"There is `db/changelog.yaml`.");
    let damaged = S3::start(vec![ok(zip()[..50].to_vec())]);
    let error = damaged.open(&object("app.zip", None, None)).unwrap_err();
    insta::assert_snapshot!(error, @"the zip `s3://releases/app.zip` is damaged or cut off: Could not find EOCD");
}

#[test]
fn what_passes_is_tried_again() {
    let cut = (200, vec![("content-length", "1000")], b"PK\x03\x04".to_vec());
    let answers = vec![
        refusal(503, "SlowDown"),
        (0, vec![], vec![]),
        cut,
        refusal(500, "InternalError"),
        ok(zip()),
    ];
    let s3 = S3::start(answers);
    assert!(s3.open(&object("app.zip", None, None)).is_ok());
    assert_eq!(s3.requests().len(), 5);
}

#[test]
fn what_does_not_pass_ends_when_the_tries_or_the_time_are_over() {
    let s3 = S3::start(vec![refusal(503, "SlowDown")]);
    let error = s3.open(&object("app.zip", None, None)).unwrap_err();
    insta::assert_snapshot!(error, @"`s3://releases/app.zip`: S3 answered 503, SlowDown");
    assert_eq!(s3.requests().len(), 5);
    assert_eq!(Failure::from(error).name(), "RetryableSourceUnavailable");
    let s3 = S3::start(vec![refusal(503, "SlowDown")]);
    assert!(s3.open_for(&object("app.zip", None, None), Duration::ZERO).is_err());
    assert_eq!(s3.requests().len(), 1);
}

#[test]
fn a_bucket_in_another_region_is_asked_there_once() {
    let moved = (301, vec![("x-amz-bucket-region", "eu-central-1")], vec![]);
    let s3 = S3::start(vec![moved.clone(), ok(zip())]);
    assert!(s3.open(&object("app.zip", None, None)).is_ok());
    let regions: Vec<bool> = s3
        .requests()
        .iter()
        .map(|it| it.header("authorization").unwrap().contains("/eu-central-1/s3/"))
        .collect();
    assert_eq!(regions, [false, true]);
    let elsewhere = (400, vec![("x-amz-bucket-region", "us-east-2")], vec![]);
    let s3 = S3::start(vec![moved, elsewhere]);
    let error = s3.open(&object("app.zip", None, None)).unwrap_err();
    insta::assert_snapshot!(error, @"`s3://releases/app.zip`: its bucket is in region `us-east-2`");
}

#[test]
fn refusals_are_told_apart_and_tell_no_secret() {
    let deleted = (404, vec![("x-amz-delete-marker", "true")], vec![]);
    let leaking = (403, vec![], format!("<Error><Code>SignatureDoesNotMatch</Code><Message>{TOKEN}</Message><StringToSign>{TOKEN}</StringToSign></Error>").into_bytes());
    for (answer, fault) in [
        (refusal(403, "AccessDenied"), Fault::Denied(None)),
        (refusal(404, "NoSuchKey"), Fault::NoObject),
        (refusal(404, "NoSuchBucket"), Fault::NoBucket),
        (refusal(404, "NoSuchVersion"), Fault::NoVersion),
        (deleted, Fault::Deleted),
        (leaking, Fault::Credentials("SignatureDoesNotMatch".into())),
        (refusal(400, "KMS.DisabledException"), Fault::Key("KMS.DisabledException".into())),
    ] {
        let s3 = S3::start(vec![answer]);
        let error = s3.open(&object("app.zip", None, None)).unwrap_err();
        assert_eq!(error, SourceError::Object("s3://releases/app.zip".into(), fault));
        assert_eq!(s3.requests().len(), 1);
        let failure = Failure::from(error);
        assert_eq!(failure.name(), "PermanentSource");
        let told = format!("{failure} {failure:?} {}", failure.hint().unwrap());
        assert!(!told.contains("hunter2") && !told.contains("Signature="), "{told}");
    }
}

#[test]
fn an_object_that_is_too_large_is_not_even_read() {
    let s3 = S3::start(vec![(200, vec![("content-length", "600000000")], vec![])]);
    let error = s3.open(&object("app.zip", None, None)).unwrap_err();
    insta::assert_snapshot!(error, @"`s3://releases/app.zip`: it is larger than 512 MiB");
}

#[test]
fn a_temporary_folder_that_takes_nothing_is_named() {
    let s3 = S3::start(vec![ok(zip())]);
    let folder = Folder::new();
    let gone = folder.0.join("gone");
    let places = places(s3.listener.origin(), &gone);
    let error = opened(&object("a.zip", None, None), &places, Duration::from_secs(60)).unwrap_err();
    assert!(error.to_string().contains(gone.to_str().unwrap()), "{error}");
    assert!(!error.heals() && s3.requests().len() == 1);
}

#[test]
fn nothing_is_left_in_the_temporary_folder() {
    let s3 = S3::start(vec![ok(zip())]);
    let folder = Folder::new();
    let places = places(s3.listener.origin(), &folder.0);
    let bundle = opened(&object("a.zip", None, None), &places, Duration::from_secs(60)).unwrap();
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0);
    assert_eq!(text(&bundle, "db/changelog.yaml"), "db/changelog.yaml");
}

#[test]
fn a_path_is_looked_for_beside_the_properties_and_asks_nobody() {
    let folder = Folder::new();
    std::fs::create_dir(folder.0.join("db")).unwrap();
    std::fs::write(folder.0.join("db/a.sql"), "select 1").unwrap();
    let places = Places::of_command(&folder.0.join("properties.yaml"));
    let minute = Duration::from_secs(60);
    let bundle = opened(&Source::Path("db/a.sql".into()), &places, minute).unwrap();
    assert_eq!(
        (bundle.root.as_str(), text(&bundle, "db/a.sql").as_str()),
        ("db/a.sql", "select 1")
    );
    let error = opened(&Source::Path("db/b.sql".into()), &places, minute).unwrap_err();
    let here = std::env::current_dir().unwrap();
    assert_eq!(
        error.to_string(),
        format!("changelog `db/b.sql` is not in `{}` or `{}`", folder.0.display(), here.display())
    );
    assert_eq!(error.hint().as_deref(), Some("There is `db/a.sql`."));
    assert_eq!(Failure::from(error).name(), "PermanentSource");
    let inline = Source::Inline("databaseChangeLog: []".into());
    let bundle = opened(&inline, &places, minute).unwrap();
    assert_eq!(bundle.root, "inline.yaml");
}

#[test]
fn ministack_understands_the_request() {
    let program = demo::ministack()
        .unwrap_or_else(|why| panic!("this test needs {why}; .ci/setup installs it"));
    let runtime = runtime();
    let (guard, aws) = runtime.block_on(async {
        let guard = demo::guard::Guard::start().unwrap();
        let aws = demo::aws::Aws::start(&guard, &program, Path::new("/dev/null")).await.unwrap();
        (guard, aws)
    });
    let key = "app/ä 1+2 (b)&'~=;,:@$!*.zip";
    let encoded = "app/%C3%A4%201%2B2%20%28b%29%26%27~%3D%3B%2C%3A%40%24%21%2A.zip";
    let put = |path: String, body: Vec<u8>| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.put(format!("{}/{path}", aws.url)).body(body);
        runtime.block_on(async { request.send().await.unwrap().error_for_status().unwrap() })
    };
    put("releases".into(), Vec::new());
    let versioning = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>";
    put("releases?versioning".into(), versioning.into());
    let first = put(format!("releases/{encoded}"), zip());
    put(format!("releases/{encoded}"), b"select 2".to_vec());
    let version = first.headers()["x-amz-version-id"].to_str().unwrap();
    let places = places(aws.url.clone(), &std::env::temp_dir());
    let open = |version, key| opened(&object(key, version, None), &places, Duration::from_secs(60));
    let newest = open(None, key).unwrap();
    let oldest = open(Some(version), key).unwrap();
    let missing = open(None, "other.zip").unwrap_err();
    let none = open(Some("no-such-version"), key).unwrap_err();
    runtime.block_on(guard.stop()).unwrap();
    assert_eq!(text(&newest, &newest.root), "select 2");
    assert_eq!(text(&oldest, "db/sql/a.sql"), "db/sql/a.sql");
    assert_eq!(missing, SourceError::Object("s3://releases/other.zip".into(), Fault::NoObject));
    assert!(matches!(none, SourceError::Object(_, Fault::NoVersion)), "{none:?}");
}
