//! One CloudFormation stack: what is asked for, and its events as they come.
//!
//! An answer that never comes would make CloudFormation wait for the whole
//! `ServiceTimeout`, so there is a limit of its own here.

use std::time::Duration;

use anyhow::{Result, bail};
use tokio::time::Instant;

use super::aws::Aws;
use super::xml;

const LIMIT: Duration = Duration::from_mins(1);

/// A stack that was asked for.
pub struct Stack<'a> {
    aws: &'a Aws,
    /// A deleted stack has no name any more.
    id: String,
    /// All that were read so far, oldest first.
    pub events: Vec<Event>,
}

/// What happened to a resource, or to the stack itself, which then stands for a resource.
#[derive(Debug, Clone)]
pub struct Event {
    id: String,
    /// In UTC, as ISO 8601.
    pub time: String,
    /// The logical id.
    pub resource: String,
    /// The physical id, as far as it was known then.
    pub physical_id: String,
    /// As `Custom::ExecuteSQL`.
    pub kind: String,
    /// As `CREATE_FAILED`.
    pub status: String,
    /// Often empty.
    pub reason: String,
}

impl<'a> Stack<'a> {
    /// Asks for a new stack.
    pub async fn create(
        aws: &'a Aws,
        name: &str,
        template: &str,
        parameters: &[(&str, &str)],
    ) -> Result<Self> {
        let answer = deploy(aws, "CreateStack", name, template, parameters).await?;
        Ok(Self { aws, id: xml::text(&answer, "StackId"), events: Vec::new() })
    }

    /// Asks for an update.
    pub async fn update(&self, template: &str, parameters: &[(&str, &str)]) -> Result<()> {
        deploy(self.aws, "UpdateStack", &self.id, template, parameters).await?;
        Ok(())
    }

    /// Asks for its end.
    pub async fn delete(&self) -> Result<()> {
        self.aws.cloudformation("DeleteStack", &[("StackName", &self.id)]).await?;
        Ok(())
    }

    /// Waits for the end of what was asked for; returns the status that it led to. Each new event is
    /// told.
    pub async fn end(&mut self, mut tell: impl FnMut(&Event)) -> Result<String> {
        let end = Instant::now() + LIMIT;
        loop {
            // The status first: what happened before it was read is then among the events.
            let status = xml::text(&self.describe().await?, "StackStatus");
            self.read_events(&mut tell).await?;
            if !status.ends_with("_IN_PROGRESS") {
                return Ok(status);
            }
            if let Some(error) = self.aws.function_error() {
                bail!("the function gave no answer: {error}");
            }
            if Instant::now() > end {
                bail!("the stack is still {status} after {} s", LIMIT.as_secs());
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Its outputs, as key and value.
    pub async fn outputs(&self) -> Result<Vec<(String, String)>> {
        let stack = self.describe().await?;
        let outputs = xml::blocks(xml::block(&stack, "Outputs"), "member");
        let pair = |it| (xml::text(it, "OutputKey"), xml::text(it, "OutputValue"));
        Ok(outputs.map(pair).collect())
    }

    /// What its function has logged; nothing where no log group is among the events.
    pub async fn log(&self) -> Result<Vec<String>> {
        let group = self
            .events
            .iter()
            .rfind(|it| it.kind == "AWS::Logs::LogGroup" && !it.physical_id.is_empty());
        match group {
            Some(group) => self.aws.log(&group.physical_id).await,
            None => Ok(Vec::new()),
        }
    }

    async fn describe(&self) -> Result<String> {
        self.aws.cloudformation("DescribeStacks", &[("StackName", &self.id)]).await
    }

    async fn read_events(&mut self, tell: &mut impl FnMut(&Event)) -> Result<()> {
        let input = [("StackName", self.id.as_str())];
        let answer = self.aws.cloudformation("DescribeStackEvents", &input).await?;
        let mut read: Vec<_> = xml::blocks(&answer, "member").map(Event::read).collect();
        // They come newest first.
        read.reverse();
        for event in read {
            if self.events.iter().all(|known| known.id != event.id) {
                tell(&event);
                self.events.push(event);
            }
        }
        Ok(())
    }
}

impl Event {
    fn read(xml: &str) -> Self {
        let text = |name| xml::text(xml, name);
        Self {
            id: text("EventId"),
            time: text("Timestamp"),
            resource: text("LogicalResourceId"),
            physical_id: text("PhysicalResourceId"),
            kind: text("ResourceType"),
            status: text("ResourceStatus"),
            reason: text("ResourceStatusReason"),
        }
    }
}

async fn deploy(
    aws: &Aws,
    action: &str,
    stack: &str,
    template: &str,
    parameters: &[(&str, &str)],
) -> Result<String> {
    let numbered = parameters.iter().enumerate().flat_map(|(at, &(key, value))| {
        let prefix = format!("Parameters.member.{}", at + 1);
        [(format!("{prefix}.ParameterKey"), key), (format!("{prefix}.ParameterValue"), value)]
    });
    let numbered: Vec<_> = numbered.collect();
    let mut input: Vec<_> = numbered.iter().map(|(key, value)| (key.as_str(), *value)).collect();
    input.push(("StackName", stack));
    input.push(("TemplateBody", template));
    input.push(("Capabilities.member.1", "CAPABILITY_IAM"));
    aws.cloudformation(action, &input).await
}
