import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import pg from "pg";
import { Registry } from "prom-client";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import type { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { AllocationStatus, type Reservation, StockMovementKind } from "#gen/shop/inventory/v1/stock_pb.js";
import { newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import type { InventoryParts } from "../src/inventory.ts";
import { connect, inventoryDatabase, inventoryOn, minute, pass } from "./harness.ts";

describe("inventory service", () => {
  let test: TestDatabase;
  let inventory: InventoryParts;
  let client: Client<typeof InventoryService>;
  const registry = new Registry();
  let requests = 0;
  before(async () => {
    test = await inventoryDatabase();
    inventory = inventoryOn(test.database, { registry });
    client = connect(inventory);
    for (const sku of ["mug", "pen", "cap"]) await deliver(sku, "berlin", 10n);
    await deliver("mug", "paris", 10n);
  });
  after(() => test[Symbol.asyncDispose]());

  const requestId = () => {
    requests += 1;
    return `request-${requests}`;
  };
  const deliver = (sku: string, locationId: string, delta: bigint) =>
    client.adjustStock({ requestId: requestId(), sku, locationId, delta, reason: "delivery" });
  const lines = (...items: [string, bigint][]) => items.map(([sku, quantity]) => ({ sku, quantity }));

  it("takes a reservation from hold to shelf", async () => {
    const orderId = newId();
    const key = { requestId: requestId(), orderId, lines: lines(["pen", 1n], ["pen", 1n]) };
    const { reservation } = await client.reserveStock(key);
    assert.deepEqual(
      reservation?.allocations.map((part) => [part.sku, part.locationId, part.quantity, part.status]),
      [["pen", "berlin", 2n, AllocationStatus.HELD]],
    );
    const holdMs = Number(reservation?.expireTime?.seconds ?? 0n) * 1_000 - Date.now();
    assert.ok(holdMs > 14 * minute && holdMs <= 15 * minute);
    assert.deepEqual((await client.reserveStock(key)).reservation, reservation);
    const confirmed = await client.confirmReservation({ requestId: requestId(), orderId });
    assert.equal(confirmed.reservation?.expireTime, undefined);
    await client.commitReservation({ requestId: requestId(), orderId, locationId: "berlin" });
    const released = await client.releaseReservation({ requestId: requestId(), orderId });
    assert.equal(released.reservation?.allocations[0]?.status, AllocationStatus.COMMITTED);
    const { levels, available } = await client.getStockLevel({ sku: "pen" });
    assert.deepEqual([levels[0]?.onHand, levels[0]?.reserved, levels[0]?.available, available], [8n, 0n, 8n, 8n]);
  });

  it("says why it refuses, with code, reason and facts", async () => {
    const cases: [call: () => Promise<unknown>, code: Code, reason: string, metadata: Record<string, string>][] = [
      [
        () => reserve(["cap", 11n]),
        Code.FailedPrecondition,
        "OUT_OF_STOCK",
        { sku: "cap", requested: "11", available: "10" },
      ],
      [() => reserve(["hat", 1n]), Code.NotFound, "UNKNOWN_SKU", { sku: "hat" }],
      [() => client.getStockLevel({ sku: "hat" }), Code.NotFound, "UNKNOWN_SKU", { sku: "hat" }],
      [
        () => deliver("cap", "berlin", -11n),
        Code.FailedPrecondition,
        "BELOW_RESERVED",
        { on_hand: "10", reserved: "0" },
      ],
      [() => client.listStockLevels({ pageToken: "made-up" }), Code.InvalidArgument, "INVALID_PAGE_TOKEN", {}],
    ];
    for (const [call, code, reason, metadata] of cases) {
      const error = await call().then(() => assert.fail(reason), ConnectError.from);
      const info = error.findDetails(ErrorInfoSchema)[0];
      assert.deepEqual([error.code, info?.reason], [code, reason]);
      for (const [name, value] of Object.entries(metadata)) assert.equal(info?.metadata[name], value);
    }
    await assert.rejects(client.reserveStock({ requestId: "", orderId: "x" }), { code: Code.InvalidArgument });
  });

  it("answers a batch with an outcome for each, in order", async () => {
    const orders = [newId(), newId(), newId()] as const;
    const request = (orderId: string, ...items: [string, bigint][]) => ({
      requestId: requestId(),
      orderId,
      lines: lines(...items),
    });
    const reserved = await client.batchReserveStock({
      requests: [request(orders[0], ["cap", 1n]), request(orders[1], ["hat", 1n]), request(orders[2], ["cap", 99n])],
    });
    const outcomes = reserved.outcomes.map(({ outcome }) =>
      outcome.case === "failure" ? `${outcome.value.code} ${outcome.value.reason}` : outcome.case,
    );
    assert.deepEqual(outcomes, ["response", "5 UNKNOWN_SKU", "9 OUT_OF_STOCK"]);
    const keys = orders.map((orderId) => ({ orderId }));
    const all = () => keys.map((key) => ({ ...key, requestId: requestId() }));
    const cases = (result: { outcomes: { outcome: { case: string | undefined } }[] }) =>
      result.outcomes.map(({ outcome }) => outcome.case);
    assert.deepEqual(cases(await client.batchConfirmReservations({ requests: all() })), [
      "response",
      "failure",
      "failure",
    ]);
    assert.deepEqual(cases(await client.batchCommitReservations({ requests: all() })), [
      "response",
      "failure",
      "failure",
    ]);
    assert.deepEqual(cases(await client.batchReleaseReservations({ requests: all() })), [
      "response",
      "response",
      "response",
    ]);
  });

  it("holds as long as it is told", async () => {
    const timeToLive = { seconds: 60n, nanos: 0 };
    const request = { requestId: requestId(), orderId: newId(), lines: lines(["cap", 1n]), timeToLive };
    const { reservation } = await client.reserveStock(request);
    assert.ok(Number(reservation?.expireTime?.seconds ?? 0n) * 1_000 - Date.now() <= minute);
  });

  it("gives back what is held beyond its time when it is told to, once", async () => {
    await deliver("told", "A", 300n);
    const hold = { lines: lines(["told", 1n]), timeToLive: { seconds: 20n, nanos: 0 } };
    const held = Array.from({ length: 300 }, () => ({ requestId: requestId(), orderId: newId(), ...hold }));
    await Promise.all(held.map((request) => client.reserveStock(request)));
    const told = async () => {
      const { orders, more } = await client.expireHolds({});
      return [orders, more];
    };
    assert.deepEqual(await told(), [0, false], "nothing is over yet");
    await pass(test.database, 30_000);
    assert.deepEqual(
      [await told(), await told(), await told()],
      [
        [256, true],
        [44, false],
        [0, false],
      ],
    );
    const { levels } = await client.getStockLevel({ sku: "told" });
    assert.deepEqual([levels[0]?.onHand, levels[0]?.reserved], [300n, 0n]);
    await forget("told");
  });

  it("says where a late order's stock comes from, and nothing of it leaks when it is packed or dropped", async () => {
    for (const drops of [false, true]) {
      const sku = drops ? "late-dropped" : "late-packed";
      const [first, second] = [newId(), newId()];
      const hold = { lines: lines([sku, 1n]), timeToLive: { seconds: 1n, nanos: 0 } };
      const confirm = async (orderId: string) =>
        partsOf(await client.confirmReservation({ requestId: `${orderId}:confirm`, orderId }));
      const end = (orderId: string, locationId: string) => {
        const request = { requestId: `${orderId}:end:${locationId}`, orderId, locationId };
        return drops ? client.releaseReservation(request) : client.commitReservation(request);
      };
      await deliver(sku, "A", 1n);
      await deliver(sku, "B", 1n);
      const held = await client.reserveStock({ requestId: `${first}:reserve`, orderId: first, ...hold });
      assert.deepEqual(partsOf(held), ["A:1 HELD"]);
      await pass(test.database, 3_000);
      assert.equal(await inventory.stock.expire(), 1);
      const other = await client.reserveStock({ requestId: `${second}:reserve`, orderId: second, ...hold });
      assert.deepEqual(partsOf(other), ["A:1 HELD"]);
      assert.deepEqual(await confirm(second), ["A:1 CONFIRMED"]);

      assert.deepEqual(await confirm(first), ["B:1 CONFIRMED"], "the answer says that it comes from elsewhere");
      assert.deepEqual(await confirm(first), ["B:1 CONFIRMED"], "also when it is repeated");
      const error = await end(first, "A").then(() => assert.fail("A is not the first order's"), ConnectError.from);
      const info = error.findDetails(ErrorInfoSchema)[0];
      assert.deepEqual([error.code, info?.reason], [Code.FailedPrecondition, "RESERVATION_PART_NOT_FOUND"]);
      assert.deepEqual(info?.metadata, { order_id: first, location_id: "A" });

      await end(second, "A");
      await end(first, "B");
      await end(first, "B");
      const { levels } = await client.getStockLevel({ sku });
      const left = drops ? 1n : 0n;
      assert.deepEqual(
        levels.map(({ locationId, onHand, reserved }) => [locationId, onHand, reserved]),
        [
          ["A", left, 0n],
          ["B", left, 0n],
        ],
      );
      // The lists of levels below are not about these.
      await forget(sku);
    }
  });

  it("refuses an order of more parcels than an order can have, before anything is promised", async () => {
    for (let index = 0; index <= 100; index += 1) await deliver("spread", `l${index}`, 1n);
    const many = await reserve(["spread", 101n]).then(() => assert.fail("101 locations"), ConnectError.from);
    const info = many.findDetails(ErrorInfoSchema)[0];
    assert.deepEqual([many.code, info?.reason], [Code.FailedPrecondition, "TOO_MANY_LOCATIONS"]);
    assert.deepEqual(info?.metadata, { locations: "101", parts: "101" });
    const { levels } = await client.getStockLevel({ sku: "spread" });
    assert.ok(levels.every((level) => level.reserved === 0n));
    const { reservation } = await reserve(["spread", 100n]);
    assert.equal(reservation?.allocations.length, 100);
    await forget("spread");
  });

  it("lists levels and movements in pages that inserts do not shift", async () => {
    const seen: string[] = [];
    let pageToken = "";
    do {
      const page = await client.listStockLevels({ pageSize: 2, pageToken });
      seen.push(...page.levels.map((level) => `${level.sku}@${level.locationId}`));
      if (pageToken === "") await deliver("axe", "berlin", 1n);
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.deepEqual(seen, ["cap@berlin", "mug@berlin", "mug@paris", "pen@berlin"]);
    const paris = await client.listStockLevels({ locationId: "paris" });
    assert.deepEqual([paris.levels.length, paris.nextPageToken], [1, ""]);
    const first = await client.listStockMovements({ sku: "pen", pageSize: 1 });
    await deliver("pen", "berlin", 1n);
    const rest = await client.listStockMovements({ sku: "pen", pageToken: first.nextPageToken });
    const kinds = [...first.movements, ...rest.movements].map(({ kind }) => kind);
    assert.deepEqual(kinds, [StockMovementKind.COMMIT, StockMovementKind.RESERVATION, StockMovementKind.ADJUSTMENT]);
    await assert.rejects(client.listStockMovements({ sku: "mug", pageToken: first.nextPageToken }), {
      code: Code.InvalidArgument,
    });
  });

  it("lists what an order did", async () => {
    const orderId = newId();
    await client.reserveStock({ requestId: requestId(), orderId, lines: lines(["mug", 11n]) });
    const { movements } = await client.listStockMovements({ orderId });
    assert.deepEqual(
      movements.map((movement) => [movement.orderId, movement.locationId, movement.reservedDelta]).sort(),
      [
        [orderId, "berlin", 10n],
        [orderId, "paris", 1n],
      ],
    );
  });

  it("counts commands by outcome", async () => {
    const text = await registry.metrics();
    assert.match(text, /inventory_stock_commands_total\{kind="reserve",outcome="done"\} \d/);
    assert.match(text, /inventory_stock_commands_total\{kind="reserve",outcome="UNKNOWN_SKU"\} 2/);
  });

  /** The other tests list all levels. */
  async function forget(sku: string): Promise<void> {
    const admin = new pg.Client({ connectionString: test.adminUrl });
    await admin.connect();
    await admin.query("delete from stock_level where sku = $1", [sku]);
    await admin.end();
  }

  function reserve(...items: [string, bigint][]) {
    return client.reserveStock({ requestId: requestId(), orderId: newId(), lines: lines(...items) });
  }
});

/** Where the parts of an answer are and how they stand: `A:1 HELD`. */
function partsOf({ reservation }: { reservation?: Reservation | undefined }): string[] {
  const parts = reservation?.allocations ?? [];
  return parts.map(({ locationId, quantity, status }) => `${locationId}:${quantity} ${AllocationStatus[status]}`);
}
