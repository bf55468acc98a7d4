import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { SpanKind } from "@opentelemetry/api";
import { runInContext } from "#platform/context.ts";
import { newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import { keepSpans } from "#testing/kept-spans.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { connect, inventoryDatabase, inventoryOn, minute, openReplica, pass, Shop } from "./harness.ts";

/** What the ledger of movements says that the audit log should have: one row for each order, level and change. */
const ledger = `select order_id, sku || '@' || location_id as level,
    case kind when 'adjustment' then 'stock.adjusted' when 'reservation' then 'stock.reserved'
      when 'commit' then 'stock.committed' when 'release' then 'stock.released' else 'stock.expired' end as action,
    case kind when 'adjustment' then on_hand_delta else abs(reserved_delta) end as quantity
  from stock_movement`;
const audit = `select order_id, d.key as level, action, d.value::bigint as quantity
  from audit_event cross join lateral jsonb_each_text(details) as d where action not in ('stock.confirmed', 'stock.low', 'stock.available')`;

describe("the audit log of stock", () => {
  let test: TestDatabase;
  before(async () => {
    test = await inventoryDatabase();
  });
  after(() => test[Symbol.asyncDispose]());

  it("has each effect once, whatever was repeated, refused or raced", async () => {
    const { database } = test;
    const other = await openReplica(test, "other");
    const shops = [new Shop(database), new Shop(other)];
    const shop = shops[0] as Shop;
    await shop.deliver("a", "l1:60", "l2:50");
    await shop.deliver("b", "l1:40");
    const orders = Array.from({ length: 60 }, () => newId());
    /** Everybody asks, with the same id and each twice. */
    const all = (some: string[], ask: (shop: Shop, orderId: string, index: number) => Promise<unknown>) =>
      Promise.allSettled(
        [...some, ...some].flatMap((orderId, index) => shops.map((each) => ask(each, orderId, index % some.length))),
      );
    await all(orders, (each, orderId, index) => each.reserve(index % 3 === 0 ? "a:2 b:3" : "a:3", orderId, orderId));
    for (const kind of ["confirm", "commit", "release"] as const) {
      const some = orders.slice(
        { confirm: 0, commit: 0, release: 10 }[kind],
        { confirm: 20, commit: 8, release: 30 }[kind],
      );
      await all(some, (each, orderId) => each.do({ kind, orderId }, orderId));
    }
    await pass(test.database, 20 * minute);
    await Promise.all([...shops, ...shops].map((each) => each.stock.expire()));
    await all(orders.slice(40, 50), (each, orderId) => each.do({ kind: "confirm", orderId }, orderId));
    await other.close();

    for (const [one, two] of [
      [ledger, audit],
      [audit, ledger],
    ]) {
      assert.deepEqual(await database.query(`${one} except all ${two}`), []);
    }
    const rows = await database.query<{ action: string; events: bigint }>(
      "select action, count(*) as events from audit_event group by action",
    );
    const counts = Object.fromEntries(rows.map(({ action, events }) => [action, Number(events)]));
    for (const action of ["reserved", "confirmed", "committed", "released", "expired", "adjusted"]) {
      assert.ok((counts[`stock.${action}`] ?? 0) > 0, `there is no stock.${action}: ${JSON.stringify(counts)}`);
    }
    const twice = await database.query(
      `select order_id, action from audit_event where order_id is not null and action <> 'stock.reserved'
       group by order_id, action having count(*) > 1`,
    );
    assert.deepEqual(twice, []);
    const [confirmed] = await database.query<{ orders: bigint }>(
      `select count(distinct request_id) as orders from idempotency_key where starts_with(method, 'confirm/')`,
    );
    assert.equal(counts["stock.confirmed"], Number(confirmed?.orders));
  });

  it("says who asked, and that a hold ended by itself was ended by the service", async () => {
    const shop = new Shop(test.database);
    await shop.deliver("c", "l1:9");
    const orderId = newId();
    const traceId = "ab".repeat(16);
    await runInContext({ actor: "user-7", traceId, requestId: "of the call" }, () =>
      shop.reserve("c:2", orderId, "step"),
    );
    await pass(test.database, 20 * minute);
    await shop.stock.expire();
    const events = (await readAuditLog(test.database)).filter((event) => event.orderId === orderId);
    assert.deepEqual(
      events.map(({ action, actor, requestId, traceId: trace, details }) => [action, actor, requestId, trace, details]),
      [
        ["stock.reserved", "user-7", "step", traceId, { "c@l1": "2" }],
        ["stock.expired", "service:inventory", "", "", { "c@l1": "2" }],
      ],
    );
  });

  it("names, for each entry of a batch, the trace of its own order", async () => {
    const spans = await keepSpans();
    try {
      const client = connect(inventoryOn(test.database));
      const orders = [newId(), newId(), newId()];
      const traceIds = ["1", "", "3"].map((digit) => digit.repeat(32));
      const traceparents = traceIds.map((id) => (id ? `00-${id}-b7ad6b7169203331-01` : ""));
      await client.adjustStock({ requestId: "d", sku: "d", locationId: "l1", delta: 2n, reason: "delivery" });
      spans.reset();
      const requests = orders.map((orderId) => ({
        requestId: `${orderId}:reserve`,
        orderId,
        lines: [{ sku: "d", quantity: 1n }],
      }));
      const { outcomes } = await client.batchReserveStock({ requests, traceparents });
      assert.deepEqual(
        outcomes.map(({ outcome }) => outcome.case),
        ["response", "response", "failure"],
      );
      const entries = spans.all().filter(({ name }) => name === "ReserveStock");
      assert.deepEqual(
        entries.map((span) => [
          span.kind,
          span.spanContext().traceId,
          span.attributes["order.id"],
          span.attributes["ordermesh.outcome"],
        ]),
        [
          [SpanKind.SERVER, traceIds[0], orders[0], "done"],
          [SpanKind.SERVER, traceIds[2], orders[2], "refused"],
        ],
      );
      const log = await readAuditLog(test.database);
      const traced = log.find((event) => event.orderId === orders[0]);
      assert.deepEqual([traced?.traceId, traced?.requestId], [traceIds[0], `${orders[0]}:reserve`]);
      assert.notEqual(log.find((event) => event.orderId === orders[1])?.traceId, traceIds[0]);
      assert.equal(
        log.find((event) => event.orderId === orders[2]),
        undefined,
      );
    } finally {
      await spans.stop();
    }
  });
});
