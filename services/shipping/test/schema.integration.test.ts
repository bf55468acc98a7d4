import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import pg from "pg";
import { purgeIdempotencyKeys } from "#platform/database/idempotency.ts";
import { migrateDown, migrateUp } from "#platform/database/migrate.ts";
import { sqlStateOf } from "#platform/database/sql-state.ts";
import { decodeId, newId } from "#platform/id.ts";
import { quietLogger } from "#testing/logger.ts";
import { migrations } from "../src/migrations/list.ts";
import { CallOffRepository } from "../src/packing/call-off.repository.ts";
import { Packing } from "../src/packing/packing.ts";
import type { Warehouse } from "../src/packing/warehouse.ts";
import { OrderReportRepository } from "../src/report/order-report.repository.ts";
import { SagaReportRepository } from "../src/report/saga-report.repository.ts";
import { listQuery, type ShipmentFilter } from "../src/shipment/shipment.repository.ts";
import { SilentShipmentRepository } from "../src/tracking/silent-shipment.repository.ts";
import { at, event, newShipment } from "./examples.ts";
import { request, World } from "./world.ts";

const rows = 20_000;
/** An id in the middle of random ones. */
const middle = "4".padEnd(26, "0");

describe("the shipping database", () => {
  let world: World;
  before(async () => {
    // One connection: what is prepared by one call is seen by the next.
    world = await World.open({ poolMax: 1 });
    await fill();
  });
  after(() => world[Symbol.asyncDispose]());

  it("finds by an index what every statement looks for", async () => {
    await useEverything();
    const { database } = world.test;
    const prepared = await database.query<{ name: string; statement: string }>(
      "select name, statement from pg_prepared_statements where name <> ''",
    );
    assert.ok(prepared.length >= 28, prepared.map(({ name }) => name).join(" "));
    await database.query("set enable_seqscan = off");
    for (const { name, statement } of prepared) {
      const plan = await explain(`explain (generic_plan) ${statement}`);
      assert.doesNotMatch(plan, /Seq Scan on/, `${name}:\n${plan}`);
      assert.equal(unbounded(plan), undefined, `${name}:\n${plan}`);
    }
    await database.query("reset enable_seqscan");
  });

  const lists: [Partial<ShipmentFilter>, index: RegExp][] = [
    [{}, /Index Scan Backward using shipment_pkey/],
    [{ after: middle }, /Index Scan Backward using shipment_pkey .*\n.*Index Cond: \(shipment_id </],
    [{ orderId: newId() }, /shipment_order_location_key/],
    [{ orderId: newId(), after: middle, status: "failed" }, /shipment_order_location_key/],
    [{ status: "delivered" }, /Index Scan Backward using shipment_status_idx .*\n.*Index Cond: \(status = /],
    [{ status: "ready", after: middle }, /shipment_status_idx .*\n.*Index Cond: .*status = .*shipment_id </],
  ];
  for (const [filter, index] of lists) {
    it(`lists by ${Object.keys(filter).join(" and ") || "nothing"} along an index`, async () => {
      const query = listQuery(world.test.database.em(), { ...filter, limit: 51 });
      const plan = await explain(`explain ${query.getFormattedQuery()}`);
      assert.match(plan, index);
      if (!filter.orderId) assert.doesNotMatch(plan, /Sort/);
    });
  }

  it("grants the service what it needs and no more", async () => {
    const forbidden = [
      "delete from shipment",
      "update shipment set lines = '[]'",
      "update shipment set order_id = gen_random_uuid()",
      "update shipment set reported = true",
      "update tracking_event set kind = 'lost'",
      "delete from tracking_event",
      "update idempotency_key set response = ''",
      "create table more ()",
      "drop table shipment",
      "delete from shipment_look",
      "insert into shipment_look default values",
      "update call_off set shipment_id = gen_random_uuid()",
    ];
    for (const sql of forbidden) {
      await assert.rejects(world.test.database.query(sql), (error) => sqlStateOf(error) === "42501", sql);
    }
  });

  it("refuses rows that cannot be", async () => {
    const { orderId } = await world.create();
    const impossible = [
      "update shipment set status = 'arrived'",
      "update shipment set status = 'shipped', tracking_number = null",
      "update shipment set tracking_number = 'T'",
      "update shipment set failed_by = 'weather'",
      "update shipment set told_news = 'stolen'",
    ];
    for (const sql of impossible) {
      const failed = world.test.database.query(
        `${sql} where order_id = (select max(order_id::text)::uuid from shipment)`,
      );
      await assert.rejects(failed, (error) => sqlStateOf(error) === "23514", `${sql} ${orderId}`);
    }
  });

  it("goes down and up again", async () => {
    const { ownerUrl: url } = world.test;
    const names = migrations.map(({ name }) => name);
    assert.deepEqual(await migrateDown({ url, migrations }, names[0]), names.toReversed());
    const left = await world.test.database.query<{ name: string }>(
      `select schemaname || '.' || tablename as name from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`,
    );
    assert.deepEqual(left, [{ name: "public.schema_migration" }]);
    assert.deepEqual(await migrateUp({ url, migrations }), names);
    assert.equal((await world.create()).status, "ready");
  });

  /** Calls everything once, so that every statement is prepared. */
  async function useEverything(): Promise<void> {
    const { database } = world.test;
    const input = newShipment({ sagaId: "saga", address: at("SIM-ERROR") });
    await world.shipments.create([input]);
    await world.shipments.create([input]);
    const warehouse: Pick<Warehouse, "pack"> = { pack: async (orders) => orders.map(() => ({ kind: "packed" })) };
    const packing = { repository: world.packing, warehouse, log: quietLogger(), timeoutMs: 10_000 };
    await new Packing(packing).sweep(new AbortController().signal);
    await world.shipments.backlog();
    const booking = world.openBooking();
    await booking.book(request(input, "ship"));
    await world.expireLeases();
    await booking.sweep();
    await booking.settled();
    const [shipped] = await world.shipments.list({ limit: 1, orderId: input.orderId });
    assert.ok(shipped?.trackingNumber);
    await world.tracking.record([{ trackingNumber: shipped.trackingNumber, event: event("delivered", 1) }]);
    await booking.cancel(request(newShipment(), "cancel"));
    const reports = new SagaReportRepository(database);
    const told = await reports.claimDue(1_000, 10);
    await reports.defer(told);
    await reports.taken(told);
    const news = new OrderReportRepository(database);
    await world.create({ reported: true });
    const untold = await news.claimDue(1_000, 10);
    assert.equal(untold.length, 1);
    await news.defer(untold);
    await news.close(untold.map((shipment) => ({ shipment, refusal: "" })));
    await news.backlog();
    await world.bookings.markAwaited([input.orderId]);
    const silent = new SilentShipmentRepository(database, { silentMs: 0, overdueMs: 0 });
    await silent.find({ orderId: "", limit: 10 });
    await silent.find({ orderId: input.orderId, limit: 10 });
    await silent.noteLook();
    await silent.lookAge();
    const callOffs = new CallOffRepository(database);
    await database.query("insert into call_off (shipment_id) select shipment_id from shipment where order_id = $1", [
      decodeId(input.orderId),
    ]);
    const calledOff = await callOffs.claimDue(1_000, 1_000, 10);
    assert.equal(calledOff.length, 1);
    await callOffs.defer(calledOff);
    await callOffs.backlog();
    await callOffs.close(calledOff);
    await purgeIdempotencyKeys(database, 60_000);
  }

  async function explain(sql: string): Promise<string> {
    const lines = await world.test.database.query<{ "QUERY PLAN": string }>(sql);
    return lines.map((line) => line["QUERY PLAN"]).join("\n");
  }

  async function fill(): Promise<void> {
    const client = new pg.Client({ connectionString: world.test.adminUrl });
    await client.connect();
    await client.query(`insert into shipment (shipment_id, order_id, location_id, status, lines, address, saga_id, reported)
      select gen_random_uuid(), gen_random_uuid(), 'BER-1', (array['preparing', 'ready', 'failed', 'cancelled'])[1 + i % 4],
        '[]', '{}', '', false from generate_series(1, ${rows}) as i`);
    await client.query(`insert into tracking_event (shipment_id, event_id, kind, event_time, place)
      select shipment_id, '1', 'in_transit', now(), '' from shipment`);
    await client.query(`insert into idempotency_key (method, request_id, fingerprint, response)
      select 'any', shipment_id, '', '' from shipment`);
    await client.query("analyze");
    await client.end();
  }
});

/** An index that is read from end to end is no better than the table. */
function unbounded(plan: string): string | undefined {
  const lines = plan.split("\n");
  return lines.find(
    (line, index) => /Index (Only )?Scan/.test(line) && !/(Index|Recheck) Cond|Order By/.test(lines[index + 1] ?? ""),
  );
}
