import { randomUUID } from "node:crypto";
import type { Client } from "@connectrpc/connect";
import type { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";

/** One article at one place. */
interface Shelf {
  readonly sku: string;
  readonly locationId: string;
  readonly quantity: number;
}

/** What a new stack has on its shelves: everything for good coffee, in two warehouses. */
export const catalogue: readonly Shelf[] = [
  { sku: "espresso-beans-1kg", locationId: "berlin", quantity: 400 },
  { sku: "espresso-beans-1kg", locationId: "hamburg", quantity: 250 },
  { sku: "espresso-cup", locationId: "berlin", quantity: 1_200 },
  { sku: "milk-pitcher", locationId: "hamburg", quantity: 90 },
  { sku: "burr-grinder", locationId: "berlin", quantity: 40 },
  { sku: "paper-filter-100", locationId: "hamburg", quantity: 600 },
];

/** Below this a shelf is filled up again at the next start, so that the first order of a start always has stock. */
const refillBelow = 10n;

/**
 * Fills the shelves: new ones by a request id of their own, so that starts that overlap fill them once; those that ran
 * low up to what they had.
 * @returns how many shelves were filled
 */
export async function fillShelves(inventory: Client<typeof InventoryService>): Promise<number> {
  let filled = 0;
  for (const { sku, locationId, quantity } of catalogue) {
    const { levels } = await inventory.listStockLevels({ sku, locationId });
    const level = levels[0];
    if (level && level.available >= refillBelow) continue;
    const requestId = level ? `catalogue:${randomUUID()}` : `catalogue:${sku}:${locationId}`;
    const delta = BigInt(quantity) - (level?.available ?? 0n);
    await inventory.adjustStock({ requestId, sku, locationId, delta, reason: "catalogue of the development stack" });
    filled += 1;
  }
  return filled;
}
