import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import { after, before, beforeEach, describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { Registry } from "prom-client";
import { AuditRepository } from "#platform/audit/audit.repository.ts";
import type { AuditEntry } from "#platform/audit/audit-entry.ts";
import { AuditPublisher } from "#platform/audit/audit-publisher.ts";
import { AuditStream } from "#platform/audit/audit-stream.ts";
import { LogOutput } from "#platform/log/log-output.ts";
import { auditEntry, auditedDatabase, readAuditLog, writeAuditEvents } from "#testing/audit-log.ts";
import { quietLogger } from "#testing/logger.ts";
import { startEmbedded, type TestDatabase } from "#testing/postgres.ts";
import { until } from "#testing/until.ts";

let test: TestDatabase;
before(async () => {
  // A server of its own: what is open in any database of a server holds the publication back.
  test = await auditedDatabase(await startEmbedded(["fsync=off"]));
});
after(() => test[Symbol.asyncDispose]());

interface Line {
  readonly "event.id": string;
  readonly "event.action": string;
  readonly "audit.subject": string;
}

/** Keeps the lines that it takes. */
function collect(lines: Line[]): Writable {
  return new Writable({
    write: (chunk, _encoding, done) => {
      for (const line of String(chunk).trimEnd().split("\n")) lines.push(JSON.parse(line) as Line);
      done();
    },
  });
}

const quiet = quietLogger();

function publisher(stream: Writable, given: { batch?: number; timeoutMs?: number; everyMs?: number } = {}) {
  const { timeoutMs = 5_000, ...rest } = given;
  const registry = new Registry();
  const repository = new AuditRepository(test.database);
  const audit = new AuditStream({ service: "platform", format: "json", stream, timeoutMs });
  return { publisher: new AuditPublisher({ repository, stream: audit, registry, log: quiet, ...rest }), registry };
}

async function publishAll(given: AuditPublisher): Promise<number> {
  let count = 0;
  for (;;) {
    const published = await given.publish();
    if (published === 0) return count;
    count += published;
  }
}

const entries = (count: number, name: string): AuditEntry[] =>
  Array.from({ length: count }, (_, index) => auditEntry({ subject: `${name}-${index}` }));

beforeEach(async () => {
  await publishAll(publisher(collect([])).publisher);
});

describe("the publication of the audit log", () => {
  it("shows each event once, in batches, in the order of the list that was written", async () => {
    await writeAuditEvents(test.database, entries(25, "list"));
    const lines: Line[] = [];
    const { publisher: one, registry } = publisher(collect(lines), { batch: 10 });
    assert.equal(await one.publish(), 10);
    const lag = registry.getSingleMetric("audit_publish_lag_seconds");
    assert.ok(((await lag?.get())?.values[0]?.value ?? 0) > 0);
    assert.equal(await publishAll(one), 15);
    assert.deepEqual(
      lines.map((line) => line["audit.subject"]),
      Array.from({ length: 25 }, (_, index) => `list-${index}`),
    );
    assert.equal((await lag?.get())?.values[0]?.value, 0);
    const counted = (await registry.getSingleMetric("audit_events_total")?.get())?.values;
    assert.deepEqual(
      counted?.map(({ value, labels }) => [value, labels.action]),
      [[25, "payment.captured"]],
    );
  });

  it("waits for a transaction that began before what is committed, and then shows it first", async () => {
    const lines: Line[] = [];
    const { publisher: one } = publisher(collect(lines));
    await test.database.transaction(async (tx) => {
      await writeAuditEvents(tx, entries(1, "early"));
      await writeAuditEvents(test.database, entries(1, "late"));
      assert.equal(await one.publish(), 0);
    });
    assert.equal(await one.publish(), 2);
    assert.deepEqual(
      lines.map((line) => line["audit.subject"]),
      ["early-0", "late-0"],
    );
  });

  it("leaves out what was rolled back", async () => {
    const failed = test.database.transaction(async (tx) => {
      await writeAuditEvents(tx, entries(3, "undone"));
      throw new Error("the effect failed");
    });
    await assert.rejects(failed, /the effect failed/);
    assert.equal(await publisher(collect([])).publisher.publish(), 0);
  });

  it("two replicas show every event once, in order, while many write", async (context) => {
    const lines: Line[] = [];
    const before = (await readAuditLog(test.database)).length;
    const replicas = [1, 2].map(() => publisher(collect(lines), { batch: 7, everyMs: 1 }).publisher);
    for (const replica of replicas) replica.start();
    context.after(() => Promise.all(replicas.map((replica) => replica.stop())));
    const writers = Array.from({ length: 8 }, async (_, writer) => {
      for (let round = 0; round < 15; round += 1) {
        await writeAuditEvents(test.database, entries(3, `${writer}-${round}`));
      }
    });
    await Promise.all(writers);
    await until(() => lines.length >= 8 * 15 * 3, "all events are published", { deadlineMs: 20_000 });
    const log = (await readAuditLog(test.database)).slice(before);
    assert.deepEqual(
      lines.map((line) => line["event.id"]),
      log.map(({ eventId }) => eventId),
    );
  });

  it("shows again what a process had written when it was killed before noting so, under the same ids", async () => {
    await writeAuditEvents(test.database, entries(5, "killed"));
    const script = fileURLToPath(import.meta.resolve("./audit-process.ts"));
    const child = spawn(process.execPath, [script, test.url], { stdio: ["ignore", "pipe", "inherit"] });
    const ended = once(child, "exit");
    const seen: Line[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      seen.push(JSON.parse(line) as Line);
      if (seen.length === 5) child.kill("SIGKILL");
    }
    await ended;
    const lines: Line[] = [];
    const { publisher: one } = publisher(collect(lines));
    await until(async () => (await one.publish()) === 5, "five events are published", { deadlineMs: 20_000 });
    assert.deepEqual(lines, seen);
    assert.equal(await one.publish(), 0);
  });

  it("does not go on before the stream has taken the lines", async () => {
    await writeAuditEvents(test.database, entries(2, "slow"));
    const stuck = new Writable({ write: () => undefined });
    const { publisher: waits } = publisher(stuck, { timeoutMs: 50 });
    await assert.rejects(waits.publish(), /took nothing/);
    const waiting = stuck.writableLength;
    await assert.rejects(waits.publish(), /still waits/);
    assert.equal(stuck.writableLength, waiting);
    const broken = new Writable({ write: (_chunk, _encoding, done) => done(new Error("gone")) });
    broken.on("error", () => undefined);
    await assert.rejects(publisher(broken).publisher.publish(), /gone/);
    await assert.rejects(publisher(new LogOutput(openSync("/dev/null", "r"))).publisher.publish(), /nobody reads/);
    assert.equal(await publisher(collect([])).publisher.publish(), 2);
  });

  it("begins anew when the log was restored into a server whose transactions have lower numbers", async () => {
    await writeAuditEvents(test.database, entries(1, "restored"));
    await test.database.query("update audit_cursor set transaction = '999999999999'");
    const { publisher: one } = publisher(collect([]), { batch: 10_000 });
    assert.equal(await one.publish(), (await readAuditLog(test.database)).length);
    assert.equal(await one.publish(), 0);
  });
});
