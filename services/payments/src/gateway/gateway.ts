/** What the gateway says to a call. `processing`: it has the call and has not decided. */
export type GatewayAnswer =
  | { readonly state: "approved"; readonly reference: string }
  | { readonly state: "declined"; readonly code: string }
  | { readonly state: "processing" };

/** Every call ends when the signal fires. */
export interface GatewayCall {
  readonly signal: AbortSignal;
}

/** What an authorization asks for. Amounts are minor units. */
export interface GatewayAuthorization {
  /** What the gateway calls the card, never a card number. */
  readonly cardToken: string;
  readonly currency: string;
  readonly amount: bigint;
}

/** What a capture, void or refund asks for. */
export interface GatewayChange {
  /** From the answer to the authorization. */
  readonly reference: string;
  /** Minor units of the authorization's currency. */
  readonly amount: bigint;
}

/**
 * The card gateway. Every call carries a key: the same key with the same body has one effect and one answer. A refusal
 * is an answer; what is thrown says nothing about whether the call had its effect.
 *
 * All calls throw {@link GatewayAmbiguousError} and {@link GatewayUnavailableError}.
 */
export interface Gateway {
  /** Holds an amount. */
  authorize(key: string, request: GatewayAuthorization, call: GatewayCall): Promise<GatewayAnswer>;
  /** Takes a part or all of what is held. */
  capture(key: string, request: GatewayChange, call: GatewayCall): Promise<GatewayAnswer>;
  /** Gives free a part or all of what is held. */
  void(key: string, request: GatewayChange, call: GatewayCall): Promise<GatewayAnswer>;
  /** Pays back a part or all of what was captured. */
  refund(key: string, request: GatewayChange, call: GatewayCall): Promise<GatewayAnswer>;
  /** What became of the call with this key; undefined when the gateway never heard of it. */
  find(key: string, call: GatewayCall): Promise<GatewayAnswer | undefined>;
}

/** The answer was lost: the call may have had its effect. Ask with `find`, never guess. */
export class GatewayAmbiguousError extends Error {
  override readonly name = "GatewayAmbiguousError";
}

/** The gateway could not be reached: this call had no effect. */
export class GatewayUnavailableError extends Error {
  override readonly name = "GatewayUnavailableError";
}

/** The key was used before with another body: a fault in our code. */
export class GatewayKeyReusedError extends Error {
  override readonly name = "GatewayKeyReusedError";
}
