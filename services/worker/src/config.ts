import { z } from "zod";
import type { ConfigOf } from "#platform/config.ts";
import type { LongBatchPolicy } from "./activities/long-batch.ts";
import { scheduleNames } from "./schedules/schedule-table.ts";
import { temporalConfig } from "./temporal/temporal-config.ts";
import {
  type EpisodeOptions,
  type EpisodeVariable,
  episodeOptionsBy,
  episodeOptionTable,
} from "./workflows/engine/options.ts";
import {
  type SagaOptions,
  type SagaVariable,
  sagaOptionsBy,
  sagaOptionTable,
} from "./workflows/legacy/engine/options.ts";

const address = (port: number) => z.string().min(1).default(`127.0.0.1:${port}`);
const atLeastOne = (standard: number) => z.coerce.number().int().min(1).default(standard);

/**
 * The tunables of episodes and of sagas of the kind before them, each with its variable and what it is by default; see
 * `episodeOptionTable` and `sagaOptionTable`. Where both have one, it is the same.
 */
const sagaVariables = Object.fromEntries(
  [...Object.values(sagaOptionTable), ...Object.values(episodeOptionTable)].map(({ variable, standard }) => [
    variable,
    atLeastOne(standard),
  ]),
) as Record<SagaVariable | EpisodeVariable, ReturnType<typeof atLeastOne>>;

/** Schedules by their names, or all. */
function namesOf(text: string, context: z.RefinementCtx<string>): ReadonlySet<string> {
  const names = text.split(",").map((name) => name.trim());
  const given = new Set(names.filter((name) => name !== ""));
  const known: readonly string[] = ["all", ...scheduleNames];
  const unknown = [...given].filter((name) => !known.includes(name));
  if (unknown.length > 0) context.addIssue(`knows ${known.join(", ")}, and not ${unknown.join(", ")}`);
  return given;
}

/** What the worker reads besides the platform's own. Durations are milliseconds. */
export const workerConfig = {
  ...temporalConfig,
  ORDERS_ADDRESS: address(50051),
  PAYMENTS_ADDRESS: address(50052),
  INVENTORY_ADDRESS: address(50053),
  SHIPPING_ADDRESS: address(50054),
  /**
   * A running episode keeps the tunables that it began with, and so does a saga of the kind before, which alone reads what is in
   * `sagaOptionTable` and not in `episodeOptionTable`.
   */
  ...sagaVariables,
  /** How long after the carrier was asked about all parcels that nobody reports they are looked at again; a day. */
  SHIPMENT_LOOK_EVERY_MS: atLeastOne(86_400_000),
  /** The names of schedules that Temporal is not to have, with commas between them; `all`: none at all. See docs/schedules.md. */
  SCHEDULES_OFF: z.string().default("").transform(namesOf),
  /** Of the kind before episodes: how long packed parcels wait for the others of their batch before they go on. */
  SAGA_LIST_GRACE_MS: z.coerce.number().int().min(0).default(500),
};

/** The values of {@link workerConfig}. */
export type WorkerConfig = ConfigOf<typeof workerConfig>;

/** The tunables that new episodes begin with. */
export function episodeOptions(config: WorkerConfig): EpisodeOptions {
  return episodeOptionsBy(({ variable }) => config[variable]);
}

/** The tunables that sagas of the kind before episodes begin with. */
export function sagaOptions(config: WorkerConfig): SagaOptions {
  return sagaOptionsBy(({ variable }) => config[variable]);
}

/** How the long activities wait. */
export function longBatchPolicy(config: WorkerConfig): LongBatchPolicy {
  return { boundMs: config.SAGA_LONG_STEP_MS, graceMs: config.SAGA_LIST_GRACE_MS, firstLookMs: 100 };
}
