// What Stripe's cards are called that behave as those of the simulated gateway do. `pm_card_<endpoint>_<fault>` is the fake's own name for a card of whose
// payment one request to that endpoint goes wrong so. `pm_<anything>_card_…` is one payment method, which can be used once unless it is attached to a customer, and
// behaves as `pm_card_…`, of which each use is another one.

/** One that can be captured once, of which an account that captures in parts has no use. */
export const oneCapture = "pm_card_oneCapture";

/** Those with which nothing is bought, each for a reason of its own. */
const refused = [
  "pm_card_chargeDeclinedInsufficientFunds",
  "pm_card_chargeCustomerFail",
  "pm_card_authenticationRequired",
  "pm_card_offSession",
  oneCapture,
] as const;

/** By the card of the simulated gateway. */
export const stripeCards: Readonly<Record<string, readonly [string, ...string[]]>> = {
  tok_approve: ["pm_card_visa", "pm_card_mastercard", "pm_card_createDispute"],
  tok_decline: ["pm_card_chargeDeclined"],
  tok_insufficient_funds: refused,
  tok_timeout_after_success: [
    "pm_card_confirm_after",
    "pm_card_create_after",
    "pm_card_confirm_garbled",
    "pm_card_customer_after",
  ],
  tok_error_500: [
    "pm_card_confirm_fails",
    "pm_card_confirm_failsAfter",
    "pm_card_create_fails",
    "pm_card_create_before",
    "pm_card_customer_failsAfter",
  ],
  tok_slow: ["pm_card_confirm_slow", "pm_card_confirm_hangs", "pm_card_create_slow", "pm_card_customer_slow"],
  tok_capture_timeout_after_success: ["pm_card_capture_after", "pm_card_capture_garbled"],
  tok_capture_error_500: ["pm_card_capture_fails", "pm_card_capture_failsAfter", "pm_card_capture_limited"],
  tok_capture_slow: ["pm_card_capture_slow", "pm_card_capture_hangs"],
  tok_void_timeout_after_success: ["pm_card_cancel_after", "pm_card_cancel_slow"],
  tok_void_error_500: ["pm_card_cancel_fails", "pm_card_cancel_failsAfter", "pm_card_cancel_before"],
  tok_refund_timeout_after_success: ["pm_card_refund_after", "pm_card_refund_failsAfter", "pm_card_refund_fails"],
};

const allRefused: ReadonlySet<string> = new Set(["pm_card_chargeDeclined", ...refused]);

/** A payment method of its own that behaves as a card. @param name what tells it from all others: letters and digits */
export function paymentMethod(card: string, name: string): string {
  return card.replace(/^pm_card_/, `pm_${name}_card_`);
}

/** Whether nothing can be bought with a payment method. */
export function isRefusedByStripe(cardToken: string): boolean {
  return allRefused.has(cardToken.replace(/^pm_\w+?_card_/, "pm_card_"));
}
