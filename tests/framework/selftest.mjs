// Shows that drive.mjs runs the real framework, and what our function may rely on in it.
// The function, Step Functions and CloudFormation are played by the two servers in `drive`.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import http from "node:http";
import { text } from "node:stream/consumers";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const PROGRAM = fileURLToPath(new URL("drive.mjs", import.meta.url));
const CREATE_FAILED = "AWSCDK::CustomResourceProviderFramework::CREATE_FAILED";

const create = {
  RequestType: "Create",
  ServiceToken: "arn:aws:lambda:us-east-1:123456789012:function:framework-onEvent",
  ResponseURL: "https://s3.invalid:8443/stack%7CDb%7C1?X-Amz-Signature=a%2Bb&E=7200",
  StackId: "arn:aws:cloudformation:us-east-1:123456789012:stack/app/9f5a",
  RequestId: "7c2d",
  LogicalResourceId: "Db",
  ResourceType: "Custom::ExecuteSQL",
  ResourceProperties: { Extensions: ["hstore"] },
};

test("a result becomes one SUCCESS, sent as the framework sends it", async (t) => {
  const Data = { Database: "bücher" };
  const ran = await drive(t, { event: create }, () => ({ PhysicalResourceId: "Db-1", Data }));

  assert.deepEqual(ran.outcome, { ok: null });
  assert.deepEqual(ran.events, [create]);
  const [put] = ran.puts;
  assert.equal(`${put.method} ${put.url}`, "PUT /stack%7CDb%7C1?X-Amz-Signature=a%2Bb&E=7200");
  assert.deepEqual(put.headers, {
    "content-type": "",
    "content-length": String(Buffer.byteLength(put.body)),
    host: "s3.invalid",
    connection: "keep-alive",
  });
  assert.deepEqual(ran.responses, [response({ PhysicalResourceId: "Db-1", Data })]);
});

test("an error becomes the Reason, and a failed Create gets the marker for its id", async (t) => {
  const ran = await drive(t, { event: create }, () => assert.fail("relation exists"));

  const [{ Reason }] = ran.responses;
  assert.match(Reason, /^Error: relation exists\n\nLogs: \/aws\/lambda\/execute-sql\n\n {4}at /);
  const failed = { Status: "FAILED", Reason, PhysicalResourceId: CREATE_FAILED };
  assert.deepEqual(ran.responses, [response(failed)]);
});

test("the Delete of a failed Create is answered without calling the function", async (t) => {
  const event = { ...create, RequestType: "Delete", PhysicalResourceId: CREATE_FAILED };
  const ran = await drive(t, { event }, () => assert.fail("called"));

  assert.deepEqual(ran.events, []);
  assert.deepEqual(ran.responses, [response({ PhysicalResourceId: CREATE_FAILED })]);
});

test("isComplete gets the request and all that onEvent returned, at every poll", async (t) => {
  const withIsComplete = true;
  const returned = { PhysicalResourceId: "Db-1", Data: { Database: "app" }, Job: { Step: 3 } };
  const started = await drive(t, { event: create, withIsComplete }, () => returned);
  assert.deepEqual(started.responses, []);
  const [event] = started.executions;
  assert.deepEqual(event, { ...create, ...returned });

  const poll = { handler: "isComplete", event, withIsComplete };
  const waits = await drive(t, poll, () => ({ IsComplete: false, Job: { Step: 4 } }));
  assert.deepEqual(waits.events, [event]);
  assert.equal(waits.outcome.error.name, "Retry");
  assert.deepEqual(JSON.parse(waits.outcome.error.message), event);
  assert.deepEqual(waits.responses, []);

  const done = await drive(t, poll, () => ({ IsComplete: true, Data: { Changed: "true" } }));
  const Data = { Database: "app", Changed: "true" };
  assert.deepEqual(done.responses, [response({ PhysicalResourceId: "Db-1", Data })]);

  const Cause = JSON.stringify({ errorMessage: waits.outcome.error.message });
  const late = await drive(t, { handler: "onTimeout", event: { Cause }, withIsComplete });
  const timedOut = { Status: "FAILED", Reason: "Operation timed out" };
  assert.deepEqual(late.responses, [response({ ...returned, ...timedOut })]);
});

test("a PUT that is refused is sent again, and the function is not called again", async (t) => {
  const statuses = [503, 200];
  const ran = await drive(t, { event: create }, () => ({}), () => statuses.shift());

  assert.equal(ran.events.length, 1);
  assert.equal(ran.puts.length, 2);
  assert.deepEqual(ran.puts[0], ran.puts[1]);
});

test("a fault of the call is an exit code, never an outcome", async (t) => {
  const ran = await drive(t, { handler: "onMonday", event: create });

  assert.equal(ran.exit, 1);
  assert.equal(ran.outcome, undefined);
  assert.match(ran.stderr, /no handler `onMonday`/);
});

/** What CloudFormation is told about `create`, but for the differences given. */
function response({ Status = "SUCCESS", Reason = Status, PhysicalResourceId, Data }) {
  const { StackId, RequestId, LogicalResourceId } = create;
  const body = { Status, Reason, StackId, RequestId, PhysicalResourceId, LogicalResourceId };
  return Data ? { ...body, Data } : body;
}

/** Runs one job; `user` is our function and `accept` gives the status that each PUT gets. */
async function drive(t, job, user, accept = () => 200) {
  const events = [];
  const executions = [];
  const aws = await serve(t, (request, reply) => {
    const body = JSON.parse(request.body);
    if (request.headers["x-amz-target"] === "AWSStepFunctions.StartExecution") {
      executions.push(JSON.parse(body.input));
      return reply.end(JSON.stringify({ executionArn: "arn:aws:states:::1", startDate: 0 }));
    }
    events.push(body);
    try {
      reply.end(JSON.stringify(user(body)));
    } catch (error) {
      reply.setHeader("X-Amz-Function-Error", "Unhandled");
      reply.end(JSON.stringify({ errorType: error.name, errorMessage: error.message }));
    }
  });
  const puts = [];
  const cloudformation = await serve(t, (request, reply) => {
    puts.push(request);
    reply.writeHead(accept()).end();
  });

  const child = spawn(process.execPath, [PROGRAM], {
    timeout: 10_000, // Left alone, the framework waits minutes for a function that is not there.
    env: {
      AWS_ENDPOINT_URL_LAMBDA: `http://${aws}`,
      RESPONSE_RECEIVER: cloudformation,
      // What else the caller's shell exports must not matter.
      AWS_PROFILE: "mine",
      AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: "true",
      USER_IS_COMPLETE_FUNCTION_ARN: "arn:aws:lambda:us-east-1:123456789012:function:other",
    },
  });
  child.stdin.end(JSON.stringify({ handler: "onEvent", ...job }));
  const [stdout, stderr, [exit]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  const outcome = stdout ? JSON.parse(stdout) : undefined;
  const responses = puts.map(({ body }) => JSON.parse(body));
  return { outcome, exit, stderr, events, executions, puts, responses };
}

/** Listens on loopback until the test is over; returns `host:port`. */
async function serve(t, answer) {
  const server = http.createServer(async (request, reply) => {
    const { method, url, headers } = request;
    answer({ method, url, headers, body: await text(request) }, reply);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  return `127.0.0.1:${server.address().port}`;
}
