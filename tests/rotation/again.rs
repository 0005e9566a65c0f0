//! Steps that are repeated, cut off and left over; a service that misbehaves.

use std::time::Duration;

use serde_json::{Value, json};

use crate::stage::{Alternating, FIRST_PASSWORD, Single, Stage, Strategy};
use crate::support::secrets::Fault;
use crate::support::{Client, Invocation, MAJORS, MASTER, MASTER_PASSWORD, Server};

const STEPS: [&str; 4] = ["createSecret", "setSecret", "testSecret", "finishSecret"];

fn username(strategy: Strategy, stage: &Stage<'_>) -> String {
    if strategy == Single { stage.user.clone() } else { stage.clone_name() }
}

/// After one rotation: the new login works, everything else in the secret stays.
#[track_caller]
fn assert_rotated(strategy: Strategy, stage: &Stage<'_>, token: &str) {
    let (current, previous) = (stage.current(), stage.version("AWSPREVIOUS"));
    assert_eq!(current["username"], username(strategy, stage));
    assert_eq!(previous["username"], stage.user.as_str());
    assert_eq!(previous["password"], FIRST_PASSWORD);
    for key in ["engine", "host", "port", "dbname", "masterarn", "application"] {
        assert_eq!(current[key], previous[key], "{key}");
    }
    assert_eq!(stage.secrets.get(&stage.secret).unwrap().at("AWSCURRENT").unwrap().id, token);
    stage.login(&current).exec("CREATE TABLE IF NOT EXISTS made_after_rotation ()");
    // With one role the old password is gone; with two it stays good until the next rotation.
    assert_eq!(stage.try_login(&previous).is_ok(), strategy == Alternating);
}

#[test]
fn each_step_may_be_repeated_on_each_major() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        for strategy in [Single, Alternating] {
            let stage = Stage::on(&server, strategy);
            let rotation = stage.secrets.rotate(&stage.secret, |event| {
                stage.invoke(&event)?;
                let before = stage.secrets.get(&stage.secret);
                stage.invoke(&event)?;
                assert_eq!(stage.secrets.get(&stage.secret), before, "{event}");
                Ok::<_, Invocation>(())
            });
            let token = rotation.done();
            assert_rotated(strategy, &stage, &token);
            // Each step of a rotation that is over is fine, and does nothing.
            for step in STEPS {
                let event = json!({
                    "Step": step, "SecretId": stage.secret, "ClientRequestToken": token,
                });
                stage.invoke(&event).unwrap();
            }
            assert_rotated(strategy, &stage, &token);
        }
    }
}

#[test]
fn rotations_follow_one_another_on_each_major() {
    for major in MAJORS {
        let server = Server::rds_like(major);
        for strategy in [Single, Alternating] {
            let stage = Stage::on(&server, strategy);
            let mut names = Vec::new();
            for _ in 0..4 {
                stage.rotate().done();
                let current = stage.current();
                stage.login(&current).exec("SELECT 1");
                names.push(current["username"].as_str().unwrap().to_owned());
            }
            let (user, clone) = (stage.user.clone(), stage.clone_name());
            let wanted = match strategy {
                Single => vec![user.clone(), user.clone(), user.clone(), user],
                Alternating => vec![clone.clone(), user.clone(), clone, user],
            };
            assert_eq!(names, wanted);
        }
    }
}

#[test]
fn a_rotation_that_ended_after_any_step_ends_well_when_it_is_tried_again() {
    for strategy in [Single, Alternating] {
        for last in STEPS {
            let stage = Stage::new(strategy);
            let cut = stage.secrets.rotate(&stage.secret, |event| {
                stage.invoke(&event)?;
                if event["Step"] == last {
                    stage.function.kill();
                    return Err(Invocation::Died);
                }
                Ok(())
            });
            assert_eq!(cut.failed, Some((last, Invocation::Died)));
            // A client with the secret's current login is never shut out for long: with one role
            // the retry ends it, with two it does not happen.
            assert!(strategy == Single || stage.try_login(&stage.current()).is_ok());
            let token = if last == "finishSecret" { cut.token } else { stage.rotate().done() };
            assert_rotated(strategy, &stage, &token);
        }
    }
}

#[test]
fn a_function_that_dies_in_the_middle_of_a_step_does_no_harm() {
    for (operation, fault) in [
        ("PutSecretValue", Fault::CutAfter(1)),
        ("PutSecretValue", Fault::CutBefore(1)),
        ("UpdateSecretVersionStage", Fault::CutAfter(1)),
        ("DescribeSecret", Fault::CutBefore(1)),
    ] {
        let stage = std::sync::Arc::new(Stage::new(Alternating));
        let dying = stage.clone();
        stage.secrets.fault(operation, fault);
        stage.secrets.on(operation, 1, move || dying.function.kill());
        let first = stage.rotate();
        let (_, why) = first.failed.clone().expect("the function was killed");
        assert_eq!(why, Invocation::Died, "{operation}");
        let done = stage.current()["username"] == stage.clone_name().as_str();
        let token = if done { first.token } else { stage.rotate().done() };
        assert_rotated(Alternating, &stage, &token);
    }
}

#[test]
fn a_secrets_manager_that_misbehaves_is_asked_again() {
    let stage = Stage::new(Alternating);
    for operation in ["DescribeSecret", "GetSecretValue", "PutSecretValue"] {
        stage.secrets.fault(operation, Fault::Throttle(2));
        stage.secrets.fault(operation, Fault::Internal(1));
    }
    stage.secrets.fault("PutSecretValue", Fault::FailAfter(1));
    stage.secrets.fault("UpdateSecretVersionStage", Fault::FailAfter(1));
    stage.secrets.fault("UpdateSecretVersionStage", Fault::CutAfter(1));
    let token = stage.rotate().done();
    assert_rotated(Alternating, &stage, &token);
    let puts = stage.secrets.calls_of("PutSecretValue");
    assert!(puts.len() >= 4 && puts.iter().all(|it| it["ClientRequestToken"] == token.as_str()));
}

