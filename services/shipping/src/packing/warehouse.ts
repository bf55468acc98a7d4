import type { Address, ShipmentLine } from "../shipment/shipment.ts";

/** What a warehouse is asked to pack. */
export interface PackingOrder {
  /** The shipment; asking again for the same one never packs it twice. */
  readonly shipmentId: string;
  readonly orderId: string;
  readonly locationId: string;
  readonly lines: readonly ShipmentLine[];
  readonly address: Address;
}

/** How far the packing of one shipment is. */
export type PackingState =
  /** @property askAgainMs when to look again, in milliseconds */
  | { readonly kind: "packing"; readonly askAgainMs: number }
  | { readonly kind: "packed" }
  | { readonly kind: "failed"; readonly code: string; readonly message: string };

/** What became of a shipment that is called off: `unheard` where the warehouse cannot be told, `undecided` where it has to be told again. */
export type CallOffState = "called_off" | "gone" | "unheard" | "undecided";

/** Packs shipments. */
export interface Warehouse {
  /** Begins what it has not begun, and says how far each is, in the same order. A throw concerns the whole batch. */
  pack(orders: readonly PackingOrder[], signal: AbortSignal): Promise<PackingState[]>;
  /** Calls shipments off, by their ids, and says what became of each, in the same order. A throw concerns the whole batch. */
  callOff(shipmentIds: readonly string[], signal: AbortSignal): Promise<CallOffState[]>;
}
