import type { AddressFields, ShipmentFields } from "./easypost-requests.ts";
import type { Senders } from "./settings.ts";

/** An address as shipping says it. */
export interface Address {
  readonly recipient: string;
  readonly lines: readonly string[];
  readonly city: string;
  readonly postalCode: string;
  readonly country: string;
}

/** A parcel that a label is wanted for, or a return. */
export interface ParcelOrder {
  readonly kind: "parcel" | "label";
  readonly key: string;
  readonly locationId: string;
  /** Who sends it from the location; undefined: the settings say who that is. Of a return nobody. */
  readonly sender: Address | undefined;
  /** The customer, whichever way the parcel goes. */
  readonly customer: Address;
  readonly weightGrams: number;
  /** Millimetres. */
  readonly sizeMm: readonly [length: number, width: number, height: number];
  readonly serviceLevel: string;
  /** What has not begun by then does not begin. */
  readonly expireTime: Date;
}

const gramsOfOunce = 28.349523125;
const mmOfInch = 25.4;
/** Countries in whose addresses EasyPost wants a state, which is written behind the city. */
const withState = /^(?:US|CA|AU)$/;
const cityAndState = /^([^,]{1,100}),\s{0,3}([A-Z]{2,3})$/;

/** What EasyPost is asked for; undefined when nobody has said who sends from the location. */
export function shipmentFields(order: ParcelOrder, senders: Senders): ShipmentFields | undefined {
  const ours = senders(order.locationId);
  const sender = order.sender ? toAddress(order.sender, ours) : ours && toAddress(ours, ours);
  if (!sender) return undefined;
  const [length, width, height] = order.sizeMm;
  return {
    reference: order.key,
    is_return: order.kind === "label",
    from_address: sender,
    to_address: toAddress(order.customer),
    parcel: {
      length: tenths(length / mmOfInch),
      width: tenths(width / mmOfInch),
      height: tenths(height / mmOfInch),
      weight: tenths(order.weightGrams / gramsOfOunce),
    },
  };
}

function toAddress(
  { recipient: name, lines, city, postalCode: zip, country }: Address,
  { phone = "", email = "" }: { readonly phone?: string | undefined; readonly email?: string | undefined } = {},
): AddressFields {
  const [street1 = "", ...others] = lines;
  const [, town = city, state = ""] = (withState.test(country) && cityAndState.exec(city)) || [];
  return { name, street1, street2: others.join(", "), city: town, state, zip, country, phone, email };
}

/** Rounded up: carriers ask more for what weighs more than was said. */
function tenths(value: number): number {
  return Math.ceil(value * 10 - 1e-9) / 10;
}
