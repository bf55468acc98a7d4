import { defineUpdate } from "@temporalio/workflow";

/** Which order to cancel, and why. */
export interface CancelRequest {
  orderId: string;
  /** For the customer and the record. */
  reason: string;
}

/**
 * Has one order of an episode cancelled. Refused by its validator with NOT_CANCELLABLE, and with SAGA_NOT_FOUND when the order
 * is about to rest, or rests already: then its row decides.
 */
export const cancelOrder = defineUpdate<void, [CancelRequest]>("cancelOrder");
