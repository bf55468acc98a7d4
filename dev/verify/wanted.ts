import { costOf, type Wish, type WishAdjustment } from "../shop/shopper.ts";
import { type Afterthought, drawAfterthought } from "./afterthought.ts";
import type { Chance } from "./chance.ts";
import { isRefusedByStripe } from "./stripe-cards.ts";

/** What somebody wants, and how the caller behaves. */
export interface Wanted {
  readonly wish: Wish;
  /** How often the same request is made at the same time. */
  readonly parallel: number;
  /** How long after its order was placed the caller wants it back, in milliseconds; undefined: never. */
  readonly cancelAfterMs: number | undefined;
  /** What else the caller wants of it later. */
  readonly afterthought: Afterthought | undefined;
  /** How long after the one before it comes, in milliseconds. */
  readonly afterMs: number;
}

/** What is on the shelves: more than enough of some, and the last units of one that many want. */
export const shelves = [
  { sku: "plenty", locationId: "north", quantity: 1_000_000 },
  { sku: "elsewhere", locationId: "south", quantity: 1_000_000 },
  { sku: "last", locationId: "north", quantity: 12 },
  { sku: "last", locationId: "south", quantity: 6 },
  { sku: "scarce", locationId: "north", quantity: 1 },
] as const;

/** An article that comes by and by, and that orders wait for; see {@link Supplier}. */
export const scarce = "scarce";

/** How orders move in a campaign: soon, but not all at once, so that faults find them in every state. */
export const pace = {
  simulators: {
    SIMULATOR_SLOW_MS: "4000",
    PACKING_MS: "300",
    PACKING_SPREAD_MS: "3000",
    CARRIER_TRANSIT_MS: "1500",
    CARRIER_SLOW_MS: "1500",
  },
  // A request takes as long as one of the fake's that is slow, or is given up before.
  stripe: {
    STRIPE_TIMEOUT_MS: "3000",
    STRIPE_SETTLE_MS: "8000",
    STRIPE_LOOK_EVERY_MS: "10000",
    STRIPE_REQUESTS_PER_SECOND: "100",
    STRIPE_ENDPOINT_REQUESTS_PER_SECOND: "100",
  },
} as const;

const cards = [
  "tok_approve",
  "tok_approve",
  "tok_approve",
  "tok_approve",
  "tok_approve",
  "tok_decline",
  "tok_insufficient_funds",
  "tok_timeout_after_success",
  "tok_error_500",
  "tok_slow",
  "tok_capture_timeout_after_success",
  "tok_capture_error_500",
  "tok_capture_slow",
  "tok_void_timeout_after_success",
  "tok_void_error_500",
  "tok_refund_timeout_after_success",
] as const;

const postalCodes = [
  "T1",
  "T1",
  "T1",
  "T1",
  "T1",
  "T1",
  "SIM-UNPACKABLE",
  "SIM-REFUSE",
  "SIM-TIMEOUT",
  "SIM-ERROR",
  "SIM-SLOW",
  "SIM-LOST",
  "SIM-BACK-REFUSE",
  "SIM-BACK-TIMEOUT",
  "SIM-BACK-DELIVER",
  "SIM-BACK-LOSE",
] as const;

/** From the first moment until after the last parcel has arrived: some come just when a parcel leaves. */
const latestCancellationMs = 6_000;

/** How much is wanted. */
export interface Demand {
  /** What the request ids begin with. */
  readonly name: string;
  readonly orders: number;
  /** The time in which they come. */
  readonly overMs: number;
  /** Whether somebody brings what some of them wait for; by default none waits. */
  readonly supplied?: boolean;
}

