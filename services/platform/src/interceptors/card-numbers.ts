import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import type { Path } from "@bufbuild/protobuf/reflect";
import { holdsCardNumber } from "#platform/redact/redact-text.ts";
import { eachText } from "./message-values.ts";

/**
 * Fields that hold numbers of others, of which one in ten passes for a card's by chance: a request id of sixteen digits, an
 * article's GTIN, a place's GLN, a parcel's number, a telephone. No pattern can tell them apart, so they are not looked
 * at. Every field of another name is; see docs/decisions/0017-card-numbers.md.
 */
const numbersOfOthers = new Set([
  ...["request_id", "page_token", "phone", "sku", "location_id", "tracking_number", "event_id"],
  // `ship:<location>` of a saga, `<sku>@<location>` of the audit log.
  ...["step", "subject"],
  // What a saga remembers: SKUs and parcels' numbers, as one text of our own making.
  "saga",
  // What another shop called its customers, orders and payments.
  ...["external_id", "customer_external_id", "order_external_id"],
  // What a gateway calls an authorization.
  "reference",
]);

/** Whether a field may hold what looks like a card number. */
export function mayLookLikeCard(field: DescField): boolean {
  return numbersOfOthers.has(field.name);
}

/** Whether a text is in a field that may hold no card number, and holds one, however it is separated. */
export function isCardNumber(field: DescField, text: string): boolean {
  return !mayLookLikeCard(field) && holdsCardNumber(text);
}

/** The fields in which the number of a payment card is written. */
export function cardNumbersIn(schema: DescMessage, message: Message): Path[] {
  const found: Path[] = [];
  eachText(schema, message, (text, field, path) => {
    if (isCardNumber(field, text)) found.push([...path]);
  });
  return found;
}
