/** What the gateway can be asked to do. */
export type OperationKind = "authorize" | "capture" | "void" | "refund";

/** A call as it reaches the simulated gateway. */
export interface SimulatorCall {
  readonly key: string;
  readonly kind: OperationKind;
  /** The key of the authorization; the same as `key` for an authorization. */
  readonly authorizationKey: string;
  /** Of an authorization only; a change is of its authorization's card. */
  readonly cardToken: string;
  readonly currency: string;
  /** Minor units, more than zero. */
  readonly amount: bigint;
  /** Nothing of the authorization stays held. */
  readonly final: boolean;
}

/** What the simulated gateway remembers of a call. */
export interface SimulatorRecord {
  readonly key: string;
  readonly kind: OperationKind;
  readonly cardToken: string;
  readonly declineCode: string;
  /** Until the decision, 0 when it was made. */
  readonly remainingMs: number;
  readonly createTime: Date;
  /** Whether this very call made the record. */
  readonly fresh: boolean;
}

/** A record with the amounts of an authorization, which its changes move. */
export interface RecordRow extends Omit<SimulatorRecord, "fresh"> {
  readonly authorizationKey: string;
  readonly currency: string;
  readonly amount: bigint;
  captured: bigint;
  voided: bigint;
  refunded: bigint;
  /** What was voided, and is given free with the last operation. */
  deferred: bigint;
}

/** The key was used before with another body. */
export class KeyReusedError extends Error {
  override readonly name = "KeyReusedError";
}

/** The gateway answered 500, without any effect; who asks cannot tell. */
export class SimulatedFailure extends Error {
  override readonly name = "SimulatedFailure";
}
