import { hash } from "node:crypto";
import type { Queryable } from "#platform/database/transaction.ts";
import { BlindIndex } from "#platform/personal/blind-index.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import type { NewOrder, ShippingAddress } from "../order/order.ts";
import type { SimilarityColumns } from "../order/order-similarity.ts";

/**
 * Makes hashes that say that two cards, or two addresses, are the same, and nothing else. Their key is that of the index of e-mail
 * addresses. Where personal data lies plain, nothing is hidden, and there is no key.
 */
export class ScreeningKeys {
  readonly #index: BlindIndex | undefined;

  constructor(database: Queryable, personal: PersonalData) {
    this.#index = personal.keys && new BlindIndex(database, personal.keys);
  }

  /** What is kept of an order. One that no card pays is like no other by that. */
  async columnsOf({
    orderId,
    cardToken,
    shippingAddress,
  }: Pick<NewOrder, "orderId" | "cardToken" | "shippingAddress">) {
    const [card_key, address_key, postal_key] = await Promise.all([
      cardToken === "" ? this.#keyOf("no card", orderId) : this.#keyOf("card", cardToken),
      this.#keyOf("address", addressText(shippingAddress)),
      this.#keyOf("postal code", postalText(shippingAddress.country, shippingAddress.postalCode)),
    ]);
    const columns: SimilarityColumns = { country: shippingAddress.country, card_key, address_key, postal_key };
    return columns;
  }

  /** As lists name it: of a postal code such as `DE-10119`, 16 hexadecimal digits. */
  async postalHash(code: string): Promise<string> {
    return digitsOf(await this.#keyOf("postal code", postalText(code.slice(0, 2), code.slice(3))));
  }

  async #keyOf(kind: string, text: string): Promise<string> {
    const said = `${kind}\0${text}`;
    const bytes = this.#index ? await this.#index.hash(said) : hash("sha256", said, "buffer");
    return String(bytes.readBigInt64BE());
  }
}

/** A column as lists name it: 16 hexadecimal digits. */
export function digitsOf(key: bigint | string): string {
  return BigInt.asUintN(64, BigInt(key)).toString(16).padStart(16, "0");
}

/** An e-mail address as lists name it, from what is known of it: its hash in hexadecimal, or itself where it lies plain. */
export function emailDigits({
  emailHash,
  email,
}: {
  readonly emailHash: string | null;
  readonly email: string | null;
}) {
  if (emailHash !== null) return emailHash.slice(0, 16);
  return email === null ? "" : hash("sha256", email.normalize("NFKC").trim().toLowerCase()).slice(0, 16);
}

/** The same place however it is written: case, accents, spaces and punctuation do not count, nor does who lives there. */
function addressText({ lines, city, postalCode, country }: ShippingAddress): string {
  return [country, bare(postalCode), bare(city), bare(lines.join(" "))].join("\0");
}

function postalText(country: string, postalCode: string): string {
  return `${country}\0${bare(postalCode)}`;
}

function bare(text: string): string {
  return text
    .normalize("NFKD")
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]/gu, "");
}
