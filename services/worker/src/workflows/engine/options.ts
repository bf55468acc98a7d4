import type { SagaOptions } from "../order-state.ts";

/** What a workflow runs with unless it is configured otherwise. */
export const defaultOptions: SagaOptions = {
  stepTimeoutMs: 5_000,
  attempts: 5,
  firstRetryMs: 1_000,
  maxRetryMs: 60_000,
  patienceMs: 3_600_000,
  checkoutPatienceMs: 900_000,
  pollMs: 86_400_000,
  longStepMs: 20_000,
  heartbeatMs: 10_000,
  pendingFirstMs: 500,
  pendingMaxMs: 60_000,
  maxHistory: 2_000,
};
