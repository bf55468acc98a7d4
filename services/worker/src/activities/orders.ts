import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { Context } from "@temporalio/activity";
import {
  BatchSettleOrdersRequestSchema,
  type SettleOrderRequestSchema,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import {
  BatchCompleteReturnsRequestSchema,
  BatchCutOrdersRequestSchema,
  BatchDecideAmendmentsRequestSchema,
  BatchDecideExchangesRequestSchema,
  BatchResolveParcelsRequestSchema,
  BatchScreenOrdersRequestSchema,
  BatchTransitionOrdersRequestSchema,
  ParcelFate as ParcelFateProto,
  ScreeningVerdict,
  type TransitionOrderRequestSchema,
} from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import {
  type OrderShipmentSchema,
  OrderShipmentStatus,
  OrderStatus,
  TurnBack as TurnBackProto,
} from "#gen/shop/orders/v1/order_pb.js";
import { hideCardNumbers } from "#platform/redact/redact-text.ts";
import { type Whole, whole } from "#platform/whole.ts";
import type { Outcome } from "../workflows/engine/step-batch.ts";
import type { TransitionInput } from "../workflows/legacy/step-table.ts";
import type {
  Allocation,
  OrderFailure,
  OrderMove,
  OrderParcel,
  ParcelStatus,
  TurnBack,
} from "../workflows/order/order-types.ts";
import { planParcels } from "../workflows/order/parcel-plan.ts";
import type { ParcelFate, ResolvedParcel, SettleInput } from "../workflows/step-table.ts";
import { type InputOf, steps } from "./all-steps.ts";
import { batchCall, bothHalves, done, pending } from "./batch-call.ts";
import { confirmStock } from "./inventory.ts";
import type { ServiceClients, StepWorks } from "./step-work.ts";

const statuses = {
  CONFIRMED: OrderStatus.CONFIRMED,
  PREPARING: OrderStatus.PREPARING,
  SHIPPED: OrderStatus.SHIPPED,
  DELIVERED: OrderStatus.DELIVERED,
  REJECTED: OrderStatus.REJECTED,
  CANCELLED: OrderStatus.CANCELLED,
  FAILED: OrderStatus.FAILED,
} as const satisfies Record<OrderMove, OrderStatus>;

const parcelStatuses = {
  PLANNED: OrderShipmentStatus.PLANNED,
  SHIPPED: OrderShipmentStatus.SHIPPED,
  DELIVERED: OrderShipmentStatus.DELIVERED,
  CANCELLED: OrderShipmentStatus.CANCELLED,
  LOST: OrderShipmentStatus.LOST,
  RETURNED: OrderShipmentStatus.RETURNED,
} as const satisfies Record<ParcelStatus, OrderShipmentStatus>;

const turnBacks = {
  ASKED: TurnBackProto.ASKED,
  AGREED: TurnBackProto.AGREED,
  REFUSED: TurnBackProto.REFUSED,
} as const satisfies Record<TurnBack, TurnBackProto>;

const fates = {
  TO_BE_RETURNED: ParcelFateProto.TO_BE_RETURNED,
  CAME_BACK: ParcelFateProto.CAME_BACK,
  LOST: ParcelFateProto.LOST,
} as const satisfies Record<ParcelFate, ParcelFateProto>;

/** What the saga asks of the orders. */
export const orderWorks = {
  /** Asks whether the orders may go on. */
  screenOrder: ({ orders }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map(({ orderId }) => ({ orderId }));
        return orders.batchScreenOrders(whole(BatchScreenOrdersRequestSchema, { requests, traceparents }), options);
      },
      ({ verdict }) => done(verdict === ScreeningVerdict.REVIEW ? "review" : "pass"),
    ),

  /**
   * Makes the reservations firm, then moves the orders with the parcels that follow from what is firm. An order whose stock
   * is gone is refused and stays as it is. Both calls may be repeated, so a failure between them is healed by a repetition:
   * what is firm does not change any more. A workflow that was taken for lost may ask when another one has long gone on: for it the
   * order is confirmed as well. Told that it is not, it would undo what the other one builds on.
   */
  confirmOrder: (clients, entries) => {
    const [first, second] = steps.confirmOrder.halves;
    const calls = {
      confirmStock: (held: typeof entries) => confirmStock(clients, held),
      CONFIRMED: async (going: typeof entries, firm: Allocation[][]) => {
        const moves = going.map((entry, index) => confirmed(entry, firm[index] ?? []));
        const moved = await moveOrders(clients, moves, "CONFIRMED");
        return moved.map((outcome, index) =>
          outcome.kind === "done" || hasGoneOn(outcome) ? done(firm[index] ?? []) : outcome,
        );
      },
    };
    return bothHalves(entries, calls[first], calls[second]);
  },

  /** Decides what becomes of exchanges. */
  exchangeReturn: ({ orders }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map(({ orderId, returnId, credits, failure = "" }) => ({
          orderId,
          returnId,
          credits: credits.map(BigInt),
          failure: failure.slice(0, 64),
        }));
        const request = whole(BatchDecideExchangesRequestSchema, { requests, traceparents });
        return orders.batchDecideExchanges(request, options);
      },
      ({ made }) => done(made),
    ),

  /** Notes that stock and money of returns are back. */
  completeReturn: ({ orders }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map(({ orderId, returnId, rejected = false }) => ({ orderId, returnId, rejected }));
        const request = whole(BatchCompleteReturnsRequestSchema, { requests, traceparents });
        return orders.batchCompleteReturns(request, options);
      },
      () => done(null),
    ),

  /** Says what becomes of parcels that do not simply arrive. */
  resolveParcel: ({ orders }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map(({ orderId, locationId, fate }) => ({ orderId, locationId, fate: fates[fate] }));
        const request = whole(BatchResolveParcelsRequestSchema, { requests, traceparents });
        return orders.batchResolveParcels(request, options);
      },
      ({ returnId, refund }) => done<ResolvedParcel>({ returnId, refund: Number(refund) }),
    ),

  /** Ends the part of orders in the episode of this workflow. */
  settleOrder: ({ episodes }, entries) => {
    const episodeId = Context.current().info.workflowExecution?.workflowId ?? "";
    return batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => toSettlement(entry, episodeId));
        return episodes.batchSettleOrders(whole(BatchSettleOrdersRequestSchema, { requests, traceparents }), options);
      },
      () => done(null),
    );
  },

  /** Takes out of orders what is missing of them, and answers what they are from now on. */
  cutOrder: ({ orders }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map(({ orderId, missing }) => ({ orderId, missing }));
        return orders.batchCutOrders(whole(BatchCutOrdersRequestSchema, { requests, traceparents }), options);
      },
      ({ lines, total, followed }) =>
        done({
          ...(followed && { followed }),
          lines: lines.map(({ sku, quantity, unitPrice, amount }) => ({
            sku,
            quantity,
            unitPrice: Number(unitPrice),
            ...(amount !== undefined && { amount: Number(amount) }),
          })),
          total: { currency: total?.currency ?? "", amount: Number(total?.amount ?? 0n) },
        }),
    ),

  /** Decides what becomes of amendments. */
  decideAmendment: ({ orders }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map(({ orderId, number, failure, parcels = [], partly = false }) => ({
          orderId,
          number,
          failure,
          shipments: parcels.map(toShipment),
          partly,
        }));
        return orders.batchDecideAmendments(
          whole(BatchDecideAmendmentsRequestSchema, { requests, traceparents }),
          options,
        );
      },
      () => done(null),
    ),

  /** Moves orders to their next status. */
  transitionOrder,
} satisfies Partial<StepWorks>;

