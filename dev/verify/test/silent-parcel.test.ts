// The whole story of a parcel that has arrived without anybody saying so, on a running stack.
import assert from "node:assert/strict";
import { test } from "node:test";
import pg from "pg";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { until } from "#testing/until.ts";
import { Shopper } from "../../shop/shopper.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { Stack } from "../../stack/stack.ts";

const patient = { deadlineMs: 60_000, everyMs: 100 };
const environment = {
  worker: { SHIPMENT_LOOK_EVERY_MS: "1000" },
  shipping: { SHIPMENT_SILENT_MS: "2000" },
  simulators: { PACKING_MS: "100", CARRIER_TRANSIT_MS: "400" },
};

test("an order whose parcel's report is lost is DELIVERED by the look, and one that the carrier forgot waits for somebody", async (context) => {
  await using stack = await Stack.start({ ports: await freePorts(), environment, signal: context.signal });
  using shopper = new Shopper(stack);
  await shopper.stock("mug", "north", 10);
  const customerId = await shopper.customer("silent");
  const place = (requestId: string, postalCode: string) =>
    shopper.place(customerId, {
      requestId,
      cardToken: "tok_approve",
      postalCode,
      lines: [{ sku: "mug", quantity: 1 }],
    });
  const statusOf = async (orderId: string) => (await shopper.orders.getOrder({ orderId })).order?.status;
  const [unreported, forgotten] = [
    await place("unreported", "SIM-UNREPORTED"),
    await place("forgotten", "SIM-FORGOTTEN"),
  ];

  const arrived = async () => (await statusOf(unreported)) === OrderStatus.DELIVERED;
  await until(arrived, "the parcel that nobody reported is found out about", patient);
  const looks = async () => (await fetch(`${stack.httpUrl("shipping")}/metrics`)).text();
  await until(
    async () => /shipping_looks_total\{[^}]*outcome="unknown"[^}]*\} [1-9]/.test(await looks()),
    "the other is unknown",
    patient,
  );
  assert.match(await looks(), /shipping_looks_total\{[^}]*outcome="ended"[^}]*\} 1\n/);
  assert.equal(await statusOf(forgotten), OrderStatus.SHIPPED);

  const client = new pg.Client({ connectionString: stack.databaseUrl("shipping", "postgres") });
  await client.connect();
  const { rows } = await client.query("select action, actor from audit_event where action = 'shipment.delivered'");
  await client.end();
  assert.deepEqual(rows, [{ action: "shipment.delivered", actor: "service:worker" }]);
});
