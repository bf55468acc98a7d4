import assert from "node:assert/strict";
import { OrderShipmentStatus, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import type { CreateOrderRequest } from "#gen/shop/orders/v1/order_service_pb.js";
import { lastStart, settlement } from "./episode-rows.ts";
import type { FakeWorker } from "./fake-worker.ts";
import { eventually, type Replica } from "./harness.ts";

/** A parcel of {@link delivered}: `BER:4700:ESPRESSO-1KG=2,FILTER-100=1`, and how it stands. */
export interface GivenParcel {
  readonly locationId: string;
  readonly amount: bigint;
  readonly lines: readonly { readonly sku: string; readonly quantity: number }[];
  readonly status?: OrderShipmentStatus;
}

/** One parcel with all of an order. */
export function wholeParcel({ lines }: CreateOrderRequest, amount: bigint): GivenParcel {
  return { locationId: "berlin", amount, lines: lines.map(({ sku, quantity }) => ({ sku, quantity })) };
}

/** An order whose parcels have left, and which rests; DELIVERED when all of them have arrived. Returns its id. */
export async function delivered(
  { orders, lifecycle, episodes }: Replica,
  worker: FakeWorker,
  { request, parcels }: { request: CreateOrderRequest; parcels: readonly GivenParcel[] },
): Promise<string> {
  const { order } = await orders.createOrder(request);
  const orderId = order?.orderId ?? "";
  const currency = order?.total?.currency ?? "";
  const shipments = parcels.map(({ amount, status = OrderShipmentStatus.DELIVERED, ...parcel }) => ({
    ...parcel,
    lines: [...parcel.lines],
    status,
    amount: { currency, amount },
  }));
  const { CONFIRMED, PREPARING, SHIPPED, DELIVERED } = OrderStatus;
  for (const status of [CONFIRMED, PREPARING, SHIPPED]) {
    await lifecycle.batchTransitionOrders({ requests: [{ orderId, status, shipments }] });
  }
  const arrived = shipments.every(({ status }) => status === OrderShipmentStatus.DELIVERED);
  const episodeId = await eventually(() => lastStart(worker, orderId)?.episodeId ?? assert.fail("not carried yet"));
  const last = arrived ? { status: DELIVERED } : {};
  const rests = settlement(orderId, episodeId, { ...last, cancellable: false, needsCard: false });
  const { outcomes } = await episodes.batchSettleOrders({ requests: [rests] });
  assert.equal(outcomes[0]?.outcome.case, "response");
  return orderId;
}
