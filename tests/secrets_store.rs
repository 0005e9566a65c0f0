//! Secrets Manager's client over a stand-in with the service's rules: each operation, each fault,
//! and never a secret in an error.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use execute_sql::aws::Aws;
use execute_sql::secrets::aws::SecretsManager;
use execute_sql::secrets::http::Client;
use execute_sql::secrets::{Action, NewSecret, Put, RotationRule, SecretError, SecretStore, Which};
use execute_sql::trust::Https;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};
use support::{Fault, Secrets, runtime, wait_until};

const TOKEN: &str = "a0000000000000000000000000000001";
const OTHER: &str = "a0000000000000000000000000000002";
const PASSWORD: &str = "hunter22-Hunter22~hunter22_HUNTER";
const LAMBDA: &str = "arn:aws:lambda:eu-west-1:123456789012:function:execute-sql";

fn store(secrets: &Secrets) -> Arc<SecretsManager> {
    let https = Arc::new(Https::default());
    let credentials = Credentials::new("id", "key", None, None, "test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-west-1"))
        .endpoint_url(secrets.endpoint())
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(Client(Arc::clone(&https)))
        .build();
    Arc::new(SecretsManager::new(Arc::new(Aws::of(https, config))))
}

/// One call of the store.
type Work<'a> = &'a dyn Fn() -> Result<(), SecretError>;

/// Runs one piece of work on a store; errors are checked for what they must not say.
fn with<T, F>(
    store: &Arc<SecretsManager>,
    work: impl FnOnce(Arc<SecretsManager>) -> F,
) -> Result<T, SecretError>
where
    F: Future<Output = Result<T, SecretError>> + Send + 'static,
    T: Send + 'static,
{
    let answer = runtime::block_on(work(Arc::clone(store)));
    if let Err(error) = &answer {
        let said = format!("{error} {error:?} {}", error.hint());
        assert!(!said.contains("hunter22"), "{said}");
    }
    answer
}

fn login(password: &str) -> SecretString {
    json!({"username": "u", "password": password}).to_string().into()
}

fn new(name: &str) -> NewSecret {
    NewSecret {
        name: name.to_owned(),
        description: "of a test".into(),
        text: login(PASSWORD),
        kms_key_id: None,
        tags: BTreeMap::from([("execute-sql:tenant".to_owned(), "a".to_owned())]),
        token: TOKEN.into(),
    }
}

fn create(store: &Arc<SecretsManager>, new: NewSecret) -> Result<String, SecretError> {
    with(store, |store| async move { store.create(&new).await })
}

fn put(
    store: &Arc<SecretsManager>,
    id: &str,
    password: &str,
    token: &'static str,
    stages: Option<&'static [&'static str]>,
) -> Result<(), SecretError> {
    let (id, text) = (id.to_owned(), login(password));
    with(store, |store| async move {
        store.put(&id, Put { text: &text, token, stages, rotation_token: None }).await
    })
}

fn described(store: &Arc<SecretsManager>, id: &str) -> Option<execute_sql::secrets::Described> {
    let id = id.to_owned();
    with(store, |store| async move { store.describe(&id).await }).unwrap()
}

fn delete(store: &Arc<SecretsManager>, id: &str) -> Result<(), SecretError> {
    let id = id.to_owned();
    with(store, |store| async move { store.delete(&id, 7).await })
}

fn move_stage(
    store: &Arc<SecretsManager>,
    stage: &'static str,
    to: Option<&'static str>,
    from: Option<&'static str>,
) -> Result<(), SecretError> {
    with(store, |store| async move { store.move_stage("t", stage, to, from).await })
}

fn version(
    store: &Arc<SecretsManager>,
    which: Which<'static>,
) -> Result<Option<String>, SecretError> {
    let read = with(store, |store| async move { store.version("t", which).await })?;
    Ok(read.map(|it| it.expose_secret().to_owned()))
}

fn set_up(store: &Arc<SecretsManager>, immediately: bool) -> Result<(), SecretError> {
    let rule = RotationRule { lambda_arn: LAMBDA.into(), days: 30, immediately };
    with(store, |store| async move { store.set_up_rotation("t", &rule).await })
}

