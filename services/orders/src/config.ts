import { z } from "zod";

const milliseconds = z.coerce.number().int().min(1);

/** What the orders service reads from its environment besides the platform's own. */
export const ordersConfig = {
  /** Where SagaService answers: `host:port`, or any target that grpc-js resolves. */
  WORKER_ADDRESS: z.string().min(1).default("127.0.0.1:50055"),
  /** The most orders that one statement inserts and one workflow carries; SagaService takes at most 64. */
  ORDER_LIST_MAX: z.coerce.number().int().min(1).max(64).default(64),
  /** Batches of new orders that are inserted at the same time. Fewer lanes make larger batches. */
  ORDER_INSERT_LANES: z.coerce.number().int().min(1).max(16).default(2),
  /** Starts of sagas that are under way at the same time. */
  DISPATCH_CONCURRENCY: z.coerce.number().int().min(1).default(16),
  /** How long the start of one saga may take. */
  DISPATCH_TIMEOUT_MS: milliseconds.default(4_000),
  /** How long the worker may refuse an order as invalid before the order is rejected. */
  ORDER_REJECT_AFTER_MS: z.coerce.number().int().min(0).default(300_000),
  /** Between two looks for orders whose saga was never acknowledged. */
  DISPATCH_SWEEP_EVERY_MS: milliseconds.default(1_000),
  /** Younger orders are left to the process that accepted them. More than the timeout of a start. */
  DISPATCH_SWEEP_AGE_MS: milliseconds.default(5_000),
};
