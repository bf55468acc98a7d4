/** What was decided about an order that was held up, or that the rules refuse. */
export type ReviewDecision = "released" | "refused" | "expired";

/** Whether a person is to decide about an order, by the columns of its row. An accepted cancellation comes first: see {@link mayDecide}. */
export const awaitsReview = "review_time is not null and review_decision is null and status = 'pending'";

/** Whether a decision would be taken. */
export const mayDecide = `${awaitsReview} and cancel_time is null`;
