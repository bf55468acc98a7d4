import type { Logger } from "#platform/log/logger.ts";
import { carryStep, type GivenBack } from "./episode.repository.ts";

/** Says what becomes of an order that an episode did not settle, and why. */
export function logGivenBack(logger: Pick<Logger, "warn">, { orderId, episodeId, fault, parked }: GivenBack): void {
  const fields = {
    "order.id": orderId,
    "saga.id": episodeId,
    ...(fault && { "error.type": fault.reason, "error.message": fault.error }),
  };
  if (!fault) logger.warn("the workflow of an order is gone; the order is carried anew", fields);
  else if (!parked) logger.warn("an episode failed with an order; it is carried alone after a pause", fields);
  else logger.warn("a step of an order waits for an operator", { ...fields, "saga.step": carryStep });
}
