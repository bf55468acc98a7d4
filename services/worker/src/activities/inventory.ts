import type { Outcome } from "../workflows/order-state.ts";
import type { InputOf, OutputOf } from "../workflows/step-table.ts";
import { done, listCall, requestId } from "./batch-call.ts";
import type { ServiceClients } from "./clients.ts";

/** Sets the lines of orders aside, for each all or none, and answers what comes from where. */
export function reserveStock(
  { inventory }: ServiceClients,
  entries: InputOf<"reserveStock">[],
): Promise<Outcome<OutputOf<"reserveStock">>[]> {
  return listCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map((entry) => ({
        requestId: requestId(entry, "reserve"),
        orderId: entry.orderId,
        lines: entry.lines.map(({ sku, quantity }) => ({ sku, quantity: BigInt(quantity) })),
      }));
      return inventory.batchReserveStock({ requests, traceparents }, options);
    },
    ({ reservation }) => {
      const allocations = reservation?.allocations ?? [];
      return done(
        allocations.map(({ sku, locationId, quantity }) => ({ sku, locationId, quantity: Number(quantity) })),
      );
    },
  );
}

/** Gives back what is set aside and has not left: all of an order, or its part at one location. */
export function releaseStock(
  { inventory }: ServiceClients,
  entries: InputOf<"releaseStock">[],
): Promise<Outcome<null>[]> {
  return listCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map((entry) => ({ ...refOf(entry), requestId: requestId(entry, "release") }));
      return inventory.batchReleaseReservations({ requests, traceparents }, options);
    },
    () => done(null),
  );
}

/** Takes the part at one location from the shelf. */
export function commitStock(
  { inventory }: ServiceClients,
  entries: InputOf<"commitStock">[],
): Promise<Outcome<null>[]> {
  return listCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map((entry) => ({ ...refOf(entry), requestId: requestId(entry, "commit") }));
      return inventory.batchCommitReservations({ requests, traceparents }, options);
    },
    () => done(null),
  );
}

/** Makes holds firm. */
export function confirmReservations(
  { inventory }: ServiceClients,
  entries: { orderId: string }[],
): Promise<Outcome<null>[]> {
  return listCall(
    entries,
    (part, options, traceparents) => {
      const requests = part.map((entry) => ({ ...refOf(entry), requestId: requestId(entry, "confirm") }));
      return inventory.batchConfirmReservations({ requests, traceparents }, options);
    },
    () => done(null),
  );
}

function refOf({ orderId, locationId = "" }: { orderId: string; locationId?: string }) {
  return { orderId, locationId };
}