#[test]
fn a_secret_is_made_described_and_read() {
    let secrets = Secrets::start();
    let store = store(&secrets);
    assert_eq!(described(&store, "t"), None);
    let key = Some("alias/tenants".to_owned());
    let arn = create(&store, NewSecret { kms_key_id: key.clone(), ..new("t") }).unwrap();
    for id in ["t", arn.as_str(), &arn[..arn.len() - 7]] {
        let secret = described(&store, id).unwrap();
        assert_eq!((secret.arn.as_str(), secret.name.as_str()), (arn.as_str(), "t"));
        assert_eq!((&secret.tags, &secret.kms_key_id), (&new("t").tags, &key));
        assert_eq!(secret.versions, BTreeMap::from([(TOKEN.into(), vec!["AWSCURRENT".into()])]));
        assert!(!secret.deleted && secret.rotation.is_none() && secret.owning_service.is_none());
    }
    let current = with(&store, |store| async move { store.current(&arn).await }).unwrap();
    assert_eq!(current.expose_secret(), login(PASSWORD).expose_secret());
}

#[test]
fn a_name_that_is_taken_is_told_from_one_that_waits_for_its_deletion() {
    let secrets = Secrets::start();
    let store = store(&secrets);
    let arn = create(&store, new("t")).unwrap();
    assert_eq!(create(&store, new("t")).unwrap(), arn, "the same request is one request");
    let another = || NewSecret { text: login("another"), ..new("t") };
    assert!(matches!(create(&store, another()), Err(SecretError::Exists(id)) if id == "t"));
    delete(&store, "t").unwrap();
    assert!(described(&store, "t").unwrap().deleted);
    assert!(matches!(create(&store, another()), Err(SecretError::Deleted(_))));
    // Another service's word for the same.
    let code = "ResourceExistsException";
    secrets.fault("CreateSecret", Fault::Refuse { code, message: "taken".into() });
    assert!(matches!(create(&store, another()), Err(SecretError::Deleted(_))));
    secrets.forget("t");
    let error = create(&store, another()).unwrap_err();
    assert!(error.heals(), "a deletion by force takes its time: {error}");
}

#[test]
fn a_secret_that_comes_back_is_the_one_that_was_deleted() {
    let secrets = Secrets::start();
    let store = store(&secrets);
    let arn = create(&store, new("t")).unwrap();
    let restore = || with(&store, |store| async move { store.restore("t").await });
    restore().unwrap();
    delete(&store, "t").unwrap();
    delete(&store, "t").unwrap();
    assert_eq!(secrets.get("t").unwrap().deleted, Some(7));
    let refused = put(&store, "t", "x", OTHER, None);
    assert!(matches!(refused, Err(SecretError::Deleted(_))), "{refused:?}");
    let current = with(&store, |store| async move { store.current("t").await });
    assert!(matches!(current, Err(SecretError::Deleted(_))));
    let pending = version(&store, Which::Stage("AWSPENDING"));
    assert!(matches!(pending, Err(SecretError::Deleted(_))), "{pending:?}");
    restore().unwrap();
    assert_eq!(described(&store, "t").unwrap().arn, arn);
    secrets.forget("t");
    delete(&store, "t").unwrap();
    assert!(matches!(restore(), Err(SecretError::NotFound(_))));
}

#[test]
fn a_version_is_written_once_per_token() {
    let secrets = Secrets::start();
    let store = store(&secrets);
    create(&store, new("t")).unwrap();
    put(&store, "t", "second", OTHER, Some(&["AWSPENDING"])).unwrap();
    put(&store, "t", "second", OTHER, Some(&["AWSPENDING"])).unwrap();
    let refused = put(&store, "t", "third", OTHER, Some(&["AWSPENDING"]));
    assert!(matches!(refused, Err(SecretError::TokenUsed(_))), "{refused:?}");
    let current = version(&store, Which::Stage("AWSCURRENT")).unwrap().unwrap();
    assert!(current.contains(PASSWORD));
    let pending = version(&store, Which::Token { token: OTHER, stage: "AWSPENDING" });
    assert!(pending.unwrap().unwrap().contains("second"));
    // There, but not of that stage; not there at all; no secret at all.
    let current = Which::Token { token: OTHER, stage: "AWSCURRENT" };
    assert_eq!(version(&store, current).unwrap(), None);
    assert_eq!(version(&store, Which::Stage("AWSPREVIOUS")).unwrap(), None);
    let none = put(&store, "nothing", "x", OTHER, None);
    assert!(matches!(none, Err(SecretError::NotFound(id)) if id == "nothing"));
}

