// Texts for the fields of the contract: ordinary ones, and numbers in all the ways in which people write them.
import { randomUUID } from "node:crypto";
import { newId } from "#platform/id.ts";
import { mayLookLikeCard } from "#platform/interceptors/card-numbers.ts";
import { holdsCardNumber } from "#platform/redact/redact-text.ts";
import { cardOf, grouped, groupings, numbersFrom, pick, separators, wide } from "#testing/card-samples.ts";
import { type ContractCall, type TextField, textRulesOf } from "./contract-fields.ts";

/** What exists, so that requests about it go as deep as they can. */
export interface Ids {
  readonly customerId: string;
  readonly orderId: string;
  readonly sagaId: string;
  /** The episode that the order is in, when it is in one. */
  readonly episodeId: string;
  readonly shipmentId: string;
  readonly trackingNumber: string;
  readonly step: string;
  readonly refundRequestId: string;
}

/** Calls that make something for an order that nobody has heard of. */
const makers = /^(?:StartOrderSaga|StartEpisode|(?:Batch)?(?:ReserveStock|CreateShipments?|AuthorizePayments?))$/;
let count = 0;

/** A text that the contract allows and the service understands. */
export function ordinaryText({ method }: ContractCall, { field }: TextField, ids: Ids): string {
  const makes = makers.test(method.name);
  count += 1;
  const texts: Record<string, string> = {
    request_id: `request-${count}`,
    event_id: `event-${count}`,
    email: `c${count}@example.com`,
    page_token: "",
    traceparent: "",
    traceparents: "",
    action: "order.created",
    phone: "+442079460000",
    sku: "beans",
    location_id: "north",
    currency: "EUR",
    country: "GB",
    card_token: "tok_approve",
    // Nobody is erased whom other calls need.
    customer_id: method.name === "EraseCustomer" ? newId() : ids.customerId,
    person_id: ids.customerId,
    api_key_id: ids.customerId,
    endpoint_id: ids.customerId,
    delivery_id: ids.customerId,
    event_types: "shop.orders.*",
    url: "https://shop.example/hooks",
    name: `name-${count}`,
    shipment_id: ids.shipmentId,
    tracking_number: ids.trackingNumber,
    order_id: makes ? newId() : ids.orderId,
    payment_id: makes ? "" : ids.orderId,
    // A card pays.
    source_payment_id: "",
    refund_request_id: ids.refundRequestId,
    return_id: ids.orderId,
    fixed_location_ids: "north",
    location_ids: "north",
    parcel_location_id: "north",
    saga_id: method.name === "StartOrderSaga" ? newId() : makes ? "" : ids.sagaId,
    episode_id: method.name === "StartEpisode" ? newId() : ids.episodeId,
    episode_ids: ids.episodeId,
    saga: sagaThatSays("as agreed"),
    news: "PACKED",
    step: ids.step,
    key: field.parent.name === "GatewayOperation" ? randomUUID() : newId(),
    keys: newId(),
    service_level: "standard",
    after_key: "",
    to_key: "",
    // Of an authorization.
    reference: "",
  };
  return texts[field.name] ?? "as agreed";
}

/** What a saga that is over remembers. */
function sagaThatSays(customerMessage: string): string {
  return JSON.stringify({
    stage: "FAILED",
    status: "FAILED",
    steps: [],
    parcels: [],
    failure: { reason: "X", customerMessage },
  });
}

/** Fields whose text must be what it says, or the call does not get far. */
const exact = new Set([
  ...["saga_id", "episode_id", "episode_ids", "news", "shipment_id", "traceparent", "traceparents"],
  ...["url", "event_types"],
]);

/** Whether people may write what they like into a field; also a card's token, of which nobody knows the form. */
export function takesWords({ field }: TextField): boolean {
  const isFree = textRulesOf(field).pattern === "" || field.name === "card_token";
  return isFree && !mayLookLikeCard(field) && !exact.has(field.name);
}

/** Where a number was sent to. */
export interface Sent {
  /** `CreateOrder shipping_address.recipient`, or a header. */
  readonly place: string;
  /** The name of the field when it is meant to hold such numbers. */
  readonly meant: string | undefined;
}

function sentTo({ method }: ContractCall, { field, path }: TextField): Sent {
  return { place: `${method.name} ${path}`, meant: mayLookLikeCard(field) ? field.name : undefined };
}

/** Numbers of cards, or such with a wrong check digit, which no card has and nobody may take offence at. */
export type NumberKind = "cards" | "harmless";

/** E.164 has no longer ones: a phone with more digits would never be kept. */
const longestPhone = 15;

/** Makes numbers, each only once, and writes them as a field takes them. */
export class Numbers {
  readonly #kind: NumberKind;
  readonly #next: (below: number) => number;
  /** Where each number was sent to. */
  readonly sent = new Map<string, Sent>();

  /** @param seed other numbers for another one, the same in every run */
  constructor(kind: NumberKind, seed: number) {
    this.#kind = kind;
    this.#next = numbersFrom(seed);
  }

  /** Where a number that was found had been sent to. */
  placeOf({ digits }: { digits: string }): string | undefined {
    return this.sent.get(digits)?.place;
  }

  /** A number in digits, for what is no field. */
  digits(place: string): string {
    return this.#fresh({ place, meant: undefined }, (digits) => digits).digits;
  }

  /** A number in a form that a field takes, or in plain digits when it takes none. */
  text(call: ContractCall, field: TextField): string {
    const longest = field.field.name === "phone" ? longestPhone : Number.POSITIVE_INFINITY;
    return this.#fresh(sentTo(call, field), (digits) => this.#written(field, digits), longest).text;
  }

  #fresh(
    to: Sent,
    write: (digits: string) => string,
    longest = Number.POSITIVE_INFINITY,
  ): { digits: string; text: string } {
    for (;;) {
      const card = cardOf(this.#next);
      if (card.length > longest) continue;
      const digits = this.#kind === "cards" ? card : card.slice(0, -1) + ((Number(card.at(-1)) + 5) % 10);
      const text = write(digits);
      // Of a harmless number a part may be a card's.
      if (this.sent.has(digits) || (this.#kind === "harmless" && holdsCardNumber(text))) continue;
      this.sent.set(digits, to);
      return { digits, text };
    }
  }

  #written({ field }: TextField, digits: string): string {
    const { pattern, email, longest } = textRulesOf(field);
    const spaced = grouped(digits, pick(groupings, this.#next), pick(separators, this.#next));
    const forms = [
      ...[digits, spaced, spaced, `paid with ${spaced}, thank you`, wide(spaced), `(${wide(digits)})`],
      ...(field.name === "card_token" ? [`tok_${digits}`, `pm_${digits.slice(0, 4)}_${digits.slice(4)}`] : []),
      ...(field.name === "phone" ? [`+${digits}`] : []),
    ];
    const fitting = forms.filter((form) => form.length <= longest && new RegExp(pattern).test(form));
    if (email) return `${digits}@example.com`;
    if (field.name === "saga") return sagaThatSays(spaced);
    return fitting.length > 0 ? pick(fitting, this.#next) : digits;
  }
}
