import assert from "node:assert/strict";
import { test } from "node:test";
import { Code, ConnectError, createClient, createRouterTransport } from "@connectrpc/connect";
import { WarehouseConnectorService } from "#gen/ordermesh/connectors/v1/warehouse_connector_service_pb.js";
import { BreakerOpenError } from "#platform/grpc/breaker.ts";
import { newId } from "#platform/id.ts";
import { quietLogger } from "#testing/logger.ts";
import { shippingConfig, warehouseTogether } from "../src/config.ts";
import { ConnectorWarehouse } from "../src/connector/connector-warehouse.ts";
import { address } from "./examples.ts";

test("a warehouse behind its connector says how far each shipment is", async () => {
  const results = [
    { case: "packed", value: {} },
    { case: "packing", value: { askAfter: { seconds: 30n } } },
    { case: "packing", value: { askAfter: { seconds: -30n } } },
    { case: "packing", value: {} },
    { case: undefined },
    { case: "failed", value: { code: "TOO_LARGE", message: "it does not fit" } },
  ] as const;
  const seen: unknown[] = [];
  const transport = createRouterTransport(({ service }) =>
    service(WarehouseConnectorService, {
      packShipments: ({ shipments }) => {
        seen.push(...shipments);
        return { outcomes: shipments.map((_, index) => ({ result: results[index] ?? { case: undefined } })) };
      },
    }),
  );
  const connector = createClient(WarehouseConnectorService, transport);
  const warehouse = new ConnectorWarehouse({ connector, timeoutMs: 1_000, log: quietLogger() });
  const orders = results.map(() => ({
    shipmentId: newId(),
    orderId: newId(),
    locationId: "BER-1",
    lines: [{ sku: "MUG", quantity: 2 }],
    address,
  }));
  assert.deepEqual(await warehouse.pack(orders, AbortSignal.timeout(5_000)), [
    { kind: "packed" },
    { kind: "packing", askAgainMs: 30_000 },
    { kind: "packing", askAgainMs: 0 },
    { kind: "packing", askAgainMs: 1_000 },
    { kind: "packing", askAgainMs: 1_000 },
    { kind: "failed", code: "TOO_LARGE", message: "it does not fit" },
  ]);
  const [first] = orders;
  assert.partialDeepStrictEqual(seen[0], {
    key: first?.shipmentId,
    orderId: first?.orderId,
    lines: [{ sku: "MUG", quantity: 2n }],
    recipient: { city: address.city },
  });
});

test("a warehouse behind its connector says what became of what is called off; one that cannot be told is not away", async () => {
  const results = [
    { case: "calledOff", value: {} },
    { case: "gone", value: {} },
    { case: "undecided", value: {} },
    { case: undefined },
  ] as const;
  let fails: ConnectError | undefined;
  const transport = createRouterTransport(({ service }) =>
    service(WarehouseConnectorService, {
      packShipments: () => ({ outcomes: [] }),
      cancelShipments: ({ keys }) => {
        if (fails) throw fails;
        return { outcomes: keys.map((_, index) => ({ result: results[index] ?? { case: undefined } })) };
      },
    }),
  );
  const connector = createClient(WarehouseConnectorService, transport);
  const warehouse = new ConnectorWarehouse({ connector, timeoutMs: 1_000, log: quietLogger() });
  const ids = results.map(() => newId());
  const within = AbortSignal.timeout(5_000);
  assert.deepEqual(await warehouse.callOff(ids, within), ["called_off", "gone", "undecided", "undecided"]);
  fails = new ConnectError("no such call", Code.Unimplemented);
  for (let call = 0; call < 6; call += 1) {
    assert.deepEqual(await warehouse.callOff(ids.slice(0, 2), within), ["unheard", "unheard"]);
  }
  await warehouse.pack([], within);
  fails = new ConnectError("not today", Code.Unavailable);
  for (let call = 0; call < 5; call += 1) await assert.rejects(warehouse.callOff(ids, within), /not today/);
  await assert.rejects(warehouse.pack([], within), BreakerOpenError);
});

test("a warehouse that is to be asked has to be named; people pack otherwise", () => {
  assert.equal(shippingConfig.WAREHOUSE.parse(undefined), "people");
  assert.deepEqual(warehouseTogether({}), []);
  assert.deepEqual(warehouseTogether({ WAREHOUSE: "connector", WAREHOUSE_CONNECTOR_ADDRESS: "there:1" }), []);
  const [fault] = warehouseTogether({ WAREHOUSE: "connector" });
  assert.match(fault ?? "", /WAREHOUSE_CONNECTOR_ADDRESS: is not set/);
});
