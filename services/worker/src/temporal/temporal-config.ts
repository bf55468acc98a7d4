import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { ConfigOf } from "#platform/config.ts";
import { secret } from "#platform/secret.ts";
import { payloadConfig } from "../payloads/payload-config.ts";

const count = (fallback: number) => z.coerce.number().int().min(1).default(fallback);

/** The folder in which bundles are kept unless the configuration names one. */
export const bundleFolder = fileURLToPath(
  new URL("../../../../node_modules/.cache/ordermesh-workflows", import.meta.url),
);

/** What the worker reads about Temporal. Durations are milliseconds. */
export const temporalConfig = {
  TEMPORAL_ADDRESS: z.string().min(1).default("127.0.0.1:7233"),
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
  TEMPORAL_API_KEY: secret(z.string().min(1)).optional(),
  ...payloadConfig,
  TASK_QUEUE: z.string().min(1).default("ordermesh"),
  /** Which version of the worker this is, and of which deployment: both or none. See `deploymentOf`. */
  TEMPORAL_DEPLOYMENT: z.string().min(1).optional(),
  TEMPORAL_BUILD_ID: z.string().min(1).optional(),
  /** How long to wait for Temporal at the start, and for one of its answers. */
  TEMPORAL_TIMEOUT_MS: count(10_000),
  /** Where the SDK's core tells its metrics on the loopback, to be shown with ours; 0 takes any free port. */
  TEMPORAL_METRICS_PORT: z.coerce.number().int().min(0).max(65_535).default(0),
  /** A bundle of the workflows, made by `services/worker/src/temporal/bundle.ts`; bundled at the start when not given. */
  WORKFLOW_BUNDLE: z.string().min(1).optional(),
  /** Where what is bundled at the start is kept for the next one; need not be writable. */
  WORKFLOW_BUNDLE_FOLDER: z.string().min(1).default(bundleFolder),
  /** Workflows that are kept in memory; others are replayed from their history when something happens to them. */
  MAX_CACHED_WORKFLOWS: count(1_000),
  MAX_WORKFLOW_TASKS: count(200),
  MAX_LOCAL_ACTIVITIES: count(200),
  MAX_ACTIVITIES: count(500),
};

/** The values of {@link temporalConfig}. */
export type TemporalConfig = ConfigOf<typeof temporalConfig>;
