/** What the gateway said to the authorization; `forestalled`: it was voided before it was asked for. */
export type Decision = "undecided" | "approved" | "declined" | "forestalled";

/** Where a payment stands, derived from its decision and amounts by {@link statusOf}. */
export type PaymentStatus = "pending" | "authorized" | "declined" | "captured" | "voided" | "refunded";

/** The amounts of a payment. All are minor units of its currency and never negative. */
export interface Amounts {
  /** What was asked for. */
  readonly amount: bigint;
  /** Refunds not deducted. */
  readonly captured: bigint;
  readonly voided: bigint;
  readonly refunded: bigint;
  /** What undecided captures will take when the gateway approves them: nobody else may take it. */
  readonly capturing: bigint;
  /** The same for undecided voids. */
  readonly voiding: bigint;
  /** The same for undecided refunds. */
  readonly refunding: bigint;
  /** What of the captured pays other orders; what of it is given back to the card counts still. */
  readonly credited: bigint;
}

/**
 * The money of one order. Always: captured + voided + capturing + voiding ≤ amount and refunded + refunding + credited ≤ captured.
 * Ids are 26 characters of Crockford base32.
 */
export interface Payment extends Amounts {
  readonly paymentId: string;
  /** Empty for a payment that was forestalled: nobody said what it would pay. */
  readonly orderId: string;
  readonly customerId: string;
  /** What the gateway calls the card. */
  readonly cardToken: string;
  /** ISO 4217; `XXX` (no currency) for a payment that was forestalled. */
  readonly currency: string;
  readonly decision: Decision;
  /** Who took the money, when the payment was imported with another shop: nothing more is done with it here. Empty: our gateway. */
  readonly provider: string;
  /** The payment that it is a credit of; empty: a card pays. See {@link gatewayEffectOf}. */
  readonly sourceId: string;
  /**
   * In how many payments is held what was asked for, each captured once, this one the first of them; what its capture leaves is given free by it. 0: it
   * is captured in parts.
   */
  readonly holds: number;
  /** The highest fence of those who have asked about it; where it is locked, about any payment of its order. 0: none had one. */
  readonly fence: number;
  /** All that is left is to be voided: nothing may be captured any more. */
  readonly closing: boolean;
  /** Why the gateway declined; empty otherwise. */
  readonly declineCode: string;
  /** The gateway's id of the authorization, of a credit that of the card's payment at its beginning; empty before there is one. */
  readonly gatewayReference: string;
  /** When the gateway gives free what is still held of an approved authorization; undefined while it has not said so. */
  readonly holdExpireTime: Date | undefined;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** ISO 4217: "no currency is involved". */
export const noCurrency = "XXX";

/** Where a payment may go next. Statuses follow from amounts, so this table is proven by a test, not asked at run time. */
export const transitions = {
  pending: ["authorized", "declined"],
  authorized: ["captured", "voided", "refunded"],
  declined: [],
  captured: ["refunded"],
  voided: [],
  refunded: [],
} as const satisfies Record<PaymentStatus, readonly PaymentStatus[]>;

/** What the gateway holds: neither captured nor voided. */
export function heldOf(payment: Payment): bigint {
  return payment.decision === "approved" ? payment.amount - payment.captured - payment.voided : 0n;
}

/** What undecided captures and voids will take. */
export function claimedOf({ capturing, voiding }: Amounts): bigint {
  return capturing + voiding;
}

/** What of the held nobody has claimed yet: a capture or void may take as much. Of what is captured once, a capture claims all. */
export function availableOf(payment: Payment): bigint {
  const isTaken = isCapturedOnce(payment) && payment.capturing > 0n;
  return payment.closing || isTaken ? 0n : heldOf(payment) - claimedOf(payment);
}

/** Whether the first capture is the last, and gives free what it does not take. */
export function isCapturedOnce({ holds }: Pick<Payment, "holds">): boolean {
  return holds > 0;
}

/** What a void of a part may take: before the authorization is decided, of what it may come to. */
export function voidableOf(payment: Payment): bigint {
  if (payment.decision !== "undecided") return availableOf(payment);
  return payment.closing ? 0n : payment.amount - payment.voiding;
}

/** What a refund may take. */
export function refundableOf(payment: Payment): bigint {
  return payment.captured - payment.refunded - payment.refunding - payment.credited;
}

/** Where the payment stands. The column `payment.status` is computed by the same rule. */
export function statusOf(payment: Payment): PaymentStatus {
  if (payment.decision === "undecided") return "pending";
  if (payment.decision === "declined") return "declined";
  if (heldOf(payment) > 0n) return "authorized";
  if (payment.captured === 0n) return "voided";
  return payment.refunded === payment.captured ? "refunded" : "captured";
}

/** The accounts of the ledger. */
export type Account =
  | "authorized_funds"
  | "held_for_customers"
  | "gateway_clearing"
  | "external_clearing"
  | "sales"
  | "refunds"
  | "customer_credit";

/** Why an amount moved. */
export type EntryKind = "authorization" | "authorization_end" | "capture" | "refund" | "refund_failure" | "credit";

/** One movement: `amount` goes from the credited to the debited account. */
export interface EntryDraft {
  readonly kind: EntryKind;
  readonly debit: Account;
  readonly credit: Account;
  /** Minor units, more than zero. */
  readonly amount: bigint;
}

/** What can happen to money once the gateway has said yes. */
export type Effect = "authorize" | "capture" | "void" | "refund";

/** The ledger's side of each effect; a capture or void also ends as much of the hold. */
export const movements = {
  authorize: [["authorization", "authorized_funds", "held_for_customers"]],
  capture: [
    ["authorization_end", "held_for_customers", "authorized_funds"],
    ["capture", "gateway_clearing", "sales"],
  ],
  void: [["authorization_end", "held_for_customers", "authorized_funds"]],
  refund: [["refund", "refunds", "gateway_clearing"]],
} as const satisfies Record<Effect, readonly (readonly [EntryKind, Account, Account])[]>;

/** The ledger's side of each effect on a credit: what would be refunded is owed, until it pays an order or goes back to the card. */
export const creditMovements = {
  authorize: [["credit", "refunds", "customer_credit"]],
  capture: [["capture", "customer_credit", "sales"]],
  void: [["refund", "customer_credit", "gateway_clearing"]],
  refund: [["refund", "refunds", "gateway_clearing"]],
} as const satisfies Record<Effect, readonly (readonly [EntryKind, Account, Account])[]>;

/** The ledger entries of an effect; none when no money moved. */
export function entriesOf(
  effect: Effect,
  amount: bigint,
  ledger: typeof movements | typeof creditMovements = movements,
): EntryDraft[] {
  if (amount === 0n) return [];
  return ledger[effect].map(([kind, debit, credit]) => ({ kind, debit, credit, amount }));
}

/** What the gateway is asked for an effect on a credit: nothing when it is made or captured, as the money is here. */
const creditEffects = {
  authorize: undefined,
  capture: undefined,
  void: "refund",
  refund: "refund",
} as const satisfies Record<Effect, Effect | undefined>;

/** What the gateway is to be asked for an effect; undefined: nothing, it is done. */
export function gatewayEffectOf({ sourceId }: Pick<Payment, "sourceId">, effect: Effect): Effect | undefined {
  return sourceId === "" ? effect : creditEffects[effect];
}

/** The same of money that another shop took: what its provider owes is apart from what our gateway does. */
export function importedEntriesOf(effect: Effect, amount: bigint): EntryDraft[] {
  const elsewhere = (account: Account) => (account === "gateway_clearing" ? "external_clearing" : account);
  return entriesOf(effect, amount).map((entry) => ({
    ...entry,
    debit: elsewhere(entry.debit),
    credit: elsewhere(entry.credit),
  }));
}

const longestCode = 64;

/** What audit log and traces say of a refusal: the gateway's code, which may be anything, at no great length. */
export function shortCode(code: string): string {
  return code.slice(0, longestCode);
}
