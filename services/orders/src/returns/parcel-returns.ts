import { auditOrigin } from "#platform/audit/audit-entry.ts";
import type { Database } from "#platform/database/database.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { orderNotFound, parcelNotFound } from "../order/errors.ts";
import type { OrderShipment } from "../order/order.ts";
import { lossEntry, returnEntry } from "../order/order-audit.ts";
import type { LockedOrder, OrderReturnRepository, SavedReturn } from "./order-return.repository.ts";
import { hasCome, isExpected, type OrderReturn, type ReturnLine } from "./order-return.ts";
import type { ReturnMetrics } from "./return-metrics.ts";
import { moved, newReturn, withLabel } from "./return-moves.ts";
import type { ReturnPolicy } from "./return-policy.ts";
import { type LineQuantity, lesser, Returnable } from "./returnable.ts";

/** What becomes of a parcel that does not simply arrive: see `ParcelFate` in the contract. */
export type ParcelFate = "to_be_returned" | "came_back" | "lost";

/** A parcel, and what becomes of it. */
export interface FatedParcel {
  readonly orderId: string;
  readonly locationId: string;
  readonly fate: ParcelFate;
}

/** What follows from it. */
export interface ResolvedParcel {
  /** The return of what it holds; empty when there is none. */
  readonly returnId: string;
  /** Of a parcel that is lost: what is to be paid back, in minor units. */
  readonly refund: bigint;
}

/** What parcels that do not simply arrive work with. */
export interface ParcelReturnsOptions {
  readonly database: Database;
  readonly repository: OrderReturnRepository;
  readonly policy: ReturnPolicy;
  readonly metrics: ReturnMetrics;
  /** Told how many orders are to be carried. */
  readonly onAccepted: (count: number) => void;
}

/** A parcel with all that is known of the returns of its order, read under the order's lock. */
interface Held {
  readonly order: LockedOrder;
  readonly shipment: OrderShipment;
  readonly returns: readonly OrderReturn[];
  readonly returnable: Returnable;
  /** The return that was made for the parcel last. */
  readonly known: OrderReturn | undefined;
}

const nobody = { method: "", requestId: "", fingerprint: Buffer.alloc(0) };

/**
 * Decides what follows for the returns of an order from parcels that do not simply arrive. What came back otherwise, and what somebody granted, is
 * looked at under the same lock: so nothing comes back twice, and is paid back twice. What was decided once is the answer to a repetition.
 */
export class ParcelReturns {
  readonly #options: ParcelReturnsOptions;

  constructor(options: ParcelReturnsOptions) {
    this.#options = options;
  }

  /** @throws ORDER_NOT_FOUND, PARCEL_NOT_FOUND */
  async resolve(parcel: FatedParcel): Promise<ResolvedParcel> {
    const { database, metrics, onAccepted } = this.#options;
    const { saved, ...resolved } = await database.transaction(async (tx) => {
      const held = await this.#hold(tx, parcel);
      if (parcel.fate === "lost") return await this.#lose(tx, held);
      const judged = parcel.fate === "came_back" ? this.#receive(held) : this.#announce(held);
      if (judged) await this.#save(tx, judged);
      return { returnId: judged?.returnId ?? held.known?.returnId ?? "", refund: 0n, saved: judged };
    });
    if (saved) metrics.moved(saved.status);
    if (saved && isToBeCarried(saved)) onAccepted(1);
    return resolved;
  }

