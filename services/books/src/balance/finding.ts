/** What one part of the balance found. */
export interface Finding {
  /** What was looked at, for the table: one sentence. */
  readonly checked: string;
  /** What is not as it must be, one sentence each; empty: in balance. */
  readonly wrong: readonly string[];
}

/** At most so many single cases of one fault are read and named. */
export const maxNamed = 20;

/** An order that is over, as orders has it. Amounts are minor units. */
export interface EndedOrder {
  readonly orderId: string;
  readonly status: "delivered" | "rejected" | "cancelled" | "failed";
  readonly total: bigint;
  readonly shipments: readonly { readonly locationId: string; readonly status: string; readonly amount: string }[];
  /** Article → how many were ordered. */
  readonly articles: Readonly<Record<string, number>>;
}