#[test]
fn a_rotation_token_is_passed_on() {
    let stage = Stage::new(Single);
    let rotation = stage.secrets.rotate(&stage.secret, |mut event| {
        event["RotationToken"] = json!("for-another-account");
        stage.invoke(&event)
    });
    rotation.done();
    let put = &stage.secrets.calls_of("PutSecretValue")[0];
    assert_eq!(put["RotationToken"], "for-another-account");
    assert_eq!(put["VersionStages"], json!(["AWSPENDING"]));
}

#[test]
fn a_call_for_the_test_alone_tests_the_current_login() {
    for strategy in [Single, Alternating] {
        let stage = Stage::new(strategy);
        let before = stage.secrets.get(&stage.secret);
        stage.secrets.test_only(&stage.secret, |event| stage.invoke(&event)).done();
        assert_eq!(stage.secrets.get(&stage.secret), before);
        let mut wrong = stage.current();
        wrong["password"] = json!("not-the-password");
        stage.secrets.put(&stage.secret, &wrong);
        let tested = stage.secrets.test_only(&stage.secret, |event| stage.invoke(&event));
        let (step, why) = tested.failed.expect("the login does not work");
        assert_eq!(step, "testSecret");
        let Invocation::Threw { error_message, .. } = why else { panic!("{why:?}") };
        assert!(error_message.contains("the current login of"), "{error_message}");
    }
}

#[test]
fn a_version_that_was_never_written_does_not_become_current() {
    let stage = Stage::new(Single);
    let token = crate::support::lambda::uuid();
    stage.secrets.change(&stage.secret, |it| it.add(&token, None, &["AWSPENDING"]));
    for step in ["setSecret", "finishSecret"] {
        let event =
            json!({"Step": step, "SecretId": stage.secret, "ClientRequestToken": token.as_str()});
        let why = stage.invoke(&event).unwrap_err();
        let Invocation::Threw { error_message, .. } = why else { panic!("{why:?}") };
        assert!(error_message.contains("has no value"), "{error_message}");
    }
    assert_eq!(stage.current()["password"], FIRST_PASSWORD);
}

#[test]
fn what_a_broken_rotation_left_is_gone_on_with() {
    // Of an earlier try with the same token: written, and never set.
    for strategy in [Single, Alternating] {
        let stage = Stage::new(strategy);
        let mut left: Value = stage.current();
        left["username"] = json!(username(strategy, &stage));
        left["password"] = json!("left-over-Tr7zPq2m");
        let token = stage.leave_pending(&left);
        assert_eq!(stage.rotate().done(), token);
        assert_eq!(stage.current()["password"], "left-over-Tr7zPq2m");
        assert_rotated(strategy, &stage, &token);
    }
}

#[test]
fn a_copy_of_the_current_version_is_no_pending_one() {
    let stage = Stage::new(Single);
    stage.leave_pending(&stage.current());
    let (name, why) = stage.refused("createSecret");
    assert_eq!(name, "PermanentRefused");
    assert!(why.contains("has the current password. Hint: Take AWSPENDING"), "{why}");
    stage.take_pending_away();
    stage.rotate().done();
}

#[test]
fn a_server_that_is_down_is_waited_for() {
    let server = Server::private(&crate::support::Settings::default());
    let stage = Stage::on(&server, Alternating);
    let rotation = stage.secrets.rotate(&stage.secret, |event| {
        if event["Step"] == "createSecret" || event["Step"] == "finishSecret" {
            return stage.invoke(&event);
        }
        server.stop(crate::support::Stop::Fast);
        let seen = stage.function.log().matches("trying again").count();
        let pending = stage.function.start_invoke(event.to_string().as_bytes());
        crate::support::wait_until("it waits for the server", || {
            stage.function.log().matches("trying again").count() > seen
        });
        server.restart();
        match pending.wait() {
            Invocation::Returned(_) => Ok(()),
            other => Err(other),
        }
    });
    let token = rotation.done();
    assert_rotated(Alternating, &stage, &token);
}

#[test]
fn a_server_that_stays_down_ends_in_an_error_that_names_it() {
    let server = Server::private(&crate::support::Settings::default());
    let stage = Stage::with(&server, Single, |options| options.timeout(Duration::from_secs(4)));
    server.stop(crate::support::Stop::Fast);
    let (name, why) = stage.refused("setSecret");
    assert_eq!(name, "RetryableServerUnavailable");
    assert!(why.contains("connecting to `localhost:"), "{why}");
}

#[test]
fn steps_that_meet_each_other_and_other_work_on_the_roles_are_tried_again() {
    let stage = Stage::new(Alternating);
    let (user, clone) = (&stage.user, stage.clone_name());
    stage.rotate().done();
    let another = stage.another_function();
    for _ in 0..4 {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let config = stage.server.config(MASTER, MASTER_PASSWORD, "postgres");
                let master = Client::connect(&config);
                for role in [user, &clone].into_iter().cycle().take(300) {
                    // Refused now and then, as the rotation's own statements are.
                    drop(master.try_rows(&format!("ALTER ROLE {role} CONNECTION LIMIT 20")));
                }
            });
            let rotation = stage.secrets.rotate(&stage.secret, |event| {
                let body = event.to_string();
                let twin = another.start_invoke(body.as_bytes());
                let one = stage.invoke(&event);
                match twin.wait() {
                    Invocation::Returned(_) => one,
                    other => Err(other),
                }
            });
            rotation.done();
            stage.login(&stage.current()).exec("SELECT 1");
        });
    }
}
