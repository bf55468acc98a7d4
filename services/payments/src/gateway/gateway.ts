import type { Effect } from "../payment/payment.ts";

/** What the gateway says to a call. `processing`: it has the call and has not decided. */
export type GatewayAnswer =
  | { readonly state: "approved"; readonly reference: string; readonly holdExpireTime?: Date | undefined }
  | { readonly state: "declined"; readonly code: string }
  | { readonly state: "processing" };

/** Every call ends when the signal fires. */
export interface GatewayCall {
  readonly signal: AbortSignal;
}

/** One effect that is wanted of the gateway. Amounts are minor units. */
export interface GatewayOperation {
  /** The same key has one effect and one answer. */
  readonly key: string;
  readonly kind: Effect;
  /** For people; empty when nobody said for which order it is. */
  readonly orderId: string;
  /** What the gateway calls the card, never a card number. */
  readonly cardToken: string;
  /** From the answer to the authorization; empty for an authorization. */
  readonly reference: string;
  readonly currency: string;
  readonly amount: bigint;
  /** Whether nothing of the authorization is held after it, and nothing else of it is undecided. */
  readonly final: boolean;
  /** What of the authorization is decided so far; undefined where that is not known. */
  readonly before: { readonly captured: bigint; readonly voided: bigint; readonly refunded: bigint } | undefined;
  /** When it was accepted: it was not sent before. */
  readonly createTime: Date;
}

/**
 * The card gateway. The same key with the same body has one effect and one answer. A refusal is an answer; what is thrown says nothing about
 * whether the call had its effect.
 *
 * Calls throw {@link GatewayAmbiguousError} and {@link GatewayUnavailableError}.
 */
export interface Gateway {
  /**
   * Whether captures and voids of one authorization are to be sent one after the other: it gives free what was voided with the last of them, which has
   * to say so. True as long as nobody knows.
   */
  readonly inTurn: boolean;
  /** Whether it captures an authorization once. True when nobody says it: what is to be captured once can be held by any gateway. Never throws. */
  capturesOnce(): Promise<boolean>;
  /** Why it would certainly refuse an operation that it has never seen; undefined when it has to be asked. Never throws. */
  refusal(operation: GatewayOperation): string | undefined;
  /** Does what is wanted. */
  execute(operation: GatewayOperation, call: GatewayCall): Promise<GatewayAnswer>;
  /** What became of an operation that may have been sent; undefined when it has had no effect. */
  find(operation: GatewayOperation, call: GatewayCall): Promise<GatewayAnswer | undefined>;
}

/** The answer was lost: the call may have had its effect. Ask with `find`, never guess. */
export class GatewayAmbiguousError extends Error {
  override readonly name = "GatewayAmbiguousError";
}

/** The gateway could not be reached, or certainly did nothing: this call had no effect. */
export class GatewayUnavailableError extends Error {
  override readonly name = "GatewayUnavailableError";
}

/** The key was used before with another body: a fault in our code. */
export class GatewayKeyReusedError extends Error {
  override readonly name = "GatewayKeyReusedError";
}
