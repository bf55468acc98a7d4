import type { NewOrder } from "./order.ts";

/** By what orders resemble each other, as columns hold it: 64 bits of a keyed hash each, but for the country. */
export interface SimilarityColumns {
  /** ISO 3166-1 alpha-2, where it goes. */
  readonly country: string;
  readonly card_key: string;
  readonly address_key: string;
  readonly postal_key: string;
}

/** Says of each new order what is kept of it; none of all of them while orders are not screened. */
export type SimilaritySource = (orders: readonly NewOrder[]) => Promise<readonly SimilarityColumns[]>;

/** Keeps nothing. */
export const noSimilarity: SimilaritySource = () => Promise.resolve([]);
