import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "#platform/id.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { CarrierClock } from "../src/carrier/carrier-clock.ts";
import { CarrierSimulator } from "../src/carrier/carrier-simulator.ts";
import { migrations } from "../src/migrations/list.ts";
import { WarehouseSimulator } from "../src/warehouse/warehouse-simulator.ts";

const rows = 20_000;

describe("the simulated carrier", () => {
  let outside: TestDatabase;
  let carrier: CarrierSimulator;
  let now = Date.parse("2026-03-01T12:00:00Z");
  before(async () => {
    outside = await testDatabase("simulators", { entities: [], migrations, connection: { poolMax: 1 } });
    carrier = new CarrierSimulator({
      store: outside.database,
      transitMs: 4_000,
      slowMs: 60_000,
      refusedLocations: ["NOWHERE"],
      now: () => now,
    });
  });
  after(() => outside?.[Symbol.asyncDispose]());

  const parcel = (postalCode = "T1", expireMs = 1_000) => ({
    key: newId(),
    locationId: "BER-1",
    postalCode,
    expireTime: new Date(now + expireMs),
  });

  it("decides later about a parcel for which it is slow, and can call it off until then", async () => {
    const [kept, wanted] = [parcel("SIM-SLOW"), parcel("SIM-SLOW")];
    for (const each of [kept, wanted]) assert.deepEqual(await carrier.book(each), { state: "undecided" });
    assert.deepEqual(await carrier.find(kept.key), { state: "undecided" });
    assert.deepEqual(await carrier.cancel(wanted.key), { state: "cancelled" });
    now += 60_000;
    assert.equal((await carrier.find(kept.key)).state, "booked");
    assert.deepEqual(await carrier.find(wanted.key), { state: "cancelled" });
  });

  it("books nothing that comes too late, but for what it knows", async () => {
    const late = parcel("T1", 0);
    assert.deepEqual(await carrier.book(late), { state: "unknown" });
    assert.deepEqual(await carrier.find(late.key), { state: "unknown" });
    const known = parcel();
    const booked = await carrier.book(known);
    assert.deepEqual(await carrier.book({ ...known, expireTime: new Date(0) }), booked);
    const failing = parcel("SIM-ERROR");
    assert.deepEqual(await carrier.book(failing), { state: "undecided" });
    await carrier.book({ ...failing, expireTime: new Date(0) });
    assert.deepEqual(await carrier.find(failing.key), { state: "unknown" }, "it was not booked before");
  });

  it("keeps nothing of what it is asked to call off and does not have", async () => {
    const each = parcel();
    assert.deepEqual(await carrier.cancel(each.key), { state: "unknown" });
    assert.equal((await carrier.book(each)).state, "booked");
  });

  it("finds by an index what every statement looks for", async () => {
    const { database } = outside;
    await database.query(`insert into carrier_parcel (key, state, calls, tracking_number, lost, transit_ms)
      select 'filler-' || i, 'booked', 1, '', false, 1 from generate_series(1, ${rows}) as i`);
    await database.query(`insert into carrier_label (key, tracking_number, slow, make_time)
      select 'filler-' || i, '', false, now() from generate_series(1, ${rows}) as i`);
    await database.query(`insert into warehouse_packing (shipment_id, begin_time, ready_time)
      select gen_random_uuid(), now(), now() from generate_series(1, ${rows}) as i`);
    const each = parcel();
    await carrier.book(each);
    await carrier.turnBack(each.key);
    await carrier.cancel(each.key);
    await carrier.makeLabel(each);
    await carrier.findLabel(each.key);
    await carrier.list({ after: "", limit: 10 });
    await new WarehouseSimulator({ store: database, packingMs: 0 }).pack([each]);
    const clock = { store: database, now: () => now + 120_000 };
    await new CarrierClock({ ...clock, report: () => Promise.reject(new Error("away")) }).sweep();
    await new CarrierClock({ ...clock, report: async () => undefined, now: () => now + 600_000 }).sweep();
    const prepared = await database.query<{ name: string; statement: string }>(
      "select name, statement from pg_prepared_statements where name ~ '^(carrier|warehouse)_'",
    );
    assert.ok(prepared.length >= 11, prepared.map(({ name }) => name).join(" "));
    await database.query("set enable_seqscan = off");
    for (const { name, statement } of prepared) {
      const lines = await database.query<{ "QUERY PLAN": string }>(`explain (generic_plan) ${statement}`);
      const plan = lines.map((line) => line["QUERY PLAN"]).join("\n");
      assert.doesNotMatch(plan, /Seq Scan on/, `${name}:\n${plan}`);
    }
    await database.query("reset enable_seqscan");
  });
});
