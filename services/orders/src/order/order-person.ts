import type { PersonalData } from "#platform/personal/personal-data.ts";
import type { OrderContact, ShippingAddress } from "./order.ts";

/** How a contact lies in a row: sealed, or plain. */
export interface StoredContact {
  /** Null when it is sealed. */
  readonly givenName: string | null;
  readonly familyName: string | null;
  readonly email: string | null;
  /** Sealed. */
  readonly contact: string | null;
}

/** Nobody any more. */
export const forgottenContact: OrderContact = { givenName: "", familyName: "", email: "" };

const forgottenAddress: ShippingAddress = { recipient: "", lines: [], city: "", postalCode: "", country: "" };

/** The contact of a customer is copied to his orders by SQL: it is bound to him, not to a row. Takes a uuid. */
export function contactPlace(customerId: string): string {
  return `customer.contact/${customerId}`;
}

/** Takes a uuid. */
export function addressPlace(orderId: string): string {
  return `customer_order.shipping_address/${orderId}`;
}

/** The contact of a row, with the key behind it; empty when it is forgotten. */
export async function openContact(
  personal: PersonalData,
  customerId: string,
  { contact, givenName, familyName, email }: StoredContact,
): Promise<OrderContact> {
  if (contact === null) return { givenName: givenName ?? "", familyName: familyName ?? "", email: email ?? "" };
  const opened = await personal.open(contactPlace(customerId), contact);
  return (opened as OrderContact | undefined) ?? forgottenContact;
}

/** The address of a row, with the key behind it; empty when it is forgotten. */
export async function openAddress(
  personal: PersonalData,
  orderId: string,
  stored: ShippingAddress | string,
): Promise<ShippingAddress> {
  return { ...forgottenAddress, ...(await personal.reveal(addressPlace(orderId), stored)) };
}