  async #hold(tx: Transaction, { orderId, locationId }: FatedParcel): Promise<Held> {
    const { repository } = this.#options;
    const order = await repository.lockOrder(tx, orderId, undefined);
    if (!order) throw orderNotFound(orderId);
    const shipment = order.shipments.find((each) => each.locationId === locationId);
    if (!shipment) throw parcelNotFound({ orderId, locationId });
    const returns = await repository.ofOrders([orderId], tx);
    const known = returns.findLast(({ parcelLocationId }) => parcelLocationId === locationId);
    // The saga knows that it has left, also when the row does not show it yet.
    const left = order.shipments.map((each) => (each === shipment ? hasLeft(each) : each));
    return { order, shipment, returns, known, returnable: new Returnable({ ...order, shipments: left }, returns) };
  }

  /** What it holds is to be sent back, as far as it is not to come back already. One that was withdrawn is not announced again. */
  #announce({ order, shipment: { locationId }, returnable, known }: Held): SavedReturn["now"] | undefined {
    if (known) return undefined;
    const lines = quantities(returnable, locationId, (line) => returnable.announceable(line));
    if (lines.length === 0) return undefined;
    const blank = { ...newReturn(order, "unwanted"), status: "approved", kind: "cancellation" } as const;
    const priced = returnable.price(lines);
    return withLabel({
      ...blank,
      parcelLocationId: locationId,
      lines: priced.map(({ lineNumber, quantity, amount }) => ({
        ...emptyLine(returnable, lineNumber),
        quantity,
        amount,
      })),
      amount: { ...blank.amount, amount: this.#payable(priced, "unwanted") },
    });
  }

  /** All of it goes back on the shelf that it came from, as far as it did not come back already. */
  #receive(held: Held): SavedReturn["now"] | undefined {
    const { order, shipment, returnable, known } = held;
    const { locationId } = shipment;
    if (known && hasCome(known.status)) return undefined;
    const expected = known && isExpected(known.status) ? known : undefined;
    const lines = quantities(returnable, locationId, (line) => returnable.comeable(line));
    if (lines.length === 0) return expected && moved(expected, "cancelled");
    const before: SavedReturn["now"] = expected ?? {
      ...newReturn(order, order.isRecalled ? "unwanted" : "undeliverable"),
      status: "approved",
      kind: order.isRecalled ? "cancellation" : "unasked",
      parcelLocationId: locationId,
    };
    const priced = returnable.price(lines);
    const cost = this.#payable(priced, before.reason);
    const amount = lesser(cost, returnable.refundable);
    return {
      ...before,
      status: "received",
      lines: priced.map((line): ReturnLine => {
        const { lineNumber, quantity } = line;
        const whole = { ...emptyLine(returnable, lineNumber), quantity, amount: line.amount };
        return { ...whole, received: quantity, restocked: quantity, locationId };
      }),
      amount: { ...before.amount, amount },
      revision: before.revision + (expected ? 1 : 0),
    };
  }

  /** It is written down with what is paid back of it, and its return, if there is one, is over. */
  async #lose(
    tx: Transaction,
    held: Held,
  ): Promise<ResolvedParcel & { readonly saved: SavedReturn["now"] | undefined }> {
    const { order, shipment, returnable, known } = held;
    const none = { returnId: "", saved: undefined };
    if (shipment.status === "lost") return { ...none, refund: (shipment.refunded ?? shipment.amount).amount };
    const { amount } = shipment;
    const refund = lesser(amount.amount, returnable.unreturned);
    const lost: OrderShipment = { ...shipment, status: "lost", refunded: { ...amount, amount: refund } };
    const shipments = order.shipments.map((each) => (each === shipment ? lost : each));
    const loss = { orderId: order.orderId, locationId: lost.locationId, refund: { ...amount, amount: refund } };
    const audit = lossEntry({ ...loss, origin: auditOrigin() });
    await this.#options.repository.lose(tx, { orderId: order.orderId, shipments, audit });
    const over = known && isExpected(known.status) ? moved(known, "cancelled") : undefined;
    if (over) await this.#save(tx, over);
    return { ...none, refund, saved: over };
  }

  async #save(tx: Transaction, now: SavedReturn["now"]): Promise<void> {
    const { orderId, returnId, status } = now;
    const details = { ...detailsOf(now), parcel: now.parcelLocationId };
    const audit = returnEntry({ action: status, orderId, returnId, details, origin: auditOrigin() });
    const saved = { now, isToBeCarried: isToBeCarried(now), texts: {}, audit, key: nobody };
    await this.#options.repository.save(tx, saved);
  }

  #payable(priced: readonly { amount: bigint; shipping: bigint }[], reason: OrderReturn["reason"]): bigint {
    const paysShipping = this.#options.policy.paysShipping(reason);
    return priced.reduce((sum, { amount, shipping }) => sum + amount - (paysShipping ? 0n : shipping), 0n);
  }
}

/** Whether stock and money go back, or the carrier is to make a label. */
function isToBeCarried({ status }: Pick<OrderReturn, "status">): boolean {
  return status === "received" || status === "approved";
}

function hasLeft(shipment: OrderShipment): OrderShipment {
  return shipment.status === "planned" ? { ...shipment, status: "shipped" } : shipment;
}

/** What a parcel holds, no more of each line than there is. */
function quantities(
  returnable: Returnable,
  locationId: string,
  available: (lineNumber: number) => number,
): LineQuantity[] {
  return returnable
    .heldBy(locationId)
    .map(({ lineNumber, quantity }) => ({ lineNumber, quantity: Math.min(quantity, available(lineNumber)) }))
    .filter(({ quantity }) => quantity > 0);
}

function emptyLine(returnable: Returnable, lineNumber: number): ReturnLine {
  const sku = returnable.skuOf(lineNumber) ?? "";
  return { lineNumber, sku, quantity: 0, received: 0, restocked: 0, locationId: "", amount: 0n };
}

function detailsOf({ kind, reason, amount, lines }: SavedReturn["now"]): Record<string, string> {
  const pieces = lines.reduce((sum, { quantity }) => sum + quantity, 0);
  return { kind, reason, currency: amount.currency, amount: String(amount.amount), pieces: String(pieces) };
}