#[test]
fn a_stage_moves_and_the_previous_version_is_kept() {
    let secrets = Secrets::start();
    let store = store(&secrets);
    create(&store, new("t")).unwrap();
    put(&store, "t", "second", OTHER, Some(&["AWSPENDING"])).unwrap();
    move_stage(&store, "AWSCURRENT", Some(OTHER), Some(TOKEN)).unwrap();
    let calls = secrets.count("UpdateSecretVersionStage");
    move_stage(&store, "AWSCURRENT", Some(OTHER), Some(TOKEN)).unwrap();
    assert_eq!(secrets.count("UpdateSecretVersionStage"), calls + 1);
    let secret = described(&store, "t").unwrap();
    let holders = ["AWSCURRENT", "AWSPREVIOUS"].map(|it| secret.holder(it).map(str::to_owned));
    assert_eq!(holders, [Some(OTHER.to_owned()), Some(TOKEN.to_owned())]);
    move_stage(&store, "AWSPENDING", None, Some(OTHER)).unwrap();
    move_stage(&store, "AWSPENDING", None, Some(OTHER)).unwrap();
    assert_eq!(described(&store, "t").unwrap().holder("AWSPENDING"), None);
    let error = move_stage(&store, "AWSCURRENT", Some(TOKEN), None).unwrap_err();
    assert!(error.to_string().starts_with("moving a stage of secret `t` was refused: The param"));
    delete(&store, "t").unwrap();
    let error = move_stage(&store, "AWSCURRENT", Some(TOKEN), Some(OTHER)).unwrap_err();
    assert!(matches!(error, SecretError::Deleted(_)));
}

#[test]
fn tags_are_added_and_changed() {
    let secrets = Secrets::start();
    let store = store(&secrets);
    create(&store, new("t")).unwrap();
    let tag = |key: &str, value: &str| {
        let tags = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        with(&store, |store| async move { store.tag("t", &tags).await })
    };
    tag("execute-sql:tenant", "b").unwrap();
    tag("team", "x").unwrap();
    let wanted = [("execute-sql:tenant", "b"), ("team", "x")];
    let wanted = wanted.map(|(key, value)| (key.to_owned(), value.to_owned()));
    assert_eq!(described(&store, "t").unwrap().tags, BTreeMap::from(wanted));
    let error = tag("aws:x", "y").unwrap_err().to_string();
    assert!(error.starts_with("tagging secret `t` was refused: Tag keys can't"), "{error}");
}

#[test]
fn a_rotation_is_set_up_and_one_that_did_not_end_is_named() {
    let secrets = Secrets::start();
    let store = store(&secrets);
    create(&store, new("t")).unwrap();
    set_up(&store, false).unwrap();
    let rule = RotationRule { lambda_arn: LAMBDA.into(), days: 30, immediately: false };
    assert_eq!(described(&store, "t").unwrap().rotation, Some(rule.clone()));
    let mut events = Vec::new();
    let mut note = |event: Value| -> Result<(), ()> {
        events.push(event["Step"].as_str().unwrap().to_owned());
        Ok(())
    };
    secrets.test_only("t", &mut note).done();
    secrets.rotate("t", &mut note).done();
    assert_eq!(events, ["testSecret", "createSecret", "setSecret", "testSecret", "finishSecret"]);
    // Nothing was put: its version is empty, and the rotation is not complete.
    let error = set_up(&store, true).unwrap_err();
    assert_eq!(
        error.to_string(),
        "setting up the rotation of secret `t` was refused: A previous rotation isn't complete. \
         That rotation will be reattempted"
    );
    assert!(error.hint().contains("AWSPENDING") && !error.heals());
    // A schedule that somebody set in the console.
    secrets.change("t", |it| {
        let rotation = it.rotation.as_mut().unwrap();
        (rotation.days, rotation.schedule) = (None, Some("rate(10 days)".into()));
    });
    assert_eq!(described(&store, "t").unwrap().rotation, Some(RotationRule { days: 10, ..rule }));
    let message = "Lambda has no such function".to_owned();
    secrets.fault("RotateSecret", Fault::Refuse { code: "ResourceNotFoundException", message });
    let error = set_up(&store, true).unwrap_err().to_string();
    assert!(error.ends_with(&format!("function `{LAMBDA}` does not exist")), "{error}");
    secrets.heal();
    secrets.forget("t");
    assert!(matches!(set_up(&store, true), Err(SecretError::NotFound(_))));
}

