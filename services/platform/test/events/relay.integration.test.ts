// What subscribers are told, by a real NATS from a real PostgreSQL: while replicas are killed, and while the broker is away.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { fromBinary } from "@bufbuild/protobuf";
import { StockEventSchema } from "#gen/shop/events/v1/stock_event_pb.js";
import { auditEntry, auditedDatabase, readAuditLog, writeAuditEvents } from "#testing/audit-log.ts";
import { startEmbedded, type TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";
import { NatsServer } from "../../../../dev/testing/nats.ts";
import { removeStream, replica, type Stored, storedIn } from "./setup.ts";

// Otherwise what is counted is what nobody has collected yet.
setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

let test: TestDatabase;
let nats: NatsServer;
before(async () => {
  [test, nats] = await Promise.all([startEmbedded(["fsync=off"]).then(auditedDatabase), NatsServer.start()]);
});
after(async () => {
  await test[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await removeStream(nats.url);
  await test.database.query("update event_cursor set sequence = (select coalesce(max(sequence), 0) from audit_event)");
});

/** Events of some things, each of which counts up. */
async function write(count: number, things = 5, first = 0): Promise<void> {
  const entries = Array.from({ length: count }, (_, index) => {
    const value = String(Math.floor((first + index) / things));
    return auditEntry({ subject: `thing-${(first + index) % things}`, details: { value } });
  });
  await writeAuditEvents(test.database, entries);
}

const valuesOf = (stored: readonly Stored[], thing: string) =>
  stored
    .filter(({ headers }) => headers["ce-subject"] === thing)
    .map(({ data }) => Number(JSON.parse(Buffer.from(data).toString()).parts[0].quantity ?? 0));

/** Each id once, and of each thing one value after the other. */
function assertInOrder(stored: readonly Stored[], count: number, things = 5): void {
  assert.equal(stored.length, count);
  assert.equal(new Set(stored.map(({ headers }) => headers["ce-id"])).size, count);
  for (let thing = 0; thing < things; thing += 1) {
    const values = valuesOf(stored, `thing-${thing}`);
    assert.deepEqual(
      values,
      values.map((_, index) => index),
    );
  }
}

describe("the relay of events", () => {
  it("says what happened as CloudEvents, in JSON, and nothing of what is internal", async () => {
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const origin = { actor: "ada", requestId: "r", traceId };
    const subject = "Kaffee grün %@a";
    await writeAuditEvents(test.database, [
      auditEntry({ subject, details: { value: "7" }, origin }),
      auditEntry({ action: "audit.read" }),
    ]);
    const { relay, broker, figure } = replica(test.database, nats.url);
    assert.equal(await relay.publish(), 2);
    await broker.close();
    const [event, ...more] = await storedIn(nats.url);
    assert.deepEqual(more, []);
    const [row] = (await readAuditLog(test.database)).filter((each) => each.subject === subject);
    assert.ok(event && row);
    assert.equal(event.subject, "ordermesh.platform.payment.captured");
    const { "ce-traceparent": traceparent = "", ...rest } = event.headers;
    assert.match(traceparent, new RegExp(`^00-${traceId}-[0-9a-f]{16}-01$`));
    assert.deepEqual(rest, {
      "Nats-Msg-Id": row.eventId,
      "Nats-Expected-Stream": "ordermesh",
      "ce-specversion": "1.0",
      "ce-id": row.eventId,
      "ce-source": "/ordermesh/platform",
      "ce-type": "shop.platform.payment.captured.v1",
      "ce-subject": "Kaffee%20gr%C3%BCn%20%25@a",
      "ce-time": row.time.toISOString(),
      "ce-datacontenttype": "application/json",
      "ce-dataschema": "#shop.events.v1.StockEvent",
    });
    assert.deepEqual(JSON.parse(Buffer.from(event.data).toString()), { parts: [{ sku: subject, quantity: "7" }] });
    assert.equal(await figure("events_published_total"), 1);
    assert.equal(await figure("events_lag_seconds"), 0);
  });

  it("says it in Protobuf where that is wanted", async () => {
    await write(1);
    const { relay, broker } = replica(test.database, nats.url, { format: "protobuf" });
    await relay.publish();
    await broker.close();
    const [event] = await storedIn(nats.url);
    assert.equal(event?.headers["ce-datacontenttype"], "application/protobuf");
    assert.equal(fromBinary(StockEventSchema, event?.data ?? new Uint8Array()).parts[0]?.sku, "thing-0");
  });

  it("keeps the order of each thing in batches that hold many of its events", async () => {
    await write(300, 3);
    const { relay, broker } = replica(test.database, nats.url, { batch: 50 });
    while ((await relay.publish()) > 0);
    await broker.close();
    assertInOrder(await storedIn(nats.url), 300, 3);
  });

  it("stores once what a process had told when it was killed before noting so", async () => {
    await write(20);
    const script = fileURLToPath(import.meta.resolve("./relay-process.ts"));
    const child = spawn(process.execPath, [script, test.url, nats.url], { stdio: ["ignore", "pipe", "inherit"] });
    const [said] = (await once(child.stdout, "data")) as [Buffer];
    assert.equal(said.toString().trim(), "20");
    const other = replica(test.database, nats.url);
    assert.equal(await other.relay.publish(), 0, "another replica does not tell while that one does");
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    await until(async () => (await other.relay.publish()) === 20, "another replica goes on");
    await other.broker.close();
    assertInOrder(await storedIn(nats.url), 20);
  });

  it("two replicas tell each event once, in order, while many write and one of them ends", async (context) => {
    const replicas = [1, 2].map(() => replica(test.database, nats.url, { batch: 40, everyMs: 5 }));
    for (const { relay } of replicas) relay.start();
    context.after(() => Promise.all(replicas.map(({ relay }) => relay.stop())));
    for (let round = 0; round < 30; round += 1) {
      await write(20, 5, round * 20);
      if (round === 15) await replicas[0]?.relay.stop();
    }
    await until(async () => (await storedIn(nats.url)).length >= 600, "all are told", {
      deadlineMs: 20_000,
      everyMs: 200,
    });
    assertInOrder(await storedIn(nats.url), 600);
  });

  it("loses and reorders nothing while the broker is killed and comes back, and says that it lags", async (context) => {
    const { relay, figure } = replica(test.database, nats.url, { batch: 40, everyMs: 20 });
    relay.start();
    context.after(() => relay.stop());
    await write(100);
    await until(async () => (await figure("events_published_total")) >= 100, "the first are told");
    await nats.kill();
    for (let round = 0; round < 10; round += 1) await write(40, 5, 100 + round * 40);
    await until(async () => (await figure("events_lag_seconds")) > 0.5, "it lags");
    await nats.run();
    await until(async () => (await storedIn(nats.url)).length >= 500, "all are told", {
      deadlineMs: 30_000,
      everyMs: 200,
    });
    assertInOrder(await storedIn(nats.url), 500);
    await until(async () => (await figure("events_lag_seconds")) === 0, "it does not lag any more");
  });

  it("reorders nothing when the broker freezes in the midst of a batch", async (context) => {
    const { relay } = replica(test.database, nats.url, { batch: 400, everyMs: 20 });
    await write(2_000);
    relay.start();
    context.after(() => relay.stop());
    await until(async () => (await storedIn(nats.url)).length > 100, "some are told");
    nats.signal("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    nats.signal("SIGCONT");
    await until(async () => (await storedIn(nats.url)).length >= 2_000, "all are told", {
      deadlineMs: 30_000,
      everyMs: 200,
    });
    assertInOrder(await storedIn(nats.url), 2_000);
  });

  it("does not grow while the broker is away for long", async () => {
    await write(5_000);
    await nats.kill();
    const { relay } = replica(test.database, nats.url, { batch: 1_000 });
    const fail = async () => assert.rejects(relay.publish());
    for (let round = 0; round < 20; round += 1) await fail();
    collect();
    const before = process.memoryUsage().heapUsed;
    for (let round = 0; round < 200; round += 1) await fail();
    collect();
    const grown = process.memoryUsage().heapUsed - before;
    await nats.run();
    assert.ok(grown < 4_000_000, `${grown} bytes`);
  });

  it("holds back what comes after an event that the broker does not take, and nothing else", async () => {
    const { broker } = replica(test.database, nats.url);
    const addressed = (subject: string, id: string, bytes = 10) => ({
      address: "ordermesh.platform.payment.captured",
      event: {
        attributes: {
          specversion: "1.0",
          id,
          source: "/ordermesh/platform",
          type: "shop.platform.payment.captured.v1",
          subject,
          time: new Date(0).toISOString(),
          datacontenttype: "application/json",
          dataschema: "#shop.events.v1.StockEvent",
        } as const,
        data: Buffer.alloc(bytes, 32),
      },
    });
    const large = addressed("a", "a2", 2_000_000);
    const list = [addressed("a", "a1"), large, addressed("a", "a3"), addressed("b", "b1"), addressed("b", "b2")];
    const { arrived, error } = await broker.deliver(list);
    assert.equal(arrived, 1);
    assert.match(String(error), /payload/i);
    const ids = async () => (await storedIn(nats.url)).map(({ headers }) => headers["ce-id"]);
    assert.deepEqual(await ids(), ["a1", "b1", "b2"]);
    const mended = list.map((each) => (each === large ? addressed("a", "a2") : each));
    assert.equal((await broker.deliver(mended)).arrived, 5);
    assert.deepEqual(await ids(), ["a1", "b1", "b2", "a2", "a3"]);
    await broker.close();
  });

  it("says what is wrong with a stream that does not keep its events", async () => {
    const { broker, relay } = replica(test.database, nats.url);
    await write(1);
    const { connect } = await import("@nats-io/transport-node");
    const { jetstreamManager } = await import("@nats-io/jetstream");
    const connection = await connect({ servers: nats.url });
    const { streams } = await jetstreamManager(connection);
    await streams.add({ name: "ordermesh", subjects: ["elsewhere.>"] });
    await assert.rejects(relay.publish(), /the stream ordermesh does not keep ordermesh\.>: add it/);
    await streams.update("ordermesh", { subjects: ["ordermesh.>"] });
    assert.equal(await relay.publish(), 1);
    await connection.close();
    await broker.close();
  });
});
