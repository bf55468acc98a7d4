import { z } from "zod";
import { SagaErrorReason } from "#gen/shop/sagas/v1/saga_error_reason_pb.js";
import type { StepStatus } from "../workflows/engine/saga.ts";
import type { OrderMove, ParcelReport, SagaStage, TurnBack } from "../workflows/order/order-types.ts";
import type { ParcelNews, ParcelStage, SagaState } from "../workflows/order-state.ts";
import { SagaError } from "./errors.ts";

/** One of the members of a union: the compiler wants them all. */
function oneOf<T extends string>(members: { readonly [Member in T]: Member }) {
  return z.enum(members);
}

const stage = oneOf<SagaStage>({
  CHECKOUT: "CHECKOUT",
  FULFILLMENT: "FULFILLMENT",
  TRACKING: "TRACKING",
  COMPENSATING: "COMPENSATING",
  DELIVERED: "DELIVERED",
  REJECTED: "REJECTED",
  CANCELLED: "CANCELLED",
  FAILED: "FAILED",
});
const move = oneOf<OrderMove>({
  CONFIRMED: "CONFIRMED",
  PREPARING: "PREPARING",
  SHIPPED: "SHIPPED",
  DELIVERED: "DELIVERED",
  REJECTED: "REJECTED",
  CANCELLED: "CANCELLED",
  FAILED: "FAILED",
});
const parcelStage = oneOf<ParcelStage>({
  PLANNED: "PLANNED",
  PACKING: "PACKING",
  LEAVING: "LEAVING",
  BOOKING: "BOOKING",
  TAKEN: "TAKEN",
  DROPPING: "DROPPING",
  SHIPPED: "SHIPPED",
  CANCELLED: "CANCELLED",
  DELIVERED: "DELIVERED",
  LOST: "LOST",
  RETURNED: "RETURNED",
});
const parcelNews = oneOf<ParcelNews>({
  PACKED: "PACKED",
  PACKING_FAILED: "PACKING_FAILED",
  BOOKED: "BOOKED",
  BOOKING_REFUSED: "BOOKING_REFUSED",
  CANCELLED: "CANCELLED",
});
const report = oneOf<ParcelReport>({ DELIVERED: "DELIVERED", LOST: "LOST", RETURNED: "RETURNED" });
const turnBack = oneOf<TurnBack>({ ASKED: "ASKED", AGREED: "AGREED", REFUSED: "REFUSED" });
const stepStatus = oneOf<StepStatus>({ RUNNING: "RUNNING", DONE: "DONE", REFUSED: "REFUSED", PARKED: "PARKED" });

const count = z.int().min(0);
const text = z.string();

const charge = z.looseObject({ payment: count, amount: count, held: count.optional() });
const failure = z.looseObject({ reason: text, customerMessage: text });

/** What a saga remembers, field by field as `SagaState` says. What a later version adds is left as it is. */
const sagaState: z.ZodType<SagaState> = z.looseObject({
  stage,
  status: move.optional(),
  steps: z.array(z.looseObject({ name: text, status: stepStatus, startTime: z.number(), error: text.optional() })),
  parcels: z.array(
    z.looseObject({
      locationId: text,
      stage: parcelStage,
      lines: z.array(z.looseObject({ sku: text, quantity: count })).optional(),
      amount: count,
      shipmentId: text,
      trackingNumber: text,
      news: parcelNews.optional(),
      report: report.optional(),
      generation: count.optional(),
      charges: z.array(charge).optional(),
      turnBack: turnBack.optional(),
      returnId: text.optional(),
      refunds: z.array(charge).optional(),
    }),
  ),
  early: z.array(z.looseObject({ locationId: text, news: text, trackingNumber: text })).optional(),
  cancelReason: text.optional(),
  failure: failure.optional(),
  nothingReserved: z.boolean().optional(),
  parked: z.looseObject({ step: text, reason: text, error: text, isOpen: z.boolean().optional() }).optional(),
  again: z.record(text, count).optional(),
  resolved: z.array(text).optional(),
  awaitsStock: z.boolean().optional(),
  waitsFor: text.optional(),
  tries: count.optional(),
  invalid: z.record(text, count).optional(),
  repaid: z.array(text).optional(),
  repayments: z.looseObject({ done: z.array(charge), underWay: z.record(text, z.array(charge)).optional() }).optional(),
  batchSize: count.optional(),
  amending: z
    .looseObject({
      number: count,
      failure: failure.optional(),
      happened: z.literal(true).optional(),
      voids: z.array(charge).optional(),
    })
    .optional(),
});

/** What the saga of an order remembers, as it was settled. @throws SAGA_UNREADABLE */
export function readSaga(orderId: string, json: string): SagaState {
  try {
    // biome-ignore lint/plugin/json: what a worker settled, within MAX_MESSAGE_BYTES, and its schema comes next
    return sagaState.parse(JSON.parse(json));
  } catch (cause) {
    throw unreadable(orderId, cause);
  }
}

/** Says where it is wrong, and nothing of what is there: that may be a customer's. */
function unreadable(orderId: string, cause: unknown): Error {
  const [issue] = cause instanceof z.ZodError ? cause.issues : [];
  const where = issue ? `at ${issue.path.join(".") || "its root"}: ${issue.message}` : "it is no JSON";
  const message = `what the saga of order ${orderId} remembers cannot be read ${where}`;
  return new SagaError(SagaErrorReason.SAGA_UNREADABLE, message, { order_id: orderId });
}
