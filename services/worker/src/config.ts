import { z } from "zod";
import type { ConfigOf } from "#platform/config.ts";
import type { LongListPolicy } from "./activities/long-batch.ts";
import { bundleFolder } from "./temporal/bundle.ts";
import { defaultOptions } from "./workflows/engine/options.ts";
import type { SagaOptions } from "./workflows/order-state.ts";

const address = (port: number) => z.string().min(1).default(`127.0.0.1:${port}`);
const count = (fallback: number) => z.coerce.number().int().min(1).default(fallback);
const milliseconds = count;

/** What the worker reads besides the platform's own. Durations are milliseconds. */
export const workerConfig = {
  TEMPORAL_ADDRESS: address(7233),
  TEMPORAL_NAMESPACE: z.string().min(1).default("default"),
  /** Whether the connection to Temporal is protected; by the authorities that Node knows unless `TEMPORAL_TLS_CA` names one. */
  TEMPORAL_TLS: z.stringbool().default(false),
  /** PEM files: who signs for Temporal, and what the worker shows it of itself. */
  TEMPORAL_TLS_CA: z.string().min(1).optional(),
  TEMPORAL_TLS_CERT: z.string().min(1).optional(),
  TEMPORAL_TLS_KEY: z.string().min(1).optional(),
  /** The name in Temporal's certificate, when it is not that of the address. */
  TEMPORAL_TLS_SERVER_NAME: z.string().min(1).optional(),
  /** Sent with every call, as Temporal Cloud wants it. */
  TEMPORAL_API_KEY: z.string().min(1).optional(),
  TASK_QUEUE: z.string().min(1).default("ordermesh"),
  /** Which version of the worker this is, and of which deployment: both or none. See `deploymentOf`. */
  TEMPORAL_DEPLOYMENT: z.string().min(1).optional(),
  TEMPORAL_BUILD_ID: z.string().min(1).optional(),
  /** How long to wait for Temporal at the start, and for one of its answers. */
  TEMPORAL_TIMEOUT_MS: milliseconds(10_000),
  /** Where the SDK's core tells its metrics on the loopback, to be shown with ours; 0 takes any free port. */
  TEMPORAL_METRICS_PORT: z.coerce.number().int().min(0).max(65_535).default(0),
  /** A bundle of the workflows, made by `services/worker/src/temporal/bundle.ts`; bundled at the start when not given. */
  WORKFLOW_BUNDLE: z.string().min(1).optional(),
  /** Where what is bundled at the start is kept for the next one; need not be writable. */
  WORKFLOW_BUNDLE_FOLDER: z.string().min(1).default(bundleFolder),
  ORDERS_ADDRESS: address(50051),
  PAYMENTS_ADDRESS: address(50052),
  INVENTORY_ADDRESS: address(50053),
  SHIPPING_ADDRESS: address(50054),
  /** Workflows that are kept in memory; others are replayed from their history when something happens to them. */
  MAX_CACHED_WORKFLOWS: count(1_000),
  MAX_WORKFLOW_TASKS: count(200),
  MAX_LOCAL_ACTIVITIES: count(200),
  MAX_ACTIVITIES: count(500),
  /** The tunables of a saga; see `SagaOptions`. A running saga keeps those that it began with. */
  SAGA_STEP_TIMEOUT_MS: milliseconds(defaultOptions.stepTimeoutMs),
  SAGA_ATTEMPTS: count(defaultOptions.attempts),
  SAGA_FIRST_RETRY_MS: milliseconds(defaultOptions.firstRetryMs),
  SAGA_MAX_RETRY_MS: milliseconds(defaultOptions.maxRetryMs),
  SAGA_PATIENCE_MS: milliseconds(defaultOptions.patienceMs),
  SAGA_CHECKOUT_PATIENCE_MS: milliseconds(defaultOptions.checkoutPatienceMs),
  SAGA_POLL_MS: milliseconds(defaultOptions.pollMs),
  SAGA_LONG_STEP_MS: milliseconds(defaultOptions.longStepMs),
  SAGA_HEARTBEAT_MS: milliseconds(defaultOptions.heartbeatMs),
  SAGA_PENDING_FIRST_MS: milliseconds(defaultOptions.pendingFirstMs),
  SAGA_PENDING_MAX_MS: milliseconds(defaultOptions.pendingMaxMs),
  SAGA_MAX_HISTORY: count(defaultOptions.maxHistory),
  /** How long packed parcels wait for the others of their list before they go on. */
  SAGA_LIST_GRACE_MS: z.coerce.number().int().min(0).default(500),
};

/** The values of {@link workerConfig}. */
export type WorkerConfig = ConfigOf<typeof workerConfig>;

/** The tunables that new sagas begin with. */
export function sagaOptions(config: WorkerConfig): SagaOptions {
  return {
    stepTimeoutMs: config.SAGA_STEP_TIMEOUT_MS,
    attempts: config.SAGA_ATTEMPTS,
    firstRetryMs: config.SAGA_FIRST_RETRY_MS,
    maxRetryMs: config.SAGA_MAX_RETRY_MS,
    patienceMs: config.SAGA_PATIENCE_MS,
    checkoutPatienceMs: config.SAGA_CHECKOUT_PATIENCE_MS,
    pollMs: config.SAGA_POLL_MS,
    longStepMs: config.SAGA_LONG_STEP_MS,
    heartbeatMs: config.SAGA_HEARTBEAT_MS,
    pendingFirstMs: config.SAGA_PENDING_FIRST_MS,
    pendingMaxMs: config.SAGA_PENDING_MAX_MS,
    maxHistory: config.SAGA_MAX_HISTORY,
  };
}

/** How the long activities wait. */
export function longListPolicy(config: WorkerConfig): LongListPolicy {
  return { boundMs: config.SAGA_LONG_STEP_MS, graceMs: config.SAGA_LIST_GRACE_MS, firstLookMs: 100 };
}
