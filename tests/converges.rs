//! Every example in `migrations/`: apply, and the plan is empty; apply again, and
//! nothing is done; deprovision, and only what it made is gone.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod stage;
mod support;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use stage::Stage;
use support::Server;

#[test]
fn after_apply_every_examples_plan_is_empty() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|it| it.extension().is_some());
    files.sort();
    assert!(files.len() >= 9);
    for file in files {
        let stage = Stage::with(Server::shared(), |it| {
            it.env("LAMBDA_TASK_ROOT", concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"))
        });
        let yaml: Value = serde_yaml_ng::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        let call = |action: &str| {
            let event = json!({ "Action": action, "Properties": stage.properties(yaml.clone()) });
            stage.function.invoke(event.to_string().as_bytes()).returned()
        };
        let name = file.display();
        let planned = call("Plan");
        assert_ne!(planned["Steps"], json!([]), "{name}");
        let applied = call("Apply");
        assert_eq!(applied["Steps"], planned["Steps"], "{name}: what was planned is what was done");
        assert_eq!(call("Plan")["Steps"], json!([]), "{name}");
        call("Verify");
        assert_eq!(call("Apply")["Changed"], json!(false), "{name}");
        call("Deprovision");
        let dropped = yaml["OnDelete"] == "Drop";
        let gone = stage.extensions() == "hstore=1.8";
        assert_eq!(gone, dropped, "{name}: {}", stage.extensions());
    }
}
