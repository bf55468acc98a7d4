// Calls are admitted by class, whatever the protocol, and however they end their places are free again.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { ConformanceService, ErrorKind } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { until } from "#testing/until.ts";
import { failure } from "./calls.ts";
import { type RunningConformance, startConformance } from "./conformance.ts";
import { type Face, faces } from "./faces.ts";

const limits = { caller: 2, saga: 1, operator: 1, waiting: 3 };
const environment = {
  MAX_INFLIGHT: String(limits.caller),
  MAX_INFLIGHT_SAGA: String(limits.saga),
  MAX_INFLIGHT_OPERATOR: String(limits.operator),
  MAX_WAITING: String(limits.waiting),
};

/** The values of a metric of the service by class. */
async function byClass(service: RunningConformance, metric: string): Promise<Record<string, number>> {
  const text = await (await fetch(`http://127.0.0.1:${service.httpPort}/metrics`)).text();
  const lines = text.matchAll(new RegExp(`^${metric}\\{.*class="(\\w+)".*\\} (\\d+)$`, "gm"));
  return Object.fromEntries([...lines].map(([, name, value]) => [name, Number(value)]));
}

async function refusedFor(queue: string, call: Promise<unknown>): Promise<void> {
  const error = await failure(call);
  assert.equal(error.code, Code.ResourceExhausted);
  const [info] = error.findDetails(ErrorInfoSchema);
  assert.deepEqual([info?.reason, info?.metadata], ["OVERLOADED", { queue }]);
  assert.equal(error.findDetails(RetryInfoSchema).length, 1);
}

function cases(client: () => Client<typeof ConformanceService>, running: () => RunningConformance): void {
  const inFlight = () => byClass(running(), "rpc_server_in_flight");
  const idle = () =>
    until(async () => Object.values(await inFlight()).every((count) => count === 0), "all places are free");

  /** So many calls that hold; returns what lets them go. */
  async function fill(count: number, rests: boolean): Promise<() => Promise<void>> {
    const holds = Array.from({ length: count }, () => randomUUID());
    const calls: Promise<unknown>[] = [];
    for (const hold of holds) {
      calls.push(client().echo({ hold, rests }));
      await running().implementation.held(hold);
    }
    return async () => {
      for (const hold of holds) running().implementation.release(hold);
      await Promise.all(calls);
    };
  }

  test("callers do not take the places of those who end their waiting", async () => {
    await idle();
    const end = await fill(limits.caller, false);
    await refusedFor("calls", client().echo({}));
    await client().observe({});
    assert.deepEqual(await inFlight(), { caller: limits.caller, saga: 0, operator: 0, waiting: 0 });
    await end();
    await client().echo({});
  });

  test("what ends waiting has a bound as well", async () => {
    await idle();
    const hold = randomUUID();
    const observing = client().observe({ held: hold });
    await until(async () => (await inFlight()).saga === 1, "the first is there");
    await refusedFor("saga", client().observe({}));
    await client().echo({});
    const call = client().echo({ hold });
    await observing;
    await client().observe({ release: hold });
    await call;
  });

  test("callers that wait leave their places to others", async () => {
    await idle();
    const end = await fill(limits.waiting, true);
    assert.deepEqual(await inFlight(), { caller: 0, saga: 0, operator: 0, waiting: limits.waiting });
    const endWorking = await fill(limits.caller, false);
    await end();
    await endWorking();
  });

  test("no more wait than may, streams among them", async () => {
    await idle();
    const before = (await byClass(running(), "rpc_server_refused_total")).waiting ?? 0;
    const end = await fill(limits.waiting - 1, true);
    const stop = new AbortController();
    const hold = randomUUID();
    const stream = readAll(client().count({ count: 1, hold }, { signal: stop.signal }));
    await running().implementation.held(hold);
    await refusedFor("waiting", client().echo({ rests: true }));
    await refusedFor("waiting", readAll(client().count({ count: 1 })));
    await client().echo({});
    stop.abort();
    await failure(stream);
    await end();
    assert.equal((await byClass(running(), "rpc_server_refused_total")).waiting, before + 2);
    await idle();
    await client().echo({ rests: true });
  });

  test("however calls end, all places are free again", async () => {
    await idle();
    const outcomes = Array.from({ length: 400 }, async (_, index) => {
      await pause(Math.random() * 600);
      const leave = new AbortController();
      if (index % 3 === 0) setTimeout(() => leave.abort(), Math.random() * 40);
      const options = {
        signal: leave.signal,
        ...(index % 5 === 0 && { timeoutMs: 1 + Math.random() * 40 }),
      };
      const hold = index % 2 === 0 ? randomUUID() : "";
      if (hold) setTimeout(() => running().implementation.release(hold), Math.random() * 60);
      const error = index % 7 === 0 ? ErrorKind.INTERNAL : ErrorKind.UNSPECIFIED;
      const rests = index % 4 < 2;
      if (index % 11 === 0) return readAll(client().count({ count: 3, hold, error }, options));
      if (index % 13 === 0) return client().observe({}, options);
      return client().echo({ hold, rests, error, stubborn: index % 17 === 0 }, options);
    });
    for (const outcome of await Promise.allSettled(outcomes)) {
      if (outcome.status === "rejected") assert.ok(outcome.reason instanceof ConnectError, String(outcome.reason));
    }
    await idle();
    const end = await fill(limits.waiting, true);
    const endWorking = await fill(limits.caller, false);
    await refusedFor("calls", client().echo({}));
    await end();
    await endWorking();
  });
}

async function readAll(messages: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of messages);
}

for (const face of faces.filter(({ name }) => ["gRPC, our transport", "gRPC-Web", "Connect, JSON"].includes(name))) {
  describe(`admission by ${face.name}`, () => {
    let service: RunningConformance;
    let opened: ReturnType<Face["transport"]>;
    before(async () => {
      service = await startConformance({ ...environment, LOG_LEVEL: "error" });
      opened = face.transport(service);
    });
    after(async () => {
      opened.close();
      await service.drain();
    });
    cases(
      () => createClient(ConformanceService, opened.transport),
      () => service,
    );
  });
}
