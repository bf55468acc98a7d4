import { decodeId } from "#platform/id.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import type { Address, Shipment } from "./shipment.ts";

const forgotten: Address = { recipient: "", lines: [], city: "", postalCode: "", country: "" };

/** Where a sealed address lies: at another shipment it does not open. */
export function addressPlace({ orderId, locationId }: Pick<Shipment, "orderId" | "locationId">): string {
  return `shipment.address/${decodeId(orderId)}/${locationId}`;
}

/** The address of a shipment; empty when it is forgotten, undefined for the mark of a cancellation that came first. */
export async function addressOf(
  personal: PersonalData,
  shipment: Pick<Shipment, "orderId" | "locationId" | "address">,
): Promise<Address | undefined> {
  const { address } = shipment;
  if (address === undefined) return undefined;
  return { ...forgotten, ...(await personal.reveal(addressPlace(shipment), address)) };
}
