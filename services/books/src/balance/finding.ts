import type { Lot } from "#platform/money/allotment.ts";

/** What one part of the balance found. */
export interface Finding {
  /** What was looked at, for the table: one sentence. */
  readonly checked: string;
  /** What is not as it must be, one sentence each; empty: in balance. */
  readonly wrong: readonly string[];
}

/** At most so many single cases of one fault are read and named. */
export const maxNamed = 20;

/** One comparison, made page by page. */
export class Tally {
  readonly #say: (count: number) => string;
  readonly #wrong: string[] = [];
  #count = 0;

  /** @param say what was looked at, by how many there were */
  constructor(say: (count: number) => string) {
    this.#say = say;
  }

  /** Adds a page: how many were looked at, and what is wrong with them. */
  add(count: number, wrong: readonly (string | undefined)[]): void {
    this.#count += count;
    const sentences = wrong.filter((sentence) => sentence !== undefined);
    this.#wrong.push(...sentences.slice(0, maxNamed - this.#wrong.length));
  }

  get finding(): Finding {
    return { checked: this.#say(this.#count), wrong: this.#wrong };
  }
}

/** An order that is over, as orders has it. Amounts are minor units. */
export interface EndedOrder {
  readonly orderId: string;
  readonly status: "delivered" | "rejected" | "cancelled" | "failed" | "deleted" | "never placed";
  /** Whether another shop brought it to its end: it has neither parcels nor stock here, and maybe payments that were made elsewhere. */
  readonly imported: boolean;
  readonly total: bigint;
  readonly shipments: readonly EndedParcel[];
  /** Article → how many were ordered. */
  readonly articles: Readonly<Record<string, number>>;
  /** What its lines cost; undefined when that is nothing but what their pieces cost. */
  readonly lots: readonly Lot[] | undefined;
  /** What is back of it for certain. */
  readonly returned: ReturnedOfOrder;
  /** What of it credits pay, because it is sent in exchange; undefined: that is not known any more. */
  readonly credit: bigint | undefined;
}

/** A parcel of an order that is over, as orders has it. */
export interface EndedParcel {
  readonly locationId: string;
  readonly status: string;
  readonly amount: string;
  /** What was paid back of it because it was lost; absent: all of its amount, if it was. */
  readonly refunded?: string;
}

/** What came back of an order, as orders has it. */
export interface ReturnedOfOrder {
  /** What was paid back, in minor units. */
  readonly paid: bigint;
  /** `sku@location` → how many went back on the shelf. */
  readonly restocked: ReadonlyMap<string, number>;
  /** Whether stock or money of some of it may be on its way. */
  readonly isOnItsWay: boolean;
}