#[test]
fn an_empty_version_of_a_rotation_has_no_value_yet() {
    let secrets = Secrets::start();
    let store = store(&secrets);
    create(&store, new("t")).unwrap();
    let rotation = secrets.rotate("t", |event| {
        let token = event["ClientRequestToken"].as_str().unwrap().to_owned();
        let reading = || {
            let token = token.clone();
            with(&store, |store| async move {
                store.version("t", Which::Token { token: &token, stage: "AWSPENDING" }).await
            })
        };
        assert!(reading().unwrap().is_none());
        let text = login("next");
        let id = event["SecretId"].as_str().unwrap().to_owned();
        let of = token.clone();
        with(&store, |store| async move {
            let stages = Some(["AWSPENDING"].as_slice());
            let put = Put { text: &text, token: &of, stages, rotation_token: Some("of the event") };
            store.put(&id, put).await
        })
        .unwrap();
        assert!(reading().unwrap().unwrap().expose_secret().contains("next"));
        Err("stops here")
    });
    assert_eq!(rotation.failed, Some(("createSecret", "stops here")));
    assert_eq!(secrets.calls_of("PutSecretValue")[0]["RotationToken"], "of the event");
    // The service takes it up again under the same token.
    let again = secrets.rotate("t", |_| Ok::<_, ()>(())).done();
    assert_eq!(again, rotation.token);
}

#[test]
fn a_service_that_is_busy_is_asked_again_and_not_for_ever() {
    let secrets = Secrets::start();
    let store = store(&secrets);
    secrets.fault("CreateSecret", Fault::Throttle(2));
    secrets.fault("CreateSecret", Fault::Internal(1));
    secrets.fault("CreateSecret", Fault::Unavailable(1));
    create(&store, new("t")).unwrap();
    assert_eq!(secrets.count("CreateSecret"), 5);
    secrets.fault("DescribeSecret", Fault::Throttle(100));
    let error = with(&store, |store| async move { store.describe("t").await }).unwrap_err();
    assert_eq!(error.to_string(), "describing secret `t` failed: ThrottlingException");
    assert!(error.heals());
    assert_eq!(secrets.count("DescribeSecret"), 5);
}

#[test]
fn a_lost_answer_costs_nothing_but_another_try() {
    for fault in [Fault::CutAfter(1), Fault::FailAfter(1), Fault::Torn(1), Fault::CutBefore(1)] {
        let secrets = Secrets::start();
        let store = store(&secrets);
        for operation in [
            "CreateSecret",
            "PutSecretValue",
            "UpdateSecretVersionStage",
            "TagResource",
            "RotateSecret",
            "DeleteSecret",
            "RestoreSecret",
            "DescribeSecret",
            "GetSecretValue",
        ] {
            secrets.fault(operation, fault.clone());
        }
        let arn = create(&store, new("t")).unwrap();
        assert_eq!(secrets.names(), ["t"], "{fault:?}");
        let tokens: Vec<_> = secrets.calls_of("CreateSecret");
        assert_eq!(tokens[0]["ClientRequestToken"], tokens[1]["ClientRequestToken"]);
        put(&store, "t", "second", OTHER, Some(&["AWSPENDING"])).unwrap();
        move_stage(&store, "AWSCURRENT", Some(OTHER), Some(TOKEN)).unwrap();
        move_stage(&store, "AWSPENDING", None, Some(OTHER)).unwrap();
        let tags = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        with(&store, |store| async move { store.tag("t", &tags).await }).unwrap();
        set_up(&store, true).unwrap();
        delete(&store, "t").unwrap();
        with(&store, |store| async move { store.restore("t").await }).unwrap();
        let secret = described(&store, "t").unwrap();
        assert!(secret.arn == arn && !secret.deleted, "{fault:?}");
        assert_eq!(secret.holder("AWSPREVIOUS"), Some(TOKEN));
        // An empty version for the rotation that was asked for, and no second one.
        assert_eq!(secret.versions.len(), 3, "{fault:?}: {secret:?}");
        let current = with(&store, |store| async move { store.current("t").await }).unwrap();
        assert!(current.expose_secret().contains("second"));
    }
}