function transitionOrder({ orders }: ServiceClients, entries: TransitionInput[]): Promise<Outcome<null>[]> {
  return batchCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map(toRequest);
      const request = whole(BatchTransitionOrdersRequestSchema, { requests, traceparents });
      return orders.batchTransitionOrders(request, options);
    },
    () => done(null),
  );
}

function toRequest({ orderId, status, failure, parcels = [], followed = false }: TransitionInput) {
  return {
    followed,
    orderId,
    status: statuses[status],
    failure: failure && withoutCards(failure),
    shipments: parcels.map(toShipment),
  } satisfies Whole<typeof TransitionOrderRequestSchema>;
}

function toShipment(parcel: OrderParcel) {
  const { locationId, shipmentId, trackingNumber, status, lines = [], turnBack, returnId = "", refunded } = parcel;
  const { currency, amount } = parcel.amount;
  return {
    locationId,
    shipmentId,
    trackingNumber,
    status: parcelStatuses[status],
    amount: { currency, amount: BigInt(amount) },
    lines: lines.map(({ sku, quantity }) => ({ sku, quantity })),
    turnBack: turnBack ? turnBacks[turnBack] : TurnBackProto.UNSPECIFIED,
    returnId,
    refunded: refunded === undefined ? undefined : { currency, amount: BigInt(refunded) },
  } satisfies Whole<typeof OrderShipmentSchema>;
}

