//! The Lambda: picks the role by `_HANDLER` and serves events until Lambda ends it.

use execute_sql::handler::{self, Call, Thrown};
use execute_sql::{rotation, telemetry, trust, world};
use lambda_runtime::tower::service_fn;
use lambda_runtime::tower::util::MapRequestLayer;
use lambda_runtime::{Diagnostic, LambdaEvent, LambdaInvocation, Runtime};

fn main() -> anyhow::Result<()> {
    trust::prepare();
    telemetry::for_lambda();
    let role = std::env::var("_HANDLER").unwrap_or_default();
    if ["webhook", "ticket"].contains(&role.as_str()) {
        anyhow::bail!("the handler `{role}` is not supported yet; set it to `custom-resource`");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(serve(role == "rotation")).map_err(|error| anyhow::anyhow!(error))
}

async fn serve(rotates: bool) -> Result<(), lambda_runtime::Error> {
    let (world, https) = world::prepared()?;
    let settings = rotation::Settings::of_function();
    let (world, https, settings) = (&world, &*https, &settings);
    let handler = service_fn(move |event: LambdaEvent<String>| async move {
        let context = event.context;
        let call = Call {
            event: event.payload,
            function_arn: context.invoked_function_arn,
            request_id: context.request_id,
            deadline_ms: context.deadline,
            log_stream: context.env_config.log_stream.clone(),
        };
        // Boxed, as is each long part of the road: one future type of all of it is more than
        // the compiler optimises in a release.
        let answer = if rotates {
            Box::pin(rotation::handle(world, settings, &call)).await
        } else {
            Box::pin(handler::handle(world, https, &call)).await
        };
        answer.map_err(diagnostic)
    });
    Runtime::new(handler).layer(MapRequestLayer::new(as_text)).run().await
}

fn diagnostic(thrown: Thrown) -> Diagnostic {
    Diagnostic { error_type: thrown.name.to_owned(), error_message: thrown.message }
}

/// Hands every event on as one JSON text. The runtime would drop an event that it
/// cannot parse, and CloudFormation would wait for an answer that never comes.
fn as_text(mut invocation: LambdaInvocation) -> LambdaInvocation {
    let text = String::from_utf8_lossy(&invocation.body);
    let json = serde_json::to_vec(&text).expect("a string always serializes");
    invocation.body = json.into();
    invocation
}