/** Draws what is wanted: arrivals by themselves (Poisson), so many in such a time. */
export function drawWanted(chance: Chance, { name, orders, overMs, supplied = false }: Demand): Wanted[] {
  const meanMs = overMs / orders;
  const prices = chance.aside();
  const patience = prices.aside();
  const later = patience.aside();
  const parts = later.aside();
  const wait = (wish: Wish) => (supplied ? content(patient(wish, patience), parts) : wish);
  return Array.from({ length: orders }, (_, index) => ({
    wish: wait(priced(drawWish(chance, `${name}-${index}`), prices)),
    parallel: chance.next() < 0.1 ? chance.between(2, 4) : 1,
    cancelAfterMs: chance.next() < 0.2 ? Math.round(latestCancellationMs * chance.next() ** 2) : undefined,
    afterthought: drawAfterthought(later),
    afterMs: -Math.log(1 - chance.next()) * meanMs,
  }));
}

function drawWish(chance: Chance, requestId: string): Wish {
  return {
    requestId,
    cardToken: chance.pick(cards),
    postalCode: chance.pick(postalCodes),
    lines: [
      { sku: "plenty", quantity: chance.between(1, 3) },
      ...(chance.next() < 0.3 ? [{ sku: "elsewhere", quantity: 1 }] : []),
      ...(chance.next() < 0.15 ? [{ sku: "last", quantity: chance.between(1, 3) }] : []),
    ],
  };
}

/** With none, two and three decimals. */
const currencies = ["JPY", "EUR", "BHD"] as const;

/** The same with prices of chance, which do not divide well; some as it was. */
function priced(wish: Wish, chance: Chance): Wish {
  if (chance.next() < 0.3) return wish;
  const lines = wish.lines.map((line) => {
    const dear = { ...line, unitPrice: chance.between(1, 9_999) };
    return chance.next() < 0.5 ? dear : { ...dear, adjustments: drawAdjustments(chance, costOf(dear)) };
  });
  const cost = lines.reduce((sum, line) => sum + costOf(line), 0);
  const shipping: WishAdjustment = { kind: "SHIPPING", amount: chance.between(0, 999) };
  return {
    ...wish,
    lines,
    currency: chance.pick(currencies),
    adjustments: [shipping, ...drawAdjustments(chance, cost + shipping.amount)],
  };
}

/** The same with an article that has to be waited for; most as they were. Nobody brings more of the last units. */
function patient(wish: Wish, chance: Chance): Wish {
  if (chance.next() < 0.6 || wish.adjustments || wish.lines.some(({ sku }) => sku === "last")) return wish;
  return { ...wish, waits: true, lines: [...wish.lines, { sku: scarce, quantity: chance.between(1, 3) }] };
}

/** The same that takes what is there of what there may be too little of; some wait for the rest of it. */
function content(wish: Wish, chance: Chance): Wish {
  const isRare = wish.lines.some(({ sku }) => sku === "last" || sku === scarce);
  if (!isRare || chance.next() < 0.5) return wish;
  const { waits = false, ...rest } = wish;
  return { ...rest, inPart: true, ...(waits && chance.next() < 0.7 && { waits }) };
}

/** A discount that leaves something, and a tax of what is left: added, or included. */
function drawAdjustments(chance: Chance, cost: number): WishAdjustment[] {
  const discount = chance.between(0, Math.floor(cost / 2));
  const tax = chance.between(0, Math.floor((cost - discount) / 4));
  return [
    { kind: "DISCOUNT", amount: 0 - discount },
    { kind: "TAX", amount: tax, included: chance.next() < 0.5 },
  ];
}

/** How an order may end that was not cancelled. */
export function endsOf({ cardToken, postalCode, lines }: Wish): readonly string[] {
  const refused = cardToken === "tok_decline" || cardToken === "tok_insufficient_funds" || isRefusedByStripe(cardToken);
  const rejected = refused || lines.some(({ sku }) => sku === "last") ? ["rejected"] : [];
  if (refused) return rejected;
  return [...rejected, ...deliveries(postalCode)];
}

function deliveries(postalCode: string | undefined): string[] {
  if (postalCode === "SIM-UNPACKABLE" || postalCode === "SIM-REFUSE" || postalCode === "SIM-LOST") return ["failed"];
  return ["delivered"];
}
