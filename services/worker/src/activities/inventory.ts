import {
  BatchAmendReservationsRequestSchema,
  BatchCommitReservationsRequestSchema,
  BatchConfirmReservationsRequestSchema,
  BatchEndAmendmentsRequestSchema,
  BatchReleaseReservationsRequestSchema,
  BatchReserveStockRequestSchema,
  BatchRestockRequestSchema,
} from "#gen/shop/inventory/v1/inventory_service_pb.js";
import {
  type Allocation as AllocationMessage,
  AllocationStatus,
  type Reservation,
} from "#gen/shop/inventory/v1/stock_pb.js";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import type { Fenced } from "#platform/fence.ts";
import { whole } from "#platform/whole.ts";
import type { StockChange } from "../workflows/amendment-plan.ts";
import type { Outcome } from "../workflows/engine/step-batch.ts";
import type { Allocation } from "../workflows/order/order-types.ts";
import type { Reserved } from "../workflows/step-table.ts";
import { batchCall, done, pending } from "./batch-call.ts";
import { requestId } from "./entry-key.ts";
import type { ServiceClients, StepWorks } from "./step-work.ts";

/** What the saga asks of the inventory. */
export const inventoryWorks = {
  /** Sets the lines of orders aside, for each all or none, or what is there, and answers what comes from where, that the order waits, or what is missing. */
  reserveStock: ({ inventory }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, "reserve"),
          fence: entry.fence,
          orderId: entry.orderId,
          lines: entry.lines.map(({ sku, quantity }) => ({ sku, quantity: BigInt(quantity) })),
          timeToLive: undefined,
          shortagePolicy: policyOf(entry),
        }));
        return inventory.batchReserveStock(whole(BatchReserveStockRequestSchema, { requests, traceparents }), options);
      },
      ({ reservation }): Outcome<Reserved> => done(reservedOf(reservation)),
    ),

  /** Gives back what is set aside and has not left: all of an order, or its part at one location. */
  releaseStock: ({ inventory }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, "release"),
          fence: entry.fence,
          orderId: entry.orderId,
          locationId: entry.locationId ?? "",
        }));
        const request = whole(BatchReleaseReservationsRequestSchema, { requests, traceparents });
        return inventory.batchReleaseReservations(request, options);
      },
      () => done(null),
    ),

  /** Takes the part at one location from the shelf. */
  commitStock: ({ inventory }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, "commit"),
          fence: entry.fence,
          orderId: entry.orderId,
          locationId: entry.locationId,
        }));
        const request = whole(BatchCommitReservationsRequestSchema, { requests, traceparents });
        return inventory.batchCommitReservations(request, options);
      },
      () => done(null),
    ),

  /** Puts on the shelf what came back. */
  restock: ({ inventory }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, "restock"),
          fence: entry.fence,
          orderId: entry.orderId,
          returnId: entry.returnId,
          parts: entry.parts.map((each) => ({ ...each, quantity: BigInt(each.quantity) })),
        }));
        return inventory.batchRestock(whole(BatchRestockRequestSchema, { requests, traceparents }), options);
      },
      () => done(null),
    ),

  /** Sets aside what orders get besides, for each all or none, and answers what is firm now and what will be. */
  amendStock: ({ inventory }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, "amend"),
          fence: entry.fence,
          orderId: entry.orderId,
          number: entry.number,
          lines: entry.lines.map(({ sku, quantity }) => ({ sku, quantity: BigInt(quantity) })),
          fixedLocationIds: entry.fixed,
        }));
        const request = whole(BatchAmendReservationsRequestSchema, { requests, traceparents });
        return inventory.batchAmendReservations(request, options);
      },
      ({ reservation }) => (reservation?.amendment ? done(changeOf(reservation)) : pending),
    ),

  /** Gives back what orders have no more, or what they got besides. */
  endStockAmendment: ({ inventory }, entries) =>
    batchCall(
      entries,
      (part, options, traceparents) => {
        const requests = part.map((entry) => ({
          requestId: requestId(entry, entry.accepted ? "trim" : "unamend"),
          fence: entry.fence,
          orderId: entry.orderId,
          number: entry.number,
          accepted: entry.accepted,
        }));
        const request = whole(BatchEndAmendmentsRequestSchema, { requests, traceparents });
        return inventory.batchEndAmendments(request, options);
      },
      () => done(null),
    ),
} satisfies Partial<StepWorks>;

function policyOf({ waits, partly }: { waits?: boolean; partly?: boolean }): ShortagePolicy {
  if (partly) return waits ? ShortagePolicy.SHIP_AND_BACK_ORDER : ShortagePolicy.SHIP_AVAILABLE;
  return waits ? ShortagePolicy.BACK_ORDER : ShortagePolicy.REJECT;
}

function reservedOf(reservation: Reservation | undefined): Reserved {
  if (reservation?.waitTime) return "waiting";
  const { allocations = [], missing = [] } = reservation ?? {};
  const there = allocations.map(toAllocation);
  if (missing.length === 0) return there;
  return { missing: missing.map(({ sku, quantity }) => ({ sku, quantity: Number(quantity) })), allocations: there };
}

function changeOf({ allocations, amendment }: Reservation): StockChange {
  const firm = allocations.filter(({ status }) => status === AllocationStatus.CONFIRMED).map(toAllocation);
  const without = (parts: { sku: string; locationId: string; quantity: bigint }[] = []) =>
    firm.flatMap((part) => {
      const less = parts.find(({ sku, locationId }) => sku === part.sku && locationId === part.locationId);
      const quantity = part.quantity - Number(less?.quantity ?? 0n);
      return quantity > 0 ? [{ ...part, quantity }] : [];
    });
  return { before: without(amendment?.taken), after: without(amendment?.given) };
}

/** Makes holds firm: a part of the confirmation of an order. Answers what is firm, and nothing else is what the order gets. */
export function confirmStock(
  { inventory }: ServiceClients,
  entries: ({ orderId: string } & Fenced)[],
): Promise<Outcome<Allocation[]>[]> {
  return batchCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map(({ orderId, fence }) => ({
        requestId: requestId({ orderId }, "confirm"),
        fence,
        orderId,
      }));
      const request = whole(BatchConfirmReservationsRequestSchema, { requests, traceparents });
      return inventory.batchConfirmReservations(request, options);
    },
    ({ reservation }) => {
      const firm = (reservation?.allocations ?? []).filter(({ status }) => firmStatuses.has(status));
      // Nobody can pack what is nowhere: the answer is none.
      return firm.length > 0 ? done(firm.map(toAllocation)) : pending;
    },
  );
}

/** Parts that belong to a confirmed order; what was released or has expired does not any more. */
const firmStatuses: ReadonlySet<AllocationStatus> = new Set([AllocationStatus.CONFIRMED, AllocationStatus.COMMITTED]);

function toAllocation({ sku, locationId, quantity }: AllocationMessage): Allocation {
  return { sku, locationId, quantity: Number(quantity) };
}
