import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { OrderSchema, OrderShipmentStatus } from "#gen/shop/orders/v1/order_pb.js";
import { planOf } from "../src/plan/plan.ts";

const { PLANNED, SHIPPED, DELIVERED, CANCELLED, LOST } = OrderShipmentStatus;

test("of each parcel is told what it has come to, also when it has come further than the event says", () => {
  const statuses = [PLANNED, SHIPPED, DELIVERED, CANCELLED, LOST];
  const shipments = statuses.map((status) => ({ status, shipmentId: `s${status}`, locationId: `l${status}` }));
  const order = create(OrderSchema, { shipments: [...shipments, { status: SHIPPED, locationId: "not there yet" }] });
  for (const type of ["shop.orders.order.parcels_changed.v1", "shop.orders.order.shipped.v1"] as const) {
    const told = planOf({ type, about: "", facts: {} }, order).map(({ kind, about }) => `${kind} ${about}`);
    const expected = [`parcel_shipped s${SHIPPED}`, `parcel_shipped s${DELIVERED}`, `parcel_delivered s${DELIVERED}`];
    assert.deepEqual(told, expected);
  }
});
