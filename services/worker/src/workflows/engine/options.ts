/** A tunable of episodes. */
interface EpisodeOption {
  /** The environment variable of the worker that sets it. */
  readonly variable: `SAGA_${string}` | `EPISODE_${string}`;
  /** What it is unless that is set. */
  readonly standard: number;
}

/** Every tunable of an episode. Milliseconds, unless it counts something. */
export const episodeOptionTable = {
  /** How long one attempt of a step may take. */
  stepTimeoutMs: { variable: "SAGA_STEP_TIMEOUT_MS", standard: 5_000 },
  /** How often a step is tried before its order rests; a step may have its own number. See decision 61. */
  attempts: { variable: "EPISODE_ATTEMPTS", standard: 5 },
  /** First pause between two attempts; doubles up to the second. */
  firstRetryMs: { variable: "EPISODE_FIRST_RETRY_MS", standard: 1_000 },
  maxRetryMs: { variable: "EPISODE_MAX_RETRY_MS", standard: 60_000 },
  /** How long after an order was placed its checkout may take; then it is compensated and rejected. */
  checkoutPatienceMs: { variable: "SAGA_CHECKOUT_PATIENCE_MS", standard: 900_000 },
  /**
   * How long an order rests at first when somebody is away; doubles up to the second, each by up to half more or less. Of the
   * minute in which orders end once somebody is back, the longest leaves a third for what is to be done then, of which some is
   * that whoever is back has pauses of its own.
   */
  awayFirstMs: { variable: "EPISODE_AWAY_FIRST_MS", standard: 1_000 },
  awayMaxMs: { variable: "EPISODE_AWAY_MAX_MS", standard: 25_000 },
  /** How long an order rests while a second person has to approve a refund, of which nobody tells. */
  approvalPauseMs: { variable: "EPISODE_APPROVAL_PAUSE_MS", standard: 600_000 },
  /** How long a settlement is tried; then the workflow fails, and orders has the order carried again. */
  settlePatienceMs: { variable: "EPISODE_SETTLE_PATIENCE_MS", standard: 300_000 },
} as const satisfies Record<string, EpisodeOption>;

type Table = typeof episodeOptionTable;

/** The tunables of an episode. They travel with its input, so that a replay sees the ones it began with. */
export type EpisodeOptions = { [Name in keyof Table]: number };

/** The environment variables that set the tunables. */
export type EpisodeVariable = Table[keyof Table]["variable"];

/** The tunables, each as it is found for its line of the table. */
export function episodeOptionsBy(find: (option: Table[keyof Table]) => number): EpisodeOptions {
  const entries = Object.entries(episodeOptionTable).map(([name, option]) => [name, find(option)]);
  return Object.fromEntries(entries) as EpisodeOptions;
}
