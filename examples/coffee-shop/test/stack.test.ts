// The whole example on real services: who pays gets coffee, and nobody else's money or milk is missing.
import assert from "node:assert/strict";
import { it } from "node:test";
import { DefaultLogger, Runtime } from "@temporalio/worker";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { PaymentStatus } from "#gen/shop/payments/v1/payment_pb.js";
import { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { plainClients } from "../../../dev/shop/clients.ts";
import { freePorts } from "../../../dev/stack/free-ports.ts";
import { Stack } from "../../../dev/stack/stack.ts";
import { components, serve } from "../src/main.ts";

it("serves whom it can, and gives the others their money back", async () => {
  Runtime.install({ logger: new DefaultLogger("ERROR") });
  await using stack = await Stack.start({ ports: await freePorts(), components });
  const served = await serve(stack);
  assert.deepEqual(
    [...served].map(([name, { status }]) => [name.split(",")[0], status]),
    [
      ["Ada", "COMPLETED"],
      ["Bob", "FAILED"],
      ["Cleo", "REFUNDED"],
      ["Dan", "REFUNDED"],
      ["Eve", "COMPLETED"],
    ],
  );
  const clients = plainClients(stack);
  const { payments } = await clients.client(PaymentService, stack.address("payments")).listPayments({});
  const statuses = payments.map(({ status }) => PaymentStatus[status]).sort();
  assert.deepEqual(statuses, ["CAPTURED", "CAPTURED", "DECLINED", "REFUNDED", "REFUNDED"]);
  const inventory = clients.client(InventoryService, stack.address("inventory"));
  const left = async (sku: string) => Number((await inventory.getStockLevel({ sku })).available);
  assert.deepEqual([await left("beans"), await left("milk")], [18, 18]);
  clients.close();
});
