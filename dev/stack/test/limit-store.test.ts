// Limits that replicas share by a real server: what they give together, and that they go on when it is killed or frozen in mid-load.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { Redis } from "ioredis";
import { z } from "zod";
import { ConformanceService } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import type { Quota } from "#platform/limit-settings.ts";
import { Budget } from "#platform/limits/budget.ts";
import { ValkeyLedger } from "#platform/limits/valkey-ledger.ts";
import { Secret } from "#platform/secret.ts";
import { killed } from "#testing/killed.ts";
import { until } from "#testing/until.ts";
import { type RunningConformance, startConformance } from "../../../services/platform/test/faces/conformance.ts";
import { tool } from "../../tools/tool.ts";
import { freePorts } from "../free-ports.ts";

const secret = (text: string) => new Secret(text, z.string());
const hour = 3_600_000;

/** A server that can be killed, frozen and started again. */
class Store {
  readonly #folder: string;
  readonly #port: number;
  #child: ChildProcess | undefined;

  private constructor(folder: string, port: number) {
    this.#folder = folder;
    this.#port = port;
  }

  static async start(): Promise<Store> {
    const [port] = (await freePorts()).spare;
    const store = new Store(await mkdtemp(join(tmpdir(), "ordermesh-store-")), port as number);
    await store.run();
    return store;
  }

  get url(): string {
    return `redis://127.0.0.1:${this.#port}`;
  }

