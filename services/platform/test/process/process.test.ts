// How a process of a service starts, stops and fails.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { test } from "node:test";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { ConformanceService, ErrorKind } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { openChannel } from "#platform/grpc/channel.ts";
import { GrpcTransport } from "#platform/grpc/transport.ts";
import { listenOn } from "#platform/listen.ts";
import { until } from "#testing/until.ts";
import { testEnvironment } from "../faces/conformance.ts";
import { connect, Fixture } from "./fixture.ts";

test("whoever reads the log may go away: calls are served as before", async () => {
  await using fixture = new Fixture({ LOG_LEVEL: "debug" });
  using connected = await connect(fixture);
  fixture.child.stdout?.destroy();
  fixture.child.stderr?.destroy();
  for (let call = 0; call < 50; call += 1) await connected.client.echo({});
  assert.ok(
    await connected.client.echo({ error: ErrorKind.INTERNAL }).then(null, (error) => error.code === Code.Internal),
  );
  const metrics = `http://127.0.0.1:${connected.ports["server.http.port"]}/metrics`;
  const dropped = /^log_lines_dropped_total\S* ([1-9]\d*)$/m;
  await until(async () => dropped.test(await (await fetch(metrics)).text()), "lines are counted as dropped");
  fixture.child.kill("SIGTERM");
  assert.equal(await fixture.exit, 0);
});

test("whoever reads the warnings of Node may go away", async () => {
  await using fixture = new Fixture();
  using connected = await connect(fixture);
  fixture.child.stderr?.destroy();
  for (let warning = 0; warning < 3; warning += 1) {
    fixture.child.kill("SIGWINCH");
    await until(() => messages(fixture).filter((each) => each === "warned").length > warning, "Node has warned");
    await connected.client.echo({});
  }
  fixture.child.kill("SIGTERM");
  assert.equal(await fixture.exit, 0);
  assert.deepEqual(
    fixture.lines.filter((line) => JSON.parse(line)["log.level"] === "error"),
    [],
  );
});

function messages({ lines }: Fixture): unknown[] {
  return lines.map((line) => JSON.parse(line).message);
}

/** The error of a call to a port where nobody should listen. */
async function refusal(port: unknown): Promise<unknown> {
  const channel = openChannel(`127.0.0.1:${port}`, 1e6);
  const client = createClient(ConformanceService, new GrpcTransport(channel, { defaultTimeoutMs: 10_000 }));
  try {
    return await client.echo({}).catch((error: unknown) => error);
  } finally {
    channel.close();
  }
}

test("SIGTERM: calls in flight finish, new ones are refused, the process ends with 0", async () => {
  await using fixture = new Fixture({ DRAIN_TIMEOUT_MS: "60000" });
  using connected = await connect(fixture);
  const { client, ports } = connected;
  const draining = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  async function* numbers() {
    yield { number: 40 };
    begun.resolve();
    await draining.promise;
    yield { number: 2 };
  }
  const inFlight = client.sum(numbers());
  await begun.promise;
  // The answer of a later call on the same connection: the stream has arrived as well.
  await client.echo({});
  fixture.child.kill("SIGTERM");
  await fixture.line("SIGTERM: draining");
  // The line is written first, the listeners are closed next.
  const health = `http://127.0.0.1:${ports["server.http.port"]}/healthz`;
  await until(
    () =>
      fetch(health).then(
        () => false,
        (error: unknown) => error instanceof TypeError,
      ),
    "the HTTP port is closed",
  );
  const refused = await refusal(ports["server.grpc.port"]);
  assert.ok(refused instanceof ConnectError);
  assert.equal(refused.code, Code.Unavailable);
  draining.resolve();
  assert.equal((await inFlight).sum, 42n);
  assert.equal(await fixture.exit, 0);
  const messages = fixture.lines.map((line) => JSON.parse(line).message);
  assert.deepEqual(messages.slice(-2), ["background work stopped", "stopped"]);
});

test("a stream that follows changes is sent elsewhere", async () => {
  await using fixture = new Fixture({ DRAIN_TIMEOUT_MS: "400" });
  using connected = await connect(fixture);
  const received: number[] = [];
  const follow = async () => {
    for await (const { number } of connected.client.count({ count: 1, hold: "a" })) received.push(number);
  };
  const followed = follow().catch((error: unknown) => error);
  await connected.client.observe({ held: "a" });
  fixture.child.kill("SIGTERM");
  const error = await followed;
  assert.ok(error instanceof ConnectError);
  assert.equal(error.code, Code.Unavailable);
  assert.equal(error.findDetails(RetryInfoSchema).length, 1);
  assert.deepEqual(received, [1]);
  assert.equal(await fixture.exit, 0);
});

test("a second signal ends the process at once", async () => {
  await using fixture = new Fixture();
  using connected = await connect(fixture);
  const held = Promise.allSettled([connected.client.echo({ hold: "a", stubborn: true })]);
  await connected.client.observe({ held: "a" });
  fixture.child.kill("SIGTERM");
  await fixture.line("SIGTERM: draining");
  const begin = performance.now();
  fixture.child.kill("SIGTERM");
  assert.notEqual(await fixture.exit, 0);
  assert.ok(performance.now() - begin < Number(testEnvironment.DRAIN_TIMEOUT_MS) / 2);
  await held;
});

test("a call that does not end holds the process no longer than the drain timeout", async () => {
  await using fixture = new Fixture({ DRAIN_TIMEOUT_MS: "200" });
  using connected = await connect(fixture);
  const held = Promise.allSettled([connected.client.echo({ hold: "a", stubborn: true })]);
  await connected.client.observe({ held: "a" });
  fixture.child.kill("SIGINT");
  assert.equal(await fixture.exit, 0);
  await held;
});

test("every bad variable is named at once, without its value", async () => {
  await using fixture = new Fixture({ GRPC_PORT: "seventy", PAGE_TOKEN_SECRET: "hunter2", HTTP_PORT: "" });
  assert.equal(await fixture.exit, 1);
  for (const name of ["GRPC_PORT", "PAGE_TOKEN_SECRET", "HTTP_PORT: is not set"])
    assert.ok(fixture.errors.includes(name));
  assert.ok(!/seventy|hunter2|at file:/.test(fixture.errors), fixture.errors);
});

test("a port in use is one clear sentence", async () => {
  const taken = createServer();
  const port = await listenOn(taken, "127.0.0.1", 0);
  for (const [name, what] of [
    ["GRPC_PORT", "gRPC"],
    ["HTTP_PORT", "HTTP"],
  ] as const) {
    await using fixture = new Fixture({ [name]: String(port) });
    assert.equal(await fixture.exit, 1);
    const sentence = `fixture: cannot listen for ${what} on 127.0.0.1:${port}: another process already listens there\n`;
    assert.equal(fixture.errors, sentence);
  }
  taken.close();
});

test("an error that nothing handles is logged and ends the process", async () => {
  await using fixture = new Fixture();
  await fixture.line("listening");
  fixture.child.kill("SIGHUP");
  assert.equal(await fixture.exit, 1);
  const last = JSON.parse(fixture.lines.at(-1) ?? "{}");
  assert.equal(last["log.level"], "error");
  assert.match(last.error.stack_trace, /nobody foresaw this/);
});

test("an unknown command is refused", async () => {
  await using fixture = new Fixture({}, ["dance"]);
  assert.equal(await fixture.exit, 1);
  assert.match(fixture.errors, /^fixture: unknown command "dance"/);
});
