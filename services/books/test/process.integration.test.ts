import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { encodeId } from "#platform/id.ts";
import { pushgatewayProgram } from "../../../dev/observers/prometheus.ts";
import { Monitoring } from "../../../dev/observers/test/monitoring.ts";
import { accountedServices } from "../../services.ts";
import { type ServedSimulators, serveSimulators } from "../../simulators/test/served-simulators.ts";
import { databaseVariable } from "../src/config.ts";
import { openWorld, orders, type World } from "./world.ts";

let world: World;
let simulators: ServedSimulators;
let monitoring: Monitoring;
let pushgateway: string;
before(async () => {
  world = await openWorld();
  await world.restore();
  simulators = await serveSimulators(world.databases.simulators.url);
  monitoring = await Monitoring.open();
  const address = await monitoring.address();
  await monitoring.start(await pushgatewayProgram(monitoring.common("pushgateway"), address));
  pushgateway = `http://${address}`;
});
after(async () => {
  await monitoring?.[Symbol.asyncDispose]();
  await simulators?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

interface Ended {
  readonly code: number | null;
  readonly lines: readonly Readonly<Record<string, unknown>>[];
  readonly stderr: string;
}

function environment(): Record<string, string> {
  const urls = accountedServices.map((service) => [databaseVariable(service), world.urls[service]] as const);
  const connectors = { GATEWAY_CONNECTOR_ADDRESS: simulators.address, CARRIER_CONNECTOR_ADDRESS: simulators.address };
  return { ...Object.fromEntries(urls), ...connectors, LOG_FORMAT: "json" };
}

const main = fileURLToPath(import.meta.resolve("../src/main.ts"));

/** Runs the program as the image does. */
async function run(env: Readonly<Record<string, string>>): Promise<Ended> {
  const child = spawn(process.execPath, [main], { env, stdio: ["ignore", "pipe", "pipe"], timeout: 60_000 });
  const ended = once(child, "close");
  const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const [code] = (await ended) as [number | null];
  const lines = stdout.split("\n").filter((line) => line !== "");
  return { code, lines: lines.map((line) => JSON.parse(line) as Ended["lines"][number]), stderr };
}

const messages = ({ lines }: Ended) => lines.map(({ message }) => String(message));
const lastOf = ({ lines }: Ended) => lines.at(-1) ?? {};

/** What the Pushgateway tells Prometheus, by metric and labels of ours. */
async function pushed(): Promise<ReadonlyMap<string, number>> {
  const page = await (await fetch(`${pushgateway}/metrics`)).text();
  const samples = page.matchAll(/^(ordermesh_verify_\w+)\{.*job="verify".*\} (\S+)$/gm);
  return new Map([...samples].map(([, name = "", value]) => [name, Number(value)] as const));
}

describe("the books as a process", { concurrency: false }, () => {
  it("end with 0 when they are in balance, and tell the Pushgateway", async () => {
    const ended = await run({ ...environment(), PUSHGATEWAY_URL: pushgateway });
    assert.equal(ended.code, 0, `${messages(ended).join("\n")}${ended.stderr}`);
    const last = lastOf(ended);
    assert.equal(last.message, "the books are in balance");
    assert.deepEqual([last["service.name"], last["books.findings"], last["orders.count"]], ["books", 0, 1]);
    assert.equal(messages(ended).filter((message) => message.startsWith("in balance: ")).length, last["books.checks"]);
    assert.ok(messages(ended).includes("orders that are pending: due"));
    const metrics = await pushed();
    assert.equal(metrics.get("ordermesh_verify_findings"), 0);
    assert.equal(metrics.get("ordermesh_verify_checks"), last["books.checks"]);
    assert.equal(metrics.get("ordermesh_verify_orders_underway"), 1);
    assert.equal(metrics.get("ordermesh_verify_orders_resting"), 1);
    assert.ok((metrics.get("ordermesh_verify_orders_resting_seconds") ?? 0) >= 600);
    const age = Date.now() / 1_000 - (metrics.get("ordermesh_verify_last_run_timestamp_seconds") ?? 0);
    assert.ok(age < 60, `${age} s`);
  });

  it("end with 1 when they are not, say what is wrong, and tell the Pushgateway", async () => {
    await world.change("payments", "update payment set captured = 900 where payment_id = $1", [orders.delivered.id]);
    const ended = await run({ ...environment(), PUSHGATEWAY_URL: pushgateway });
    await world.restore();
    assert.equal(ended.code, 1, `${messages(ended).join("\n")}${ended.stderr}`);
    assert.equal(lastOf(ended).message, "the books are NOT in balance");
    const wrong = ended.lines.flatMap((line) => (line["books.wrong"] as string[] | undefined) ?? []);
    assert.equal(wrong.length, lastOf(ended)["books.findings"]);
    assert.ok(wrong.some((sentence) => sentence.endsWith("differs from its ledger entries")));
    for (const { "log.level": level, "books.wrong": sentences } of ended.lines)
      if (sentences) assert.equal(level, "error");
    assert.equal((await pushed()).get("ordermesh_verify_findings"), wrong.length);
  });

  it("tell nobody of a part, and say that it is one", async () => {
    const before = await pushed();
    const order = encodeId(orders.delivered.id);
    const env = { ...environment(), PUSHGATEWAY_URL: pushgateway, BOOKS_SINCE: order, BOOKS_UNTIL: order };
    const ended = await run(env);
    assert.equal(ended.code, 0, `${messages(ended).join("\n")}${ended.stderr}`);
    assert.equal(lastOf(ended).message, "the part of the books that was compared is in balance");
    assert.equal(lastOf(ended)["books.orders"], 1);
    assert.deepEqual(await pushed(), before);
  });

  it("end with 2 when the part to compare cannot be understood", async () => {
    const ended = await run({ ...environment(), BOOKS_SINCE: "yesterday" });
    assert.equal(ended.code, 2);
    assert.match(messages(ended).at(-1) ?? "", /^BOOKS_SINCE is an order's id, a time .*, not "yesterday"\.$/);
  });

  it("end with 2 when nobody can be told that they are in balance", async () => {
    const ended = await run({ ...environment(), PUSHGATEWAY_URL: `http://${await monitoring.address()}` });
    assert.equal(ended.code, 2);
    assert.ok(messages(ended).includes("the books are in balance"));
    assert.equal(lastOf(ended).message, "the result could not be pushed to the Pushgateway");
  });

  it("end with 2 when a database is away", async () => {
    const ended = await run({ ...environment(), SHIPPING_DATABASE_URL: "postgres://books@127.0.0.1:1/shipping" });
    assert.equal(ended.code, 2);
    assert.match(messages(ended).at(-1) ?? "", /^The balance of shipping cannot be taken: .*ECONNREFUSED/);
  });

  for (const [variable, what, sentence] of [
    [
      "GATEWAY_CONNECTOR_ADDRESS",
      "the card gateway",
      /^The connector of the card gateway does not say what was done: .*ECONNREFUSED/,
    ],
    [
      "CARRIER_CONNECTOR_ADDRESS",
      "the carrier",
      /^The connector of the carrier does not say what it has: .*ECONNREFUSED/,
    ],
  ] as const) {
    it(`end with 2 when the connector of ${what} is away`, async () => {
      const ended = await run({ ...environment(), [variable]: "127.0.0.1:1" });
      assert.equal(ended.code, 2);
      assert.match(messages(ended).at(-1) ?? "", sentence);
    });
  }

  it("end with 2 when a role may not read what is compared", async () => {
    const url = world.databases.orders.ownerUrl.replace(/\/[^/]*$/, "/postgres");
    const ended = await run({ ...environment(), ORDERS_DATABASE_URL: url });
    assert.equal(ended.code, 2);
    assert.match(messages(ended).at(-1) ?? "", /^The balance of postgres cannot be taken: /);
  });

  it("end with 2 when a database takes too long, and soon when they are told to", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    await once(silent, "listening");
    const { port } = silent.address() as { port: number };
    const env = { ...environment(), ORDERS_DATABASE_URL: `postgres://books@127.0.0.1:${port}/orders` };
    try {
      const late = await run({ ...env, BOOKS_DEADLINE_MS: "200" });
      assert.equal(late.code, 2);
      assert.deepEqual(messages(late), ["the books could not be compared within 200 ms"]);
      const child = spawn(process.execPath, [main], { env, stdio: ["ignore", "pipe", "inherit"], timeout: 60_000 });
      await once(silent, "connection");
      child.kill("SIGTERM");
      assert.match(await text(child.stdout), /SIGTERM: the comparison is given up/);
      assert.equal(child.exitCode ?? (await once(child, "exit"))[0], 2);
    } finally {
      silent.close();
    }
  });

  it("end with 2 and every variable that is missing", async () => {
    const ended = await run({});
    assert.equal(ended.code, 2);
    for (const service of accountedServices)
      assert.match(ended.stderr, new RegExp(`${databaseVariable(service)}: is not set`));
    for (const connector of ["GATEWAY", "CARRIER"])
      assert.match(ended.stderr, new RegExp(`${connector}_CONNECTOR_ADDRESS: is not set`));
  });
});
