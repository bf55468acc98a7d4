// What Stripe's cards are called that behave as those of the simulated gateway do. `pm_card_<endpoint>_<fault>` is the fake's own name for a card of whose
// payment one request to that endpoint goes wrong so.

/** Those with which nothing is bought, each for a reason of its own. */
const refused = [
  "pm_card_chargeDeclinedInsufficientFunds",
  "pm_card_authenticationRequired",
  "pm_card_offSession",
  "pm_card_oneCapture",
] as const;

/** By the card of the simulated gateway. */
export const stripeCards: Readonly<Record<string, readonly [string, ...string[]]>> = {
  tok_approve: ["pm_card_visa", "pm_card_mastercard", "pm_card_createDispute"],
  tok_decline: ["pm_card_chargeDeclined"],
  tok_insufficient_funds: refused,
  tok_timeout_after_success: ["pm_card_confirm_after", "pm_card_create_after", "pm_card_confirm_garbled"],
  tok_error_500: [
    "pm_card_confirm_fails",
    "pm_card_confirm_failsAfter",
    "pm_card_create_fails",
    "pm_card_create_before",
  ],
  tok_slow: ["pm_card_confirm_slow", "pm_card_confirm_hangs", "pm_card_create_slow"],
  tok_capture_timeout_after_success: ["pm_card_capture_after", "pm_card_capture_garbled"],
  tok_capture_error_500: ["pm_card_capture_fails", "pm_card_capture_failsAfter", "pm_card_capture_limited"],
  tok_capture_slow: ["pm_card_capture_slow", "pm_card_capture_hangs"],
  tok_void_timeout_after_success: ["pm_card_cancel_after", "pm_card_cancel_slow"],
  tok_void_error_500: ["pm_card_cancel_fails", "pm_card_cancel_failsAfter", "pm_card_cancel_before"],
  tok_refund_timeout_after_success: ["pm_card_refund_after", "pm_card_refund_failsAfter", "pm_card_refund_fails"],
};

/** Every card with which nothing can be bought. */
export const refusedByStripe: ReadonlySet<string> = new Set(["pm_card_chargeDeclined", ...refused]);
