import type { PersonalData } from "#platform/personal/personal-data.ts";
import type { PersonalKeyRow } from "#platform/personal/personal-key.ts";
import type { OrderContact } from "../order/order.ts";
import { contactPlace, openContact, type StoredContact } from "../order/order-person.ts";
import type { CustomerDetails } from "./customer.ts";

/** The columns of a customer that say who it is. */
export interface PersonColumns extends StoredContact {
  readonly phone: string;
  readonly sealedPhone: string | null;
}

/** Those columns, and the keys that are to be written with them. */
export interface ProtectedPerson {
  readonly columns: PersonColumns;
  readonly keys: readonly PersonalKeyRow[];
}

/** Takes a uuid. */
function phonePlace(customerId: string): string {
  return `customer.sealed_phone/${customerId}`;
}

/**
 * Who somebody is, as the columns hold it. The number has a key of its own: orders have the rest.
 *
 * @param customerId a uuid
 */
export async function protectPerson(
  personal: PersonalData,
  customerId: string,
  { phone, ...contact }: CustomerDetails,
): Promise<ProtectedPerson> {
  if (!personal.seals) return { columns: { ...contact, phone, contact: null, sealedPhone: null }, keys: [] };
  const { givenName, familyName, email }: OrderContact = contact;
  const sealed = await personal.seal(contactPlace(customerId), { givenName, familyName, email });
  const number = phone === "" ? undefined : await personal.seal(phonePlace(customerId), { phone });
  const plain = { givenName: null, familyName: null, email: null, phone: "" };
  return {
    columns: { ...plain, contact: sealed.text, sealedPhone: number?.text ?? null },
    keys: [sealed.key, ...(number ? [number.key] : [])],
  };
}

/**
 * The reverse; empty texts where it is forgotten.
 *
 * @param customerId a uuid
 * @param columns sealed texts with their keys behind them
 */
export async function openPerson(
  personal: PersonalData,
  customerId: string,
  columns: PersonColumns,
): Promise<CustomerDetails> {
  const { sealedPhone } = columns;
  const contact = await openContact(personal, customerId, columns);
  if (sealedPhone === null) return { ...contact, phone: columns.phone };
  const opened = (await personal.open(phonePlace(customerId), sealedPhone)) as { phone: string } | undefined;
  return { ...contact, phone: opened?.phone ?? "" };
}