function toSettlement(entry: SettleInput, episodeId: string) {
  const {
    orderId,
    saga,
    status,
    failure,
    parcels = [],
    cancellable,
    needsCard,
    awaitsStock = false,
    retryAfterMs,
    waitsFor,
    parked,
    amended = 0,
    cancellationHeard,
  } = entry;
  return {
    orderId,
    episodeId,
    saga: JSON.stringify(saga),
    status: status ? statuses[status] : OrderStatus.UNSPECIFIED,
    failure: failure && withoutCards(failure),
    shipments: parcels.map(toShipment),
    cancellable,
    needsCard,
    awaitsStock,
    retryAfter: retryAfterMs === undefined ? undefined : durationFromMs(retryAfterMs),
    waitsFor: waitsFor ?? "",
    amended,
    cancellationHeard,
    parked: parked && { step: parked.step, reason: parked.reason, error: hideCardNumbers(parked.error) },
  } satisfies Whole<typeof SettleOrderRequestSchema>;
}

type Confirmed = Pick<TransitionInput, "orderId" | "parcels" | "followed">;

/** What an order goes on to from CONFIRMED, with all that was confirmed. */
const furtherOn: ReadonlySet<string | undefined> = new Set<OrderMove>(["PREPARING", "SHIPPED", "DELIVERED"]);

function hasGoneOn(moved: Outcome<null>): boolean {
  if (moved.kind !== "refused") return false;
  const { reason, metadata } = moved.refusal;
  return reason === "ILLEGAL_TRANSITION" && furtherOn.has(metadata.from);
}

/** An order with the parcels that it is confirmed with; a workflow of the kind before keeps to those that it planned. */
function confirmed(entry: InputOf<"confirmOrder">, firm: Allocation[]): Confirmed {
  const { orderId } = entry;
  if ("parcels" in entry) return { orderId, parcels: entry.parcels };
  const { currency } = entry.total;
  const parcels = planParcels(entry, firm).map(({ amount, ...parcel }) => ({
    ...parcel,
    amount: { currency, amount },
  }));
  return { orderId, parcels, ...(entry.followed && { followed: true }) };
}

/** The reason of a cancellation by the workflow engine's own signal has passed nobody who refuses card numbers. */
function withoutCards({ reason, customerMessage }: OrderFailure): OrderFailure {
  return { reason, customerMessage: hideCardNumbers(customerMessage) };
}

/** Moves the orders of entries, each once; the outcome of its order is that of an entry. */
export async function moveOrders(
  clients: ServiceClients,
  entries: Confirmed[],
  status: OrderMove,
): Promise<Outcome<null>[]> {
  const moves = new Map(
    entries.map(({ orderId, parcels, followed }) => [
      orderId,
      { orderId, status, ...(parcels && { parcels }), ...(followed && { followed }) },
    ]),
  );
  const moved = await transitionOrder(clients, [...moves.values()]);
  const byOrder = new Map([...moves.keys()].map((orderId, index) => [orderId, moved[index]]));
  return entries.map(({ orderId }) => byOrder.get(orderId) ?? pending);
}
