/** A tunable of workflows. */
interface SagaOption {
  /** The environment variable of the worker that sets it. */
  readonly variable: `SAGA_${string}`;
  /** What it is unless that is set. */
  readonly standard: number;
}

/**
 * Every tunable of a workflow of the kind before episodes. Milliseconds, unless it counts something. Variables that are not in
 * `episodeOptionTable` as well are read by these workflows only, and go with them.
 */
export const sagaOptionTable = {
  /** How long one attempt of a short step may take. */
  stepTimeoutMs: { variable: "SAGA_STEP_TIMEOUT_MS", standard: 5_000 },
  /**
   * How often a batch is tried before it is halved, and a checkout step before it is given to an operator; a step may have
   * its own number.
   */
  attempts: { variable: "SAGA_ATTEMPTS", standard: 5 },
  firstRetryMs: { variable: "SAGA_FIRST_RETRY_MS", standard: 1_000 },
  maxRetryMs: { variable: "SAGA_MAX_RETRY_MS", standard: 60_000 },
  /** How long a step that must succeed is tried before it is parked: what follows the pivot, and compensations. */
  patienceMs: { variable: "SAGA_PATIENCE_MS", standard: 3_600_000 },
  /** How long an order waits for an operator before its confirmation; then it is compensated and rejected. */
  checkoutPatienceMs: { variable: "SAGA_CHECKOUT_PATIENCE_MS", standard: 900_000 },
  /** How often the carrier is asked about parcels that are on their way. */
  pollMs: { variable: "SAGA_POLL_MS", standard: 86_400_000 },
  /** How long one call of "prepare" or "ship" waits for the outside world before it answers "pending". */
  longStepMs: { variable: "SAGA_LONG_STEP_MS", standard: 20_000 },
  /** Without a sign of life for this long, a long step is begun again elsewhere. */
  heartbeatMs: { variable: "SAGA_HEARTBEAT_MS", standard: 10_000 },
  /** First pause before an undecided entry is asked for again; doubles up to the second. */
  pendingFirstMs: { variable: "SAGA_PENDING_FIRST_MS", standard: 500 },
  pendingMaxMs: { variable: "SAGA_PENDING_MAX_MS", standard: 60_000 },
  /** Events after which a workflow that only waits continues as new. */
  maxHistory: { variable: "SAGA_MAX_HISTORY", standard: 2_000 },
} as const satisfies Record<string, SagaOption>;

type Table = typeof sagaOptionTable;

/** The tunables of a workflow. They travel with its input, so that a replay sees the ones it began with. */
export type SagaOptions = { [Name in keyof Table]: number };

/** The environment variables that set the tunables. */
export type SagaVariable = Table[keyof Table]["variable"];

/** The tunables, each as it is found for its line of the table. */
export function sagaOptionsBy(find: (option: Table[keyof Table]) => number): SagaOptions {
  const entries = Object.entries(sagaOptionTable).map(([name, option]) => [name, find(option)]);
  return Object.fromEntries(entries) as SagaOptions;
}

/** What a workflow runs with unless it is configured otherwise. */
export const defaultOptions: SagaOptions = sagaOptionsBy(({ standard }) => standard);
