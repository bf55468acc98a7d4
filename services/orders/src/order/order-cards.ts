import type { PersonalData, Protected } from "#platform/personal/personal-data.ts";
import { type PersonalKeyRow, withKey } from "#platform/personal/personal-key.ts";

/** SQL: whether a column holds a token that is sealed. One that lies plain begins with `tok_` or `pm_`, which is not hexadecimal. */
export function isSealedCard(column: string): string {
  return `${column} ~ '^[0-9a-f]{32}'`;
}

/** SQL of a token as a column holds it, with its key behind it when it is sealed. */
export function cardWithKey(column: string): string {
  return `case when ${isSealedCard(column)} then ${withKey(column)} else ${column} end`;
}

/** SQL of the id of a token's key; null when it lies plain. */
export function cardKeyOf(column: string): string {
  return `case when ${isSealedCard(column)} then left(${column}, 32)::uuid end`;
}

/** Takes a uuid. */
export function orderCardPlace(orderId: string): string {
  return `customer_order.card_token/${orderId}`;
}

/** Takes the uuid of the order. */
export function amendmentCardPlace(orderId: string): string {
  return `order_amendment.card_token/${orderId}`;
}

/** Takes the uuid of the return. */
export function exchangeCardPlace(returnId: string): string {
  return `order_return.exchange/${returnId}`;
}

/** A token as it is to lie, and the key that is to be written with it when it is sealed by one of its own. */
export interface ProtectedCard {
  readonly stored: string;
  readonly key: PersonalKeyRow | undefined;
}

/** Has the tokens of cards lie sealed, or plain, until they are needed no more. An empty one is none. */
export class OrderCards {
  /** Whether what is written is sealed. */
  readonly seals: boolean;
  readonly #personal: PersonalData;

  /** @param mode whether tokens are sealed where personal data is */
  constructor(personal: PersonalData, mode: "sealed" | "plain" = "sealed") {
    this.#personal = personal;
    this.seals = personal.seals && mode === "sealed";
  }

  /** By a key of its own. */
  async protect(place: string, token: string): Promise<ProtectedCard> {
    if (!this.seals || token === "") return { stored: token, key: undefined };
    const { text, key } = await this.#personal.seal(place, token);
    return { stored: text, key };
  }

  /** By the key of what is written with it, or has been, so that it costs none of its own; plain when that is plain. */
  async protectBeside({ stored, key }: Protected<object>, place: string, token: string): Promise<string> {
    if (!key || typeof stored !== "string") return token;
    return this.sealBeside(`${stored} ${key.master} ${key.wrapped}`, place, token);
  }

  /** @param neighbour a sealed text with its key behind it */
  async sealBeside(neighbour: string, place: string, token: string): Promise<string> {
    if (!this.seals || token === "") return token;
    return (await this.#personal.sealBeside(neighbour, place, token)) ?? token;
  }

  /**
   * A token as it was given; empty when there is none, or when it is forgotten.
   *
   * @param stored as {@link cardWithKey} gives it
   */
  open(place: string, stored: string | null): Promise<string> {
    return openCard(this.#personal, place, stored);
  }
}

/** The same for who only reads. */
export async function openCard(personal: PersonalData, place: string, stored: string | null): Promise<string> {
  if (stored === null || !sealed.test(stored)) return stored ?? "";
  return ((await personal.open(place, stored)) as string | undefined) ?? "";
}

const sealed = /^[0-9a-f]{32}/;
