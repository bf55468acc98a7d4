import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { type Service, services } from "../../../services/services.ts";
import { untilSeen } from "../../observers/jaeger-query.ts";
import type { Observer } from "../../stack/layout.ts";
import { TracedStack } from "./traces-stack.ts";

/** Orders of one measurement, and how many callers place them. */
const orders = 120;
const callers = 16;
/** Machines are busy: a loss that slows orders down does so every time, by the time-outs that it waits for. */
const attempts = 3;
const worstShare = 0.5;
/** Few spans may wait, and not for long, so that a short load drops some. */
const queue = { OTEL_BSP_MAX_QUEUE_SIZE: "256", OTEL_BSP_MAX_EXPORT_BATCH_SIZE: "64", OTEL_BSP_EXPORT_TIMEOUT: "2000" };
/** Orders are placed here as fast as they are taken, which is faster than they are confirmed: none is refused for that. */
const patient = { ORDER_CONFIRM_WITHIN_MS: "3600000" };
/** What a process may have more than before: garbage that was not collected yet, not what piles up. */
const mayGrowBytes = 96 * 1024 * 1024;

/** The value of a process's metric, summed over the series with these labels. */
async function metric(traced: TracedStack, service: Service, series: RegExp): Promise<number> {
  const text = await (await fetch(`${traced.stack.httpUrl(service)}/metrics`)).text();
  const values = text.split("\n").filter((line) => series.test(line));
  assert.notEqual(values.length, 0, `${service} has no ${series}`);
  return values.reduce((sum, line) => sum + Number(line.replace(/ # .*/, "").split(" ").at(-1)), 0);
}

/** Places orders as fast as they are answered; returns how many a second. A call that fails once fails the test. */
async function load(traced: TracedStack): Promise<number> {
  let left = orders;
  const start = performance.now();
  const caller = async () => {
    while (left-- > 0) await traced.placeOnce({ requestId: randomUUID() });
  };
  await Promise.all(Array.from({ length: callers }, caller));
  return orders / ((performance.now() - start) / 1000);
}

/** Whether the span of an order reaches Jaeger. Those of the first orders may find the queue still full. */
async function arrives(traced: TracedStack): Promise<boolean> {
  for (let order = 0; order < 10; order += 1) {
    const orderId = await traced.place({ requestId: randomUUID() });
    const seen = untilSeen(
      () => traced.jaeger.orderTrace(orderId),
      ({ spans }) => spans.some(({ operationName }) => operationName.endsWith("CreateOrder")),
      3_000,
    );
    if (await seen.catch(() => undefined)) return true;
  }
  return false;
}

function residentBytes(traced: TracedStack, service: Service): number {
  const status = readFileSync(`/proc/${traced.stack.pid(service)}/status`, "utf8");
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}

describe("orders while what watches them is lost", () => {
  let traced: TracedStack;
  before(async () => {
    traced = await TracedStack.start({
      environment: { all: queue, orders: patient },
      besides: ["prometheus", "elasticsearch", "filebeat"],
      restart: false,
    });
    // Compiled code and full pools first.
    await load(traced);
  });
  after(() => traced?.stop());

  /** Whether orders are as fast without it, give or take the machine. */
  async function isAsFast(lose: () => void, regain: () => Promise<void> | void): Promise<string | undefined> {
    let said = "";
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const before = await load(traced);
      lose();
      const without = await load(traced);
      await regain();
      said = `${without.toFixed(0)} orders/s without, ${before.toFixed(0)} before`;
      if (without > before * worstShare) return undefined;
    }
    return said;
  }

  const stopped = (observer: Observer) =>
    [() => traced.stack.kill(observer, "SIGSTOP"), () => traced.stack.kill(observer, "SIGCONT")] as const;
  const killed = (observer: Observer) =>
    [() => traced.stack.kill(observer, "SIGKILL"), () => traced.stack.restart(observer)] as const;

  for (const [name, [lose, regain]] of [
    ["Jaeger does not answer", stopped("jaeger")],
    ["Jaeger is gone", killed("jaeger")],
    ["Elasticsearch does not answer", stopped("elasticsearch")],
    ["Elasticsearch is gone", killed("elasticsearch")],
    ["Prometheus is gone", killed("prometheus")],
  ] as const) {
    test(`are as fast when ${name}`, async (context) => {
      const slower = await isAsFast(lose, regain);
      if (slower) context.diagnostic(slower);
      assert.equal(slower, undefined);
    });
  }

  test("memory stays bounded, what could not be sent is counted, and spans arrive again afterwards", async (context) => {
    const ours = services.filter((service) => service !== "worker");
    const before = new Map(ours.map((service) => [service, residentBytes(traced, service)]));
    traced.stack.kill("jaeger", "SIGSTOP");
    for (let round = 0; round < 5; round += 1) await load(traced);
    for (const service of ours) {
      const waiting = await metric(traced, service, /^telemetry_span_queue_size\{.*jaeger/);
      assert.ok(waiting <= 256, `${waiting} spans wait in ${service}`);
      const grown = residentBytes(traced, service) - (before.get(service) ?? 0);
      context.diagnostic(`${service}: ${(grown / 1024 / 1024).toFixed(1)} MB more, ${waiting} spans wait`);
      assert.ok(grown < mayGrowBytes, `${service} has grown by ${grown} bytes`);
    }
    const lost = await metric(traced, "orders", /^telemetry_spans_total\{.*outcome="(dropped|failed)"/);
    assert.ok(lost > 0, "nothing is counted as lost");
    traced.stack.kill("jaeger", "SIGCONT");
    assert.ok(await arrives(traced), "no span arrives");
  });
});
