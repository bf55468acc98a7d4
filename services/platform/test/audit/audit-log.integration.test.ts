import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { after, before, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type Client, createClient, createRouterTransport } from "@connectrpc/connect";
import pg from "pg";
import { Registry } from "prom-client";
import { AuditService, ListAuditEventsRequestSchema } from "#gen/shop/audit/v1/audit_service_pb.js";
import { type AuditFilter, auditListStatement } from "#platform/audit/audit.repository.ts";
import { AuditApi } from "#platform/audit/audit-api.ts";
import { auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { AuditTrail } from "#platform/audit/audit-trail.ts";
import { runInContext } from "#platform/context.ts";
import { sqlStateOf } from "#platform/database/sql-state.ts";
import { decodeId, newId } from "#platform/id.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import { validationInterceptor } from "#platform/interceptors/validation.ts";
import { createLogger } from "#platform/log/logger.ts";
import { PageTokens } from "#platform/page-token.ts";
import { auditEntry, auditedDatabase, readAuditLog, writeAuditEvents } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { pageTokenSecret } from "#testing/secret.ts";

let test: TestDatabase;
let trail: AuditTrail;
let audit: Client<typeof AuditService>;
before(async () => {
  test = await auditedDatabase();
  const { logger } = createLogger({ name: "platform", level: "error" });
  const config = { PAGE_TOKEN_SECRET: pageTokenSecret };
  trail = new AuditTrail({
    service: "platform",
    database: test.database,
    registry: new Registry(),
    logger,
    output: new PassThrough().resume(),
    config,
  });
  const interceptors = [errorInterceptor(), validationInterceptor([AuditService])];
  audit = createClient(
    AuditService,
    createRouterTransport((router) => trail.registration.route(router), { router: { interceptors } }),
  );
});
after(() => test[Symbol.asyncDispose]());

describe("the audit log", () => {
  it("has what the statement did and who wanted it, and nothing that it did not do", async () => {
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const context = { actor: "u-1", requestId: "call", traceId };
    const origin = runInContext(context, () => auditOrigin("order:capture"));
    const orderId = newId();
    const entries = ["done", "not done"].map((subject) => auditEntry({ subject, orderId, origin }));
    const join = "join (values (0, 'authorized')) as m(n, before) on m.n = a.n";
    const sql = insertAuditEvents("$1", { join, details: "a.details || jsonb_build_object('from', m.before)" });
    const begun = Date.now();
    await test.database.query(sql, [auditEvents(entries)]);
    const [event, ...others] = await readAuditLog(test.database);
    assert.deepEqual(others, []);
    assert.ok(event);
    const { eventId, time, ...rest } = event;
    assert.equal(eventId.length, 26);
    assert.ok(Math.abs(time.getTime() - begun) < 10_000);
    assert.deepEqual(rest, {
      ...{ action: "payment.captured", orderId, subject: "done", details: { from: "authorized" } },
      ...{ actor: "u-1", requestId: "order:capture", traceId },
    });
  });

  it("takes what a caller says of itself only when it is harmless", async () => {
    const context = { actor: "ada@example.com", requestId: "4111 1111 1111 1111", traceId: "no trace" };
    const origins = [
      runInContext(context, () => auditOrigin()),
      runInContext({ actor: `\0${"a".repeat(500)}` }, () => auditOrigin(`${"b".repeat(199)}😀`)),
      auditOrigin(undefined, "service:platform"),
      auditOrigin(),
    ];
    assert.deepEqual(origins[0], { actor: "[e-mail]", requestId: "[card number]", traceId: "" });
    assert.equal(origins[1]?.actor, `?${"a".repeat(199)}`);
    assert.equal(origins[1]?.requestId, `${"b".repeat(199)}\ufffd`);
    assert.equal(origins[2]?.actor, "service:platform");
    assert.equal(origins[3]?.actor, "anonymous");
    await writeAuditEvents(
      test.database,
      origins.map((origin) => auditEntry({ origin })),
    );
  });

  it("cannot be changed by the service, nor can what the database says about an event", async () => {
    const known = "event_id, action, subject, details, actor, request_id";
    const values = "gen_random_uuid(), 'a.b', '', '{}', '', ''";
    const forbidden = [
      "update audit_event set actor = 'somebody else'",
      "update audit_event set details = '{}'",
      "delete from audit_event",
      "truncate audit_event",
      "drop table audit_event",
      "alter table audit_event disable trigger all",
      `insert into audit_event (${known}, time) values (${values}, now() - interval '1 day')`,
      `insert into audit_event (${known}, transaction) values (${values}, '1')`,
      "delete from audit_cursor",
      "insert into audit_cursor (transaction, event_id) values ('0', gen_random_uuid())",
    ];
    for (const sql of forbidden) {
      await assert.rejects(test.database.query(sql), (error) => sqlStateOf(error) === "42501", sql);
    }
    await test.database.query(`insert into audit_event (${known}) values (${values})`);
  });

  it("refuses texts that are longer than they may be", async () => {
    const long = [
      auditEntry({ action: "a".repeat(65) }),
      auditEntry({ subject: "s".repeat(201) }),
      auditEntry({ details: { much: "x".repeat(5_000) } }),
    ];
    for (const entry of long) {
      const written = writeAuditEvents(test.database, [entry]);
      await assert.rejects(written, (error) => sqlStateOf(error) === "23514");
    }
  });
});

describe("ListAuditEvents", () => {
  const orderId = newId();
  const origin = { actor: "u-7", requestId: "r-7", traceId: "" };
  before(async () => {
    for (let part = 0; part < 5; part += 1) {
      const details = { part: String(part) };
      const action = part % 2 === 0 ? "stock.reserved" : "stock.released";
      await writeAuditEvents(test.database, [auditEntry({ orderId, subject: `SKU-${part}@main`, details, action })]);
    }
    await writeAuditEvents(test.database, [auditEntry({ origin, action: "stock.adjusted" })]);
  });
  const parts = (events: readonly { details: Record<string, string> }[]) => events.map(({ details }) => details.part);

  it("shows the newest first, page by page", async () => {
    const seen: (string | undefined)[] = [];
    let pageToken = "";
    do {
      const page = await audit.listAuditEvents({ orderId, pageSize: 2, pageToken });
      assert.ok(page.events.length <= 2);
      seen.push(...parts(page.events));
      pageToken = page.nextPageToken;
    } while (pageToken);
    assert.deepEqual(seen, ["4", "3", "2", "1", "0"]);
    const { nextPageToken } = await audit.listAuditEvents({ orderId, pageSize: 2 });
    await assert.rejects(audit.listAuditEvents({ pageToken: nextPageToken }), /page token/);
  });

  it("shows what was asked for", async () => {
    assert.deepEqual(parts((await audit.listAuditEvents({ subject: "SKU-3@main" })).events), ["3"]);
    const released = await audit.listAuditEvents({ action: "stock.released", orderId });
    assert.deepEqual(parts(released.events), ["3", "1"]);
    const { events } = await audit.listAuditEvents({ actor: "u-7" });
    assert.deepEqual(
      events.map(({ action, requestId }) => [action, requestId]),
      [["stock.adjusted", "r-7"]],
    );
    const [third] = (await audit.listAuditEvents({ subject: "SKU-3@main" })).events;
    const from = await audit.listAuditEvents({ orderId, eventTimeFrom: third?.eventTime });
    const until = await audit.listAuditEvents({ orderId, eventTimeUntil: third?.eventTime });
    assert.deepEqual([...parts(from.events), ...parts(until.events)], ["4", "3", "2", "1", "0"]);
    await assert.rejects(audit.listAuditEvents({ orderId: "x" }), /order_id/);
    await assert.rejects(audit.listAuditEvents({ action: "everything" }), /action/);
  });

  it("writes down who read what, before he has it, and nothing that should not be stored", async () => {
    const reader = createClient(
      AuditService,
      createRouterTransport((router) => trail.registration.route(router), {
        router: {
          interceptors: [(next) => (request) => runInContext({ actor: "u-8", requestId: "r-8" }, () => next(request))],
        },
      }),
    );
    const subject = "4111 1111 1111 1111 of ada@example.com";
    const eventTimeFrom = timestampFromMs(Date.UTC(2026, 0, 2));
    const { events } = await reader.listAuditEvents({ orderId, pageSize: 3 });
    await reader.listAuditEvents({ subject, actor: "u-7", action: "stock.adjusted", eventTimeFrom });
    assert.ok(events.every(({ action }) => action === "stock.reserved" || action === "stock.released"));
    const reads = (await readAuditLog(test.database)).filter(({ actor }) => actor === "u-8");
    assert.deepEqual(
      reads.map(({ action, orderId: of, requestId, details }) => ({ action, of, requestId, details })),
      [
        { order_id: orderId, events: "3" },
        {
          ...{ subject: "[card number] of [e-mail]", action: "stock.adjusted", actor: "u-7" },
          ...{ from: "2026-01-02T00:00:00.000Z", events: "0" },
        },
      ].map((details) => ({ action: "audit.read", of: "", requestId: "r-8", details })),
    );
  });

  it("answers nobody of whom it cannot write that down", async () => {
    const repository = { list: async () => [], noteRead: () => Promise.reject(new Error("the disk is full")) };
    const api = new AuditApi(repository, new PageTokens(pageTokenSecret));
    await assert.rejects(api.listAuditEvents(create(ListAuditEventsRequestSchema)), /disk is full/);
  });

  it("goes by an index, whatever is asked for", async () => {
    const busy = newId();
    await test.database.query(
      `insert into audit_event (event_id, action, order_id, subject, details, actor, request_id)
       select gen_random_uuid(), 'a.b' || i % 20, case i % 20 when 0 then $1::uuid else gen_random_uuid() end,
         'p' || i % 20, '{}', case when i % 200 = 7 then 'u-7' else 'service:worker' end, '' from generate_series(1, 20000) as i`,
      [decodeId(busy)],
    );
    const owner = new pg.Client({ connectionString: test.ownerUrl });
    await owner.connect();
    await owner.query("analyze audit_event");
    await owner.end();
    const after = { time: new Date(), eventId: newId() };
    const place = String.raw`ROW\("?time"?, event_id\) <`;
    const cases: [AuditFilter, index: string, condition: string][] = [
      [{}, "audit_event_pkey", place],
      [{ from: new Date(0), until: new Date() }, "audit_event_pkey", `"?time"? >= .*"?time"? < .*${place}`],
      [{ orderId: busy }, "audit_event_order_idx", `order_id = .*${place}`],
      [{ subject: "p7" }, "audit_event_subject_idx", `subject = .*${place}`],
      [{ action: "a.b7" }, "audit_event_action_idx", `action = .*${place}`],
      [{ actor: "u-7" }, "audit_event_actor_idx", `actor = .*${place}`],
      [{ actor: "service:worker" }, "audit_event_pkey", place],
      [{ actor: "u-7", from: new Date(0) }, "audit_event_actor_idx", `actor = .*"?time"? >= .*${place}`],
    ];
    for (const [filter, index, condition] of cases) {
      const { text, values } = auditListStatement(filter, { limit: 51, after });
      const rows = await test.database.query<{ "QUERY PLAN": string }>(`explain ${text}`, values);
      const plan = rows.map((row) => row["QUERY PLAN"]).join("\n");
      assert.match(plan, new RegExp(`Index Scan Backward using ${index}`), plan);
      assert.match(plan, new RegExp(`Index Cond: .*${condition}`), plan);
      assert.doesNotMatch(plan, /Sort/);
    }
  });
});
