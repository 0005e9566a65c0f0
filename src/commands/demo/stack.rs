//! One CloudFormation stack: what is asked for, and its events as they come.
//!
//! A stack that ends otherwise than well is an error, told together with the
//! function's log. An answer that never comes would make CloudFormation wait for
//! the whole `ServiceTimeout`, so the demo has a limit of its own.

use std::collections::HashSet;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

use super::aws::Aws;
use super::{tell, xml};

const TEMPLATE: &str = include_str!("../../../cfn/quickstart.yaml");
const NAME: &str = "demo";
const LIMIT: Duration = Duration::from_mins(1);

/// A stack that was asked for.
pub struct Stack<'a> {
    aws: &'a Aws,
    id: String,
    seen: HashSet<String>,
    log_group: Option<String>,
    /// The resource and the reason of the first failure; those that follow come from it.
    failure: Option<String>,
}

impl<'a> Stack<'a> {
    /// Creates it and waits.
    pub async fn create(aws: &'a Aws, parameters: &[(&str, &str)]) -> Result<Self> {
        let numbered = numbered(parameters.iter().map(|&(key, value)| (key, Some(value))));
        let mut input = pairs(&numbered);
        input.push(("StackName", NAME));
        input.push(("TemplateBody", TEMPLATE));
        input.push(("Capabilities.member.1", "CAPABILITY_IAM"));
        let answer = aws.cloudformation("CreateStack", &input).await?;
        let id = xml::text(&answer, "StackId");
        let mut stack = Self { aws, id, seen: HashSet::new(), log_group: None, failure: None };
        stack.wait("CREATE_COMPLETE").await?;
        Ok(stack)
    }

    /// Updates it to other values of some parameters, and waits.
    pub async fn update(&mut self, all: &[(&str, &str)], changed: &[(&str, &str)]) -> Result<()> {
        let kept = all.iter().filter(|(key, _)| changed.iter().all(|(other, _)| other != key));
        let kept = kept.map(|&(key, _)| (key, None));
        let numbered = numbered(kept.chain(changed.iter().map(|&(key, value)| (key, Some(value)))));
        let mut input = pairs(&numbered);
        input.push(("StackName", NAME));
        input.push(("UsePreviousTemplate", "true"));
        input.push(("Capabilities.member.1", "CAPABILITY_IAM"));
        self.aws.cloudformation("UpdateStack", &input).await?;
        self.wait("UPDATE_COMPLETE").await
    }

    /// Deletes it and waits.
    pub async fn delete(&mut self) -> Result<()> {
        self.aws.cloudformation("DeleteStack", &[("StackName", NAME)]).await?;
        self.wait("DELETE_COMPLETE").await
    }

    /// Its outputs, as key and value.
    pub async fn outputs(&self) -> Result<Vec<(String, String)>> {
        let stack = self.describe().await?;
        let outputs = xml::blocks(xml::block(&stack, "Outputs"), "member");
        let pair = |it| (xml::text(it, "OutputKey"), xml::text(it, "OutputValue"));
        Ok(outputs.map(pair).collect())
    }

    /// By its id, for a deleted stack has no name any more.
    async fn describe(&self) -> Result<String> {
        self.aws.cloudformation("DescribeStacks", &[("StackName", &self.id)]).await
    }

    /// Tells the events until the work is done.
    async fn wait(&mut self, wanted: &str) -> Result<()> {
        let end = Instant::now() + LIMIT;
        loop {
            // The status first: what happened before it was read is then among the events.
            let stack = self.describe().await?;
            let status = xml::text(&stack, "StackStatus");
            self.tell_events().await?;
            if status == wanted {
                return Ok(());
            }
            let error = self.aws.function_error();
            let is_late = Instant::now() > end;
            if !status.ends_with("_IN_PROGRESS") || is_late || error.is_some() {
                self.tell_log().await;
                if let Some(error) = error {
                    bail!("the function gave no answer: {error}");
                }
                let reason = self.failure.take();
                let reason = reason.unwrap_or_else(|| xml::text(&stack, "StackStatusReason"));
                let late =
                    if is_late { format!(" after {} s", LIMIT.as_secs()) } else { String::new() };
                bail!("stack `{NAME}` is {status}{late}, not {wanted}: {reason}");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    async fn tell_events(&mut self) -> Result<()> {
        let input = [("StackName", self.id.as_str())];
        let answer = self.aws.cloudformation("DescribeStackEvents", &input).await?;
        let mut events: Vec<_> = xml::blocks(&answer, "member").collect();
        // They come newest first.
        events.reverse();
        for event in events {
            if !self.seen.insert(xml::text(event, "EventId")) {
                continue;
            }
            let time = xml::text(event, "Timestamp");
            let time = time.get(11..19).unwrap_or(&time);
            let resource = xml::text(event, "LogicalResourceId");
            let status = xml::text(event, "ResourceStatus");
            let reason = xml::text(event, "ResourceStatusReason");
            tell(format_args!(
                "  {}",
                format!("{time}  {resource:<8}  {status:<35} {reason}").trim_end()
            ));
            if status.ends_with("_FAILED") && self.failure.is_none() {
                self.failure = Some(format!("{resource}: {reason}"));
            }
            if xml::text(event, "ResourceType") == "AWS::Logs::LogGroup" {
                self.log_group = Some(xml::text(event, "PhysicalResourceId"));
            }
        }
        Ok(())
    }

    /// The function's log, for whoever looks for the cause of a failure.
    async fn tell_log(&self) {
        let Some(group) = &self.log_group else {
            return;
        };
        match self.aws.log(group).await {
            Ok(lines) if lines.is_empty() => tell("\nThe function has logged nothing."),
            Ok(lines) => tell(format_args!("\nThe function's log:\n  {}", lines.join("\n  "))),
            Err(error) => tell(format_args!("\nThe function's log cannot be read: {error}")),
        }
    }
}

/// A parameter's keys and values as the query API wants them; no value means the previous one.
fn numbered<'a>(
    parameters: impl Iterator<Item = (&'a str, Option<&'a str>)>,
) -> Vec<(String, &'a str)> {
    let numbered = parameters.enumerate().flat_map(|(at, (key, value))| {
        let prefix = format!("Parameters.member.{}", at + 1);
        let second = match value {
            Some(value) => (format!("{prefix}.ParameterValue"), value),
            None => (format!("{prefix}.UsePreviousValue"), "true"),
        };
        [(format!("{prefix}.ParameterKey"), key), second]
    });
    numbered.collect()
}

fn pairs<'a>(owned: &'a [(String, &'a str)]) -> Vec<(&'a str, &'a str)> {
    owned.iter().map(|(key, value)| (key.as_str(), *value)).collect()
}
