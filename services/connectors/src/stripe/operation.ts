/** What Stripe can be asked to do. */
export type OperationKind = "authorize" | "capture" | "void" | "refund";

/**
 * Where an operation stands. `begun`: it certainly has no effect; `sent`: it may have it; the others are for good.
 */
export type OperationState = "begun" | "sent" | "approved" | "declined" | "requires_action";

/** An operation as it is asked for. What its key is bound to is all of it but `orderId` and `final`. */
export interface Asked {
  /** A UUID. */
  readonly key: string;
  readonly kind: OperationKind;
  /** Empty when nobody said for which order it is. */
  readonly orderId: string;
  /** Of an authorization: a payment method, `pm_…`. */
  readonly cardToken: string;
  /** Of all else: what the authorization was answered with. */
  readonly reference: string;
  readonly currency: string;
  /** Minor units of ISO 4217, more than zero. */
  readonly amount: bigint;
  readonly final: boolean;
}

/** An operation as it is remembered. */
export interface Operation extends Omit<Asked, "final"> {
  /** The key of the authorization, of an authorization its own. */
  readonly authorizationKey: string;
  readonly state: OperationState;
  /** Whether it was sent as the last one of its authorization. */
  readonly final: boolean;
  /** Why it is refused, or is to be; empty otherwise. */
  readonly code: string;
  /** What Stripe calls the authorization or refund; empty before that is known. */
  readonly stripeId: string;
  /** What was captured of the authorization when a capture was sent, as Stripe counts. */
  readonly base: bigint;
  /** How often it was found to have no effect after it was sent, and was to be sent again. */
  readonly attempts: number;
  /** How many idempotency keys are used up: Stripe has answered under them, which decided nothing. */
  readonly spentKeys: number;
  /** Of an authorization: when Stripe gives free what is held. */
  readonly holdExpireTime: Date | undefined;
  /** Whether somebody did it at Stripe, and nobody asked us. What became of the authorization leaves it out. */
  readonly outside: boolean;
}

/** What became of an authorization. Amounts are minor units of ISO 4217. */
export interface Authorization {
  readonly key: string;
  /** Stripe's PaymentIntent; empty before there is one. */
  readonly intentId: string;
  readonly currency: string;
  readonly amount: bigint;
  /** How often it can be captured, as the account could when it was asked for. */
  readonly maxCaptures: number;
  /** How often it was captured. */
  readonly captures: number;
  readonly captured: bigint;
  /** Also what is given free with the last operation only. */
  readonly voided: bigint;
  readonly refunded: bigint;
  /** What Stripe said that it has captured, as it counts. */
  readonly received: bigint;
}

/** What came of an operation, as the contract of connectors has it. */
export type Outcome =
  | { readonly state: "approved"; readonly reference: string; readonly holdExpireTime: Date | undefined }
  | { readonly state: "declined"; readonly code: string }
  | { readonly state: "requires_action" | "processing" | "not_executed" | "undetermined" | "reused" };

/** The outcome of an operation that is decided; undefined before. */
export function outcomeOf({ state, code, stripeId, reference, holdExpireTime }: Operation): Outcome | undefined {
  if (state === "approved") return { state, reference: stripeId || reference, holdExpireTime };
  if (state === "declined") return { state, code };
  return state === "requires_action" ? { state } : undefined;
}

/** Whether a key was used before for the same thing. */
export function isSame(operation: Operation, asked: Asked): boolean {
  // biome-ignore lint/plugin/timing: both are of the same caller
  const sameCard = operation.cardToken === asked.cardToken;
  return (
    sameCard &&
    operation.kind === asked.kind &&
    operation.reference === asked.reference &&
    operation.currency === asked.currency &&
    operation.amount === asked.amount
  );
}

/** What of an authorization is neither captured nor given free, or to be. */
export function leftOf({ amount, captured, voided }: Authorization): bigint {
  return amount - captured - voided;
}
