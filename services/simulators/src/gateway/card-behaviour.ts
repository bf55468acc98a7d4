import type { OperationKind } from "./gateway-operation.ts";

/** How the simulated gateway treats a call. */
export interface Behaviour {
  /** The code of a refusal; empty: the call is approved. */
  readonly declineCode: string;
  /** The call has its effect, but the first answer is lost. */
  readonly losesAnswer: boolean;
  /** So many calls with one key end in "500" without any effect, before one works. */
  readonly failures: number;
  /** The decision takes as long as the setting `slowMs`. */
  readonly slow: boolean;
}

const approve: Behaviour = { declineCode: "", losesAnswer: false, failures: 0, slow: false };

/**
 * Behaviours by the last part of a card token. `tok_<behaviour>` is about the authorization, `tok_<call>_<behaviour>`
 * about another call: `tok_decline`, `tok_capture_timeout_after_success`, `tok_void_error_500`.
 */
const behaviours: Readonly<Record<string, Behaviour>> = {
  approve,
  decline: { ...approve, declineCode: "card_declined" },
  insufficient_funds: { ...approve, declineCode: "insufficient_funds" },
  timeout_after_success: { ...approve, losesAnswer: true },
  error: { ...approve, failures: 2 },
  error_500: { ...approve, failures: 2 },
  error_500_forever: { ...approve, failures: Number.POSITIVE_INFINITY },
  slow: { ...approve, slow: true },
};

/** How a card behaves in one kind of call. An unknown token is approved. */
export function behaviourOf(cardToken: string, kind: OperationKind): Behaviour {
  const [, call = "authorize", name = ""] = /^tok_(?:(capture|void|refund)_)?(.+)$/.exec(cardToken) ?? [];
  if (call !== kind || !Object.hasOwn(behaviours, name)) return approve;
  return behaviours[name] ?? approve;
}
