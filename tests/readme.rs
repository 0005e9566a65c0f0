//! README and code say the same: its examples are read by the code, its tables
//! name what the code knows.

#![allow(clippy::unwrap_used)]

use execute_sql::commands::cli::Cli;
use execute_sql::request::{changelog, properties};
use serde_json::{Map, Value};

const README: &str = include_str!("../README.md");

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let blocks = README.split(fence.as_str()).skip(1);
    blocks.map(|rest| rest.split("```").next().unwrap()).collect()
}

fn read(properties: &Map<String, Value>) {
    if let Err(errors) = properties::read(properties) {
        panic!("{errors:?} in {properties:?}");
    }
}

#[test]
fn every_yaml_example_is_understood() {
    let examples = blocks("yaml");
    assert!(examples.len() >= 2);
    for example in examples {
        // CloudFormation's short tags need no resolving here.
        let plain = example.replace("!GetAtt ", "").replace("!Ref ", "");
        let value: Value = serde_yaml_ng::from_str(&plain).unwrap();
        let value = value.pointer("/Resources/InstallPlugins/Properties").unwrap_or(&value);
        read(value.as_object().unwrap());
    }
}

#[test]
fn the_plain_call_is_understood() {
    for example in blocks("json") {
        let event = serde_json::from_str(example).unwrap();
        execute_sql::invocation::read(&event, "request").unwrap();
    }
}

#[test]
fn every_property_is_in_the_reference() {
    let keys = properties::CONNECTION_KEYS.iter().chain(&changelog::KEYS);
    for name in properties::KNOWN.iter().chain(keys) {
        assert!(README.contains(&format!("`{name}`")), "{name} is not in the README");
    }
}

#[test]
fn every_command_and_option_of_the_examples_exists() {
    use clap::Parser;
    for line in blocks("sh").concat().lines().filter(|line| line.starts_with("execute-sql ")) {
        let words = line.split('#').next().unwrap().split_whitespace();
        let parsed = Cli::try_parse_from(words);
        assert!(parsed.is_ok(), "{line}: {}", parsed.err().unwrap());
    }
}

#[test]
fn the_commands_that_work_are_in_the_readme() {
    use clap::CommandFactory;
    for command in Cli::command().get_subcommands().filter(|it| !it.is_hide_set()) {
        let name = command.get_name();
        assert!(README.contains(&format!("execute-sql {name}")), "{name} is not in the README");
    }
}
