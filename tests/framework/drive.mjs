// Runs a handler of the CDK's provider framework once, as its Lambda function would.
//
// stdin   {"handler": "onEvent" | "isComplete" | "onTimeout", "event": {…}, "withIsComplete": bool}
// stdout  one line, {"ok": value} or {"error": {name, message}}; the framework's log is on stderr
// exit    0 when there is an outcome, either one; anything else is a fault of the call
//
// env     AWS_ENDPOINT_URL_LAMBDA   http://host:port, plays Lambda's Invoke
//         AWS_ENDPOINT_URL_SFN      the same for Step Functions; default: Lambda's
//         RESPONSE_RECEIVER         host:port, gets the framework's PUT in plain http
//         USER_ON_EVENT_FUNCTION_ARN, USER_IS_COMPLETE_FUNCTION_ARN, WAITER_STATE_MACHINE_ARN
//
// The framework's files stay as published: all that differs from Lambda is in this process.

import http from "node:http";
import https from "node:https";
import { text } from "node:stream/consumers";

const FRAMEWORK =
  "./node_modules/aws-cdk-lib/custom-resources/lib/provider-framework/runtime/framework.js";

const job = JSON.parse(await text(process.stdin));
const env = process.env;

for (const name of ["AWS_ENDPOINT_URL_LAMBDA", "RESPONSE_RECEIVER"]) {
  if (!env[name]) throw new Error(`${name} is not set`);
}

// Nothing of the caller's own AWS account may get in: no profile, no credentials, no region.
for (const name of Object.keys(env)) {
  if (name.startsWith("AWS_") && !name.startsWith("AWS_ENDPOINT_URL_")) delete env[name];
}
Object.assign(env, {
  AWS_REGION: "us-east-1",
  AWS_ACCESS_KEY_ID: "test",
  AWS_SECRET_ACCESS_KEY: "test",
  AWS_CONFIG_FILE: "/dev/null",
  AWS_SHARED_CREDENTIALS_FILE: "/dev/null",
});
env.AWS_ENDPOINT_URL_SFN ??= env.AWS_ENDPOINT_URL_LAMBDA;
env.USER_ON_EVENT_FUNCTION_ARN ??= "arn:aws:lambda:us-east-1:123456789012:function:execute-sql";
env.WAITER_STATE_MACHINE_ARN ??= "arn:aws:states:us-east-1:123456789012:stateMachine:waiter";

// Whether this variable exists is how the framework knows that the provider has an isComplete.
if (job.withIsComplete) {
  env.USER_IS_COMPLETE_FUNCTION_ARN ??= env.USER_ON_EVENT_FUNCTION_ARN;
} else {
  delete env.USER_IS_COMPLETE_FUNCTION_ARN;
}

// The framework PUTs by https only and drops the URL's port; what it sends is left as it is.
const receiver = new URL(`http://${env.RESPONSE_RECEIVER}`);
https.request = (options, onResponse) =>
  http.request(
    {
      ...options,
      hostname: receiver.hostname,
      port: receiver.port,
      headers: { ...options.headers, Host: options.hostname },
    },
    onResponse,
  );

// Stdout belongs to the outcome alone.
console.log = console.error;

const { default: framework } = await import(FRAMEWORK);
if (!Object.hasOwn(framework, job.handler)) throw new Error(`no handler \`${job.handler}\``);

// No context: the framework's handlers take the event and nothing else.
const outcome = await framework[job.handler](job.event).then(
  (value) => ({ ok: value ?? null }),
  // The class, for it alone marks a Retry. (Lambda would say "Error", and its waiter retries all.)
  (error) => ({ error: { name: error.constructor.name, message: error.message } }),
);
process.stdout.write(`${JSON.stringify(outcome)}\n`);
