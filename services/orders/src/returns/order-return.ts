import type { Money } from "../order/order.ts";
import type { ExchangeState, ReturnExchange } from "./return-exchange.ts";

/** Where a return may go next. Anything not listed is refused with ILLEGAL_RETURN_TRANSITION; an empty list is the end. */
export const returnTransitions = {
  requested: ["approved", "rejected", "cancelled"],
  approved: ["received", "cancelled"],
  received: ["completed", "rejected"],
  completed: [],
  rejected: [],
  cancelled: [],
} as const satisfies Record<string, readonly string[]>;

/** Where a return stands. */
export type ReturnStatus = keyof typeof returnTransitions;

/** Every status, in the order of a return's life. */
export const returnStatuses = Object.keys(returnTransitions) as ReturnStatus[];

/** Whether a return may go from one status to another. */
export function mayGo(from: ReturnStatus, to: ReturnStatus): boolean {
  const next: readonly ReturnStatus[] = returnTransitions[from];
  return next.includes(to);
}

/** Whether its articles are still to come. */
export function isExpected(status: ReturnStatus): boolean {
  return mayGo(status, "cancelled");
}

/** Whether its articles have come. */
export function hasCome(status: ReturnStatus): boolean {
  return status === "received" || status === "completed";
}

/** How a return came about. */
export const returnKinds = ["requested", "unasked", "goodwill", "cancellation"] as const;

/**
 * How a return came about: somebody asked for it, the parcel just came, nothing comes and somebody grants a refund, or the order was cancelled when
 * the parcel had left.
 */
export type ReturnKind = (typeof returnKinds)[number];

/** Why articles come back, and whether that is the shop's fault. */
export const returnReasons = {
  unwanted: { isOurs: false },
  damaged: { isOurs: true },
  defective: { isOurs: true },
  wrong_article: { isOurs: true },
  late: { isOurs: true },
  undeliverable: { isOurs: false },
  other: { isOurs: false },
} as const satisfies Record<string, { readonly isOurs: boolean }>;

/** Why articles come back. */
export type ReturnReason = keyof typeof returnReasons;

/** How far the label of a return has come; empty: none is wanted. */
export type LabelState = "" | "wanted" | "made" | "refused";

/** An article of a return. */
export interface ReturnLine {
  /** Which line of the order, from 1. */
  readonly lineNumber: number;
  readonly sku: string;
  /** How many are to come back. */
  readonly quantity: number;
  /** How many came. */
  readonly received: number;
  /** How many of these went back on the shelf. */
  readonly restocked: number;
  /** Where to; empty when none did. */
  readonly locationId: string;
  /** What the pieces have cost that came, in minor units of the order's currency; an estimate until then. */
  readonly amount: bigint;
}

/** Articles that come back. */
export interface OrderReturn {
  readonly orderId: string;
  readonly returnId: string;
  readonly customerId: string;
  readonly status: ReturnStatus;
  readonly kind: ReturnKind;
  readonly reason: ReturnReason;
  /** What the customer wrote; empty when nothing. */
  readonly note: string;
  /** What he was answered; empty when nothing. */
  readonly answer: string;
  readonly lines: readonly ReturnLine[];
  /** What is paid back; an estimate until the articles have come. */
  readonly amount: Money;
  /** What of it is kept. */
  readonly withheld: bigint;
  readonly trackingNumber: string;
  /** Where the parcel left from that comes back as a whole; empty when it is articles that do. */
  readonly parcelLocationId: string;
  /** Whether the carrier makes a label for it; empty: none is wanted. */
  readonly labelState: LabelState;
  /** Where the customer gets it, as the carrier says; empty while there is none. */
  readonly label: string;
  /** Why there is none, upper snake case; empty otherwise. */
  readonly labelCode: string;
  /** What is sent instead; undefined: it is paid back. */
  readonly exchange: ReturnExchange | undefined;
  /** Who granted it, as a credential has proved; empty where nobody did, and where nobody is asked who calls. */
  readonly grantedBy: string;
  /** Whether stock or money cannot be moved, and an operator looks after it. */
  readonly isDelayed: boolean;
  /** Counts the changes, from 1. */
  readonly revision: number;
  readonly createTime: Date;
  readonly updateTime: Date;
}

/** What of a return is written: the rest is known from elsewhere. */
export type WrittenReturn = Omit<OrderReturn, "isDelayed" | "createTime" | "updateTime">;

/** What customers read of each status; of one that is delayed something else. */
const texts: Readonly<Record<ReturnStatus, string>> = {
  requested: "We look at your request.",
  approved: "Please send the articles back.",
  received: "The articles have arrived. The refund is on its way.",
  completed: "The return is done.",
  rejected: "We cannot take the articles back.",
  cancelled: "The return was withdrawn.",
};

/** What they read where nothing comes back. */
const goodwillTexts: Readonly<Partial<Record<ReturnStatus, string>>> = {
  received: "We look into a refund.",
  completed: "We have paid back a part of what you paid.",
  rejected: "There is no refund.",
};

/** What they read where the order was cancelled. */
const cancellationTexts: Readonly<Partial<Record<ReturnStatus, string>>> = {
  approved: "It was too late to stop the parcel. Please send it back: then we pay back what it has cost.",
  cancelled: "The parcel does not come back any more.",
};

/** What they read of the label, of a return that is approved. */
const labelTexts: Readonly<Record<LabelState, string>> = {
  "": "",
  wanted: "The label for it is being made.",
  made: "The label for it is ready.",
  refused: "We send you a label for it.",
};

/** What they read of what is sent instead. */
const exchangeTexts: Readonly<Partial<Record<ReturnStatus, Partial<Record<ExchangeState, string>>>>> = {
  received: { wanted: "The articles have arrived. What you get for them is being ordered." },
  completed: {
    made: "The return is done, and what you get for it is ordered.",
    refused: "The return is done. What you wanted for it cannot be had, so it is paid back.",
    given_back: "The return is done. What you wanted for it does not come, so it is paid back.",
  },
};

const textsOfKind: Readonly<Partial<Record<ReturnKind, typeof goodwillTexts>>> = {
  goodwill: goodwillTexts,
  cancellation: cancellationTexts,
};

/** What the customer reads about where a return stands. */
export function textOf({
  status,
  kind,
  isDelayed,
  labelState,
  exchange,
}: Pick<OrderReturn, "status" | "kind" | "isDelayed" | "labelState" | "exchange">): string {
  if (isDelayed) return "The refund takes longer than usual: somebody looks after it.";
  const exchanged = exchange && exchangeTexts[status]?.[exchange.state];
  if (exchanged) return exchanged;
  const text = textsOfKind[kind]?.[status] ?? texts[status];
  const about = status === "approved" ? labelTexts[labelState] : "";
  return about === "" ? text : `${text} ${about}`;
}
