import { z } from "zod";

/** Why an order is held up or refused; the rules of `docs/fraud.md`. Metrics have them as labels. */
export const reasons = [
  "AMOUNT",
  "NEW_CUSTOMER",
  "CUSTOMER_ORDERS",
  "CARD_ORDERS",
  "CARD_CUSTOMERS",
  "ADDRESS_ORDERS",
  "NAME_MISMATCH",
  "LISTED_CUSTOMER",
  "LISTED_EMAIL",
  "LISTED_POSTAL_CODE",
  "LISTED_CARD",
] as const;

export type Reason = (typeof reasons)[number];

/** What is to become of an order, the mildest first. */
export const verdicts = ["pass", "review", "refuse"] as const;

export type Verdict = (typeof verdicts)[number];

const amounts = z.record(z.string().regex(/^[A-Z]{3}$/, "is no currency"), z.int().min(1));
/** Kept for so long; what is older is not counted. */
const maxMinutes = 30 * 24 * 60;
const minutes = z.int().min(1).max(maxMinutes);
/** Of what is counted for one order, so much is looked at. */
const count = z.int().min(2).max(1_000);
const frequency = z.strictObject({ minutes, review: count.optional(), refuse: count.optional() });

/** The rules by which orders are screened; what is left out is not looked at. Amounts are minor units by currency. */
export const rulesSchema = z.strictObject({
  /** From this total on. */
  amount: z.strictObject({ review: amounts.optional(), refuse: amounts.optional() }).optional(),
  /** From this total on, of a customer who is known for no longer. */
  new_customer: z.strictObject({ minutes, review: amounts.optional(), refuse: amounts.optional() }).optional(),
  /** From the so-and-so-many-th order within that time on: of a customer, by a card, to an address. */
  customer_orders: frequency.optional(),
  card_orders: frequency.optional(),
  address_orders: frequency.optional(),
  /** From the so-and-so-many-th customer on who orders by a card within that time. */
  card_customers: frequency.optional(),
  /** From this total on, when it goes to somebody who has none of the customer's names. */
  name_mismatch: z.strictObject({ review: amounts.optional(), refuse: amounts.optional() }).optional(),
});

export type Rules = z.infer<typeof rulesSchema>;

const id = z.string().regex(/^[0-7][0-9A-HJKMNP-TV-Z]{25}$/, "is no id");
const hash = z.string().regex(/^[0-9a-f]{16}$/, "is no hash of 16 hexadecimal digits");
const postalCode = z.string().regex(/^[A-Z]{2}-\S.*$/, "is no country and postal code, such as DE-10119");
const listed = z.strictObject({
  customers: z.array(id).optional(),
  emails: z.array(hash).optional(),
  postal_codes: z.array(postalCode).optional(),
  cards: z.array(hash).optional(),
});

/** Who always passes, who is always looked at, and who is refused; the strictest counts, but for those who always pass. */
export const listsSchema = z.strictObject({
  allow: listed.optional(),
  review: listed.optional(),
  refuse: listed.optional(),
});

export type Lists = z.infer<typeof listsSchema>;

/** How an order is known to the lists. */
export interface Marks {
  readonly customerId: string;
  /** 16 hexadecimal digits; empty when the customer was erased. */
  readonly emailHash: string;
  /** 16 hexadecimal digits each; empty for an order from before it was screened. */
  readonly cardHash: string;
  readonly postalHash: string;
}

/** How often something happened lately, before the order and without it. */
export interface Counts {
  readonly customerOrders: number;
  readonly cardOrders: number;
  readonly addressOrders: number;
  /** Other customers than its own. */
  readonly cardCustomers: number;
}

/** What the rules look at. */
export interface Facts {
  readonly currency: string;
  /** Minor units. */
  readonly total: bigint;
  /** For how long the customer is known. */
  readonly customerAgeMs: number;
  readonly counts: Counts;
  /** Whether the recipient has none of the customer's names; undefined when nobody looked. */
  readonly namesDiffer: boolean | undefined;
}

/** What was found about an order. */
export interface Finding {
  readonly verdict: Verdict;
  /** Those of the strictest, each once. */
  readonly reasons: readonly Reason[];
  /** Every rule that said something, with what it said. */
  readonly hits: readonly Hit[];
}

/** What one rule says. */
export interface Hit {
  readonly reason: Reason;
  readonly verdict: Verdict;
}

interface Bounds<T> {
  readonly review?: T | undefined;
  readonly refuse?: T | undefined;
}

function strictest<T>(bounds: Bounds<T> | undefined, exceeds: (bound: T) => boolean): Verdict {
  const { review, refuse } = bounds ?? {};
  if (refuse !== undefined && exceeds(refuse)) return "refuse";
  return review !== undefined && exceeds(review) ? "review" : "pass";
}

/** Whether the total is one for which the names are compared. */
export function comparesNames({ name_mismatch: rule }: Rules, { currency, total }: Pick<Facts, "currency" | "total">) {
  return strictest(rule, reaches(currency, total)) !== "pass";
}

function reaches(currency: string, total: bigint) {
  return (from: Readonly<Record<string, number>>) => {
    const bound = from[currency];
    return bound !== undefined && total >= BigInt(bound);
  };
}

/** What the rules say of an order: the strictest of them counts. */
export function judge(rules: Rules, facts: Facts): Hit[] {
  const { currency, total, customerAgeMs, counts, namesDiffer } = facts;
  const isFrom = reaches(currency, total);
  const isNew = rules.new_customer !== undefined && customerAgeMs < rules.new_customer.minutes * 60_000;
  const often = (before: number) => (bound: number) => before + 1 >= bound;
  const said: [Reason, Verdict][] = [
    ["AMOUNT", strictest(rules.amount, isFrom)],
    ["NEW_CUSTOMER", isNew ? strictest(rules.new_customer, isFrom) : "pass"],
    ["CUSTOMER_ORDERS", strictest(rules.customer_orders, often(counts.customerOrders))],
    ["CARD_ORDERS", strictest(rules.card_orders, often(counts.cardOrders))],
    ["ADDRESS_ORDERS", strictest(rules.address_orders, often(counts.addressOrders))],
    ["CARD_CUSTOMERS", strictest(rules.card_customers, often(counts.cardCustomers))],
    ["NAME_MISMATCH", namesDiffer ? strictest(rules.name_mismatch, isFrom) : "pass"],
  ];
  return said.flatMap(([reason, verdict]) => (verdict === "pass" ? [] : [{ reason, verdict }]));
}

/** What comes of all that was said: nothing is a pass. */
export function findingOf(hits: readonly Hit[]): Finding {
  const verdict = verdicts.findLast((candidate) => hits.some((hit) => hit.verdict === candidate)) ?? "pass";
  const decisive = hits.filter((hit) => hit.verdict === verdict).map(({ reason }) => reason);
  return { verdict, reasons: [...new Set(decisive)], hits };
}

/** Whether two share a name: letters without accents, in any order. A name that is not known differs from none. */
export function sharesName(recipient: string, names: readonly string[]): boolean {
  const known = new Set(names.flatMap(wordsOf));
  const words = wordsOf(recipient);
  return known.size === 0 || words.length === 0 || words.some((word) => known.has(word));
}

function wordsOf(text: string): string[] {
  return text
    .normalize("NFKD")
    .replaceAll(/\p{M}/gu, "")
    .toLowerCase()
    .split(/[^\p{L}]+/u)
    .filter((word) => word.length > 1);
}
