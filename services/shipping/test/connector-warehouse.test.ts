import assert from "node:assert/strict";
import { test } from "node:test";
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { WarehouseConnectorService } from "#gen/ordermesh/connectors/v1/warehouse_connector_service_pb.js";
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

test("a warehouse that is to be asked has to be named; people pack otherwise", () => {
  assert.equal(shippingConfig.WAREHOUSE.parse(undefined), "people");
  assert.deepEqual(warehouseTogether({}), []);
  assert.deepEqual(warehouseTogether({ WAREHOUSE: "connector", WAREHOUSE_CONNECTOR_ADDRESS: "there:1" }), []);
  const [fault] = warehouseTogether({ WAREHOUSE: "connector" });
  assert.match(fault ?? "", /WAREHOUSE_CONNECTOR_ADDRESS: is not set/);
});