#[test]
fn what_is_not_allowed_names_the_action_and_the_permission() {
    let secrets = Secrets::start();
    let store = store(&secrets);
    create(&store, new("t")).unwrap();
    let tags = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
    let refused = |operation: &str, work: Work<'_>| {
        secrets.fault(operation, Fault::Denied);
        let error = work().unwrap_err();
        secrets.heal();
        assert!(!error.heals());
        (error.to_string(), error.hint())
    };
    let tag = || {
        let tags = tags.clone();
        with(&store, |store| async move { store.tag("t", &tags).await })
    };
    let restore = || with(&store, |store| async move { store.restore("t").await });
    let describe = || with(&store, |store| async move { store.describe("t").await.map(drop) });
    let current = || with(&store, |store| async move { store.current("t").await.map(drop) });
    let cases: [(&str, &str, &str, Work<'_>); 9] = [
        ("CreateSecret", "creating", "TagResource", &|| create(&store, new("t")).map(drop)),
        ("PutSecretValue", "writing", "kms:GenerateDataKey", &|| {
            put(&store, "t", "x", OTHER, None)
        }),
        ("RestoreSecret", "restoring", "RestoreSecret", &restore),
        ("TagResource", "tagging", "TagResource", &tag),
        ("RotateSecret", "setting up the rotation of", "secretsmanager.amazonaws.com", &|| {
            set_up(&store, true)
        }),
        ("UpdateSecretVersionStage", "moving a stage of", "VersionStage", &|| {
            move_stage(&store, "AWSCURRENT", Some(OTHER), Some(TOKEN))
        }),
        ("DescribeSecret", "describing", "DescribeSecret", &describe),
        ("DeleteSecret", "deleting", "DeleteSecret", &|| delete(&store, "t")),
        ("GetSecretValue", "reading", "GetSecretValue", &current),
    ];
    for (operation, said, permission, work) in cases {
        let (error, hint) = refused(operation, work);
        assert_eq!(error, format!("{said} secret `t` is not allowed"));
        assert!(hint.contains(permission) && hint.contains(operation), "{operation}: {hint}");
    }
}

#[test]
fn the_words_of_the_service_are_kept_unless_they_may_repeat_a_secret() {
    let secrets = Secrets::start();
    let store = store(&secrets);
    let error = create(&store, new("with space")).unwrap_err().to_string();
    assert!(error.contains("was refused: Invalid name. Must be a valid name"), "{error}");
    // A message that repeats what was sent.
    let long = NewSecret { text: PASSWORD.repeat(4000).into(), ..new("t") };
    let error = create(&store, long).unwrap_err();
    assert_eq!(error.to_string(), "creating secret `t` was refused: ValidationException");
    create(&store, new("t")).unwrap();
    let refuse = |operation: &str, code: &'static str| {
        let message = format!("no {PASSWORD}");
        secrets.fault(operation, Fault::Refuse { code, message });
    };
    for code in ["InvalidParameterException", "LimitExceededException", "UnheardOfException"] {
        refuse("PutSecretValue", code);
        let error = put(&store, "t", PASSWORD, OTHER, None).unwrap_err();
        assert!(error.to_string().ends_with(code), "{error}");
        assert!(!error.heals());
        refuse("GetSecretValue", code);
        let error = version(&store, Which::Stage("AWSCURRENT")).unwrap_err();
        assert!(error.to_string().ends_with(code), "{error}");
        secrets.heal();
    }
    refuse("CreateSecret", "EncryptionFailure");
    let error = create(&store, new("other")).unwrap_err();
    assert!(matches!(&error, SecretError::Key { action: Action::Create, .. }), "{error}");
    assert!(error.hint().contains("kms:GenerateDataKey and kms:Decrypt"));
}

#[test]
fn a_service_that_manages_its_secret_keeps_it() {
    let secrets = Secrets::start();
    let store = store(&secrets);
    secrets.put("rds!db-x", json!({"username": "u", "password": PASSWORD}));
    let secret = described(&store, "rds!db-x").unwrap();
    assert_eq!(secret.owning_service.as_deref(), Some("rds"));
    let error = put(&store, "rds!db-x", PASSWORD, OTHER, None).unwrap_err().to_string();
    assert!(error.contains("managed by rds"), "{error}");
    assert!(delete(&store, "rds!db-x").is_err());
}

#[test]
fn a_slow_answer_is_waited_for_and_a_hook_sees_the_moment_before_a_call() {
    let secrets = Arc::new(Secrets::start());
    let store = store(&secrets);
    secrets.fault("CreateSecret", Fault::Slow(Duration::from_millis(200)));
    let (sender, seen) = std::sync::mpsc::channel();
    let of_hook = Arc::clone(&secrets);
    secrets.on("CreateSecret", 2, move || drop(sender.send(of_hook.names())));
    create(&store, new("a")).unwrap();
    create(&store, new("b")).unwrap();
    assert_eq!(seen.recv().unwrap(), ["a"]);
    assert_eq!(secrets.names(), ["a", "b"]);
    // A caller that gives up leaves a secret behind.
    let abandoned = Arc::clone(&store);
    runtime::block_on(async move {
        let limit = Duration::from_millis(100);
        assert!(tokio::time::timeout(limit, abandoned.create(&new("c"))).await.is_err());
    });
    wait_until("the call is carried out", || secrets.names().len() == 3);
}
