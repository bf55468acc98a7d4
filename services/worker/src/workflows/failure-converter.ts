import { DefaultFailureConverter } from "@temporalio/common";

/**
 * Puts the message and the stack of a failure into a payload, which is encrypted like every other. Temporal's client, its worker and the
 * sandbox of the workflows each take it from here by its name.
 */
export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