  async run(...more: string[]): Promise<void> {
    const settings = [
      "--port",
      String(this.#port),
      "--bind",
      "127.0.0.1",
      "--save",
      "",
      "--dir",
      this.#folder,
      ...more,
    ];
    const child = spawn(await tool("redis-server"), settings, { stdio: ["ignore", "pipe", "inherit"] });
    this.#child = child;
    let said = "";
    child.stdout?.on("data", (chunk) => (said += chunk));
    await until(() => said.includes("Ready to accept connections"), "the server is up");
  }

  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  kill(): Promise<void> {
    return killed(this.#child);
  }

  async stop(): Promise<void> {
    await this.kill();
    await rm(this.#folder, { recursive: true, force: true });
  }
}

const ledgers: ValkeyLedger[] = [];

/** One replica of a service. */
async function replica(url: string, quota: Quota, more: { password?: string; service?: string } = {}) {
  const lines: string[] = [];
  const say = (line: string) => void lines.push(line);
  const ledger = new ValkeyLedger({
    url: secret(url),
    password: more.password === undefined ? undefined : secret(more.password),
    service: more.service ?? "conformance",
    logger: { info: say, warn: say } as never,
  });
  ledgers.push(ledger);
  const budget = new Budget(quota, { name: "write", ledger, replicas: 2 });
  const take = (count: number, who = "ada") =>
    Array.from({ length: count }, () => budget.take(who)).filter(({ taken }) => taken).length;
  return { ledger, budget, take, lines };
}

describe("limits that replicas share", () => {
  let store: Store;
  before(async () => {
    store = await Store.start();
  });
  after(async () => {
    await Promise.all(ledgers.map((ledger) => ledger[Symbol.asyncDispose]()));
    await store.stop();
  });

  let services = 0;
  /** Two replicas of a service of which nobody has heard. */
  async function two(quota: Quota) {
    services += 1;
    const service = `service-${services}`;
    const [one, other] = await Promise.all([
      replica(store.url, quota, { service }),
      replica(store.url, quota, { service }),
    ]);
    await until(() => one.ledger.isThere && other.ledger.isThere, "both are connected");
    return { one, other };
  }

  test("are one budget, whoever is asked", async () => {
    const { one, other } = await two({ calls: 100, windowMs: hour });
    let taken = 0;
    for (let round = 0; round < 200; round += 1) {
      taken += one.take(1) + other.take(1);
      await pause(1);
    }
    // What the other one has not been told of yet may pass besides; alone they would give 200.
    assert.ok(taken >= 100 && taken < 150, String(taken));
    assert.equal(one.take(1, "bob"), 1);
  });

  test("have paid back what both gave before they knew of each other", async () => {
    const { one, other } = await two({ calls: 100, windowMs: hour });
    assert.deepEqual([one.take(150), other.take(150)], [100, 100]);
    const owed = () => [one, other].map(({ budget }) => budget.take("ada").wholeMs);
    await until(() => Math.max(...owed()) > 1.99 * hour, "who told last knows that two quotas are owed");
    assert.ok(Math.min(...owed()) > hour, String(owed()));
  });

  test("cost a caller who calls seldom no question", async () => {
    const { one } = await two({ calls: 100, windowMs: 2 });
    const redis = new Redis(store.url);
    const asked = async () =>
      Number(/calls=(\d+)/.exec((await redis.info("commandstats")).match(/evalsha:.*/)?.[0] ?? "")?.[1] ?? 0);
    const before = await asked();
    for (let round = 0; round < 50; round += 1) {
      one.take(1);
      await pause(4);
    }
    assert.equal(await asked(), before);
    redis.disconnect();
  });

  test("go on in parts when the server is killed, and are shared again when it is back; each is said once", async () => {
    const { one, other } = await two({ calls: 100, windowMs: hour });
    one.take(20);
    await store.kill();
    await until(() => {
      one.take(5, "eve");
      return !one.ledger.isThere;
    }, "it is noticed");
    assert.equal(one.take(100, "bob"), 50, "a half is the part of each of two");
    await store.run();
    await until(() => one.ledger.isThere && other.ledger.isThere, "it is back");
    assert.deepEqual(
      one.lines.map((line) => line.slice(0, 26)),
      ["limits are kept by each re", "limits are shared between "],
    );
  });

  test("go on when it is frozen, and when it answers late nobody counts that twice", async () => {
    const { one, other } = await two({ calls: 100, windowMs: hour });
    store.signal("SIGSTOP");
    const slowest: number[] = [];
    await until(() => {
      const begin = performance.now();
      one.take(6);
      slowest.push(performance.now() - begin);
      return !one.ledger.isThere;
    }, "it is noticed");
    assert.ok(Math.max(...slowest) < 50, `${Math.max(...slowest)} ms`);
    store.signal("SIGCONT");
    await until(() => one.ledger.isThere, "it is back");
    assert.ok(other.take(100) >= 50);
  });

  test("need the password of a server that has one", async () => {
    await store.kill();
    await store.run("--requirepass", "open sesame");
    const quota = { calls: 10, windowMs: hour };
    const wrong = await replica(store.url, quota, { password: "sesame" });
    const right = await replica(store.url, quota, { password: "open sesame" });
    await until(() => right.ledger.isThere && wrong.lines.length > 0, "one is in, the other not");
    assert.equal(wrong.ledger.isThere, false);
    assert.ok(!wrong.lines.join().includes("sesame"), wrong.lines.join());
    await store.kill();
    await store.run();
  });
});

describe("two replicas of a service with a shared limit", () => {
  let store: Store;
  let replicas: RunningConformance[] = [];
  before(async () => {
    store = await Store.start();
    const env = {
      RATE_LIMIT_STORE_URL: store.url,
      RATE_LIMIT_WRITE: "200/3600",
      RATE_LIMIT_REPLICAS: "2",
      TRUSTED_PROXIES: "127.0.0.1",
      LOG_LEVEL: "error",
    };
    replicas = await Promise.all([startConformance(env), startConformance(env)]);
    for (const { httpPort } of replicas) await until(async () => !(await apart(httpPort)), "connected");
  });
  after(async () => {
    await Promise.all(replicas.map((running) => running.drain()));
    await store.stop();
  });

  async function apart(port: number): Promise<boolean> {
    const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const [, value] = /^rpc_server_limits_apart\{.*\} (\d)$/m.exec(text) ?? [];
    assert.ok(value, "the metric is there");
    return value === "1";
  }

  async function call(index: number, client: string): Promise<number> {
    const headers = { "content-type": "application/json", "x-forwarded-for": client };
    const url = `http://127.0.0.1:${replicas[index % 2]?.httpPort}/${ConformanceService.typeName}/Echo`;
    const response = await fetch(url, { method: "POST", headers, body: "{}", signal: AbortSignal.timeout(5_000) });
    await response.arrayBuffer();
    return response.status;
  }

  test("let a caller through as often as one of them would", async () => {
    const passed: number[] = [];
    for (let index = 0; index < 300; index += 1) passed.push(await call(index, "198.51.100.1"));
    const count = passed.filter((status) => status === 200).length;
    assert.ok(count >= 200 && count < 270, String(count));
    assert.equal(await call(0, "198.51.100.2"), 200);
  });

  test("answer as fast as before while the store is frozen, and with nothing but answers", async () => {
    const statuses = new Set<number>();
    let slowest = 0;
    const load = async (client: string) => {
      for (let index = 0; index < 60; index += 1) {
        const begin = performance.now();
        statuses.add(await call(index, client));
        slowest = Math.max(slowest, performance.now() - begin);
        if (index === 20 && client.endsWith("11")) store.signal("SIGSTOP");
      }
    };
    await Promise.all(["198.51.100.11", "198.51.100.12", "198.51.100.13"].map(load));
    const { httpPort } = replicas[0] as RunningConformance;
    await until(async () => apart(httpPort), "it is seen");
    store.signal("SIGCONT");
    await until(async () => !(await apart(httpPort)), "it is back");
    assert.deepEqual([...statuses], [200]);
    assert.ok(slowest < 1_000, `${slowest} ms`);
  });
});
