import { setTimeout as pause } from "node:timers/promises";
import { NativeConnection } from "@temporalio/worker";
import { StartError } from "#platform/process/startup.ts";
import {
  customerIdsAttribute,
  orderIdsAttribute,
  parkedOrderIdsAttribute,
} from "../workflows/engine/search-attributes.ts";
import { protectionOf } from "./protection.ts";
import type { TemporalConfig } from "./temporal-config.ts";

const attributes = [orderIdsAttribute, customerIdsAttribute, parkedOrderIdsAttribute];

/** Pause between two attempts to connect, in milliseconds. */
const connectPauseMs = 250;
/** INDEXED_VALUE_TYPE_KEYWORD_LIST in temporal/api/enums/v1/common.proto: the type of all our attributes. */
const keywordList = 7;
/** Numbers of gRPC. */
const invalidArgument = 3;
const notFound = 5;
const alreadyExists = 6;
/** The deadline passed, or a server that has just come up has not got so far. */
const away: ReadonlySet<unknown> = new Set([4, 14]);
/** Without the rights of an operator; and where operators have another door, as in Temporal Cloud. */
const refusals: ReadonlySet<unknown> = new Set([7, 12, 16]);

/** How long something is tried, and what becomes of its failures. */
interface Patience {
  readonly timeoutMs: number;
  /** Whether another attempt may succeed. */
  passes(error: unknown): boolean;
  /** What is said when the time is over. */
  says(why: string): string;
}

/** Tries until it is done or the time is over. @throws StartError then, and what does not pass */
async function patiently<T>({ timeoutMs, passes, says }: Patience, work: (deadline: number) => Promise<T>): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await work(deadline);
    } catch (cause) {
      if (!passes(cause)) throw cause;
      if (Date.now() + connectPauseMs >= deadline) {
        throw new StartError(says(cause instanceof Error ? cause.message : String(cause)), { cause });
      }
      await pause(connectPauseMs);
    }
  }
}

/** Connects to Temporal, as often as it takes within the configured time. @throws StartError, ConfigError */
export async function connect(config: TemporalConfig): Promise<NativeConnection> {
  const { TEMPORAL_ADDRESS: address, TEMPORAL_TIMEOUT_MS: timeoutMs } = config;
  const protection = protectionOf(config);
  const says = (why: string) =>
    `Temporal at ${address} is not reached within ${timeoutMs} ms (TEMPORAL_ADDRESS): ${why}`;
  const connection = await patiently({ timeoutMs, passes: () => true, says }, () =>
    NativeConnection.connect({ address, ...protection }),
  );
  config.TEMPORAL_API_KEY?.onChange((key) => void connection.setApiKey(key));
  return connection;
}

/** What registering needs of a connection. */
export type Registrar = Pick<NativeConnection, "operatorService" | "workflowService" | "withDeadline">;

/**
 * Makes the search attributes known to the namespace. Those that are known already are left alone; a worker that may not add them
 * needs no rights when somebody else has.
 *
 * @throws StartError that says what to do, when they are missing and may not be added, or when there is no such namespace
 */
export async function registerSearchAttributes(connection: Registrar, config: RegistrarConfig): Promise<void> {
  const { TEMPORAL_NAMESPACE: namespace, TEMPORAL_TIMEOUT_MS: timeoutMs } = config;
  const passes = (error: unknown) => away.has(codeOf(error));
  const says = (why: string) => `Temporal does not answer within ${timeoutMs} ms (TEMPORAL_TIMEOUT_MS): ${why}`;
  await patiently({ timeoutMs, passes, says }, (deadline) =>
    connection.withDeadline(deadline, () => addMissing(connection, namespace)),
  );
}

async function addMissing(connection: Registrar, namespace: string): Promise<void> {
  const known = await knownAttributes(connection, namespace);
  const missing = attributes.map(({ name }) => name).filter((name) => !known.has(name));
  if (missing.length === 0) return;
  const searchAttributes = Object.fromEntries(missing.map((name) => [name, keywordList]));
  try {
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
  } catch (error) {
    // Another worker was faster.
    if (codeOf(error) === alreadyExists) return;
    throw refusals.has(codeOf(error)) ? mayNotAdd(missing, namespace, error) : error;
  }
}

type RegistrarConfig = Pick<TemporalConfig, "TEMPORAL_NAMESPACE" | "TEMPORAL_TIMEOUT_MS">;

/** The namespace's own, among others; where they may not be asked for, those of ours by which workflows can be looked for. */
async function knownAttributes(connection: Registrar, namespace: string): Promise<ReadonlySet<string>> {
  try {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return new Set(Object.keys(customAttributes ?? {}));
  } catch (error) {
    if (codeOf(error) === notFound) throw noNamespace(namespace);
    if (!refusals.has(codeOf(error))) throw error;
    const found = await Promise.all(attributes.map(({ name }) => isKnown(connection, namespace, name)));
    return new Set(attributes.map(({ name }) => name).filter((_, index) => found[index]));
  }
}

/** Asks as a worker may: whoever may read the workflows of a namespace may count them, and by an unknown attribute nobody can. */
async function isKnown({ workflowService }: Registrar, namespace: string, name: string): Promise<boolean> {
  try {
    await workflowService.countWorkflowExecutions({ namespace, query: `${name} = 'none'` });
    return true;
  } catch (error) {
    if (codeOf(error) === invalidArgument) return false;
    if (codeOf(error) === notFound) throw noNamespace(namespace);
    if (!refusals.has(codeOf(error))) throw error;
    const message = `Temporal refuses to let this worker read the namespace ${namespace}; it has to be a writer of it`;
    throw new StartError(message, { cause: error });
  }
}

function noNamespace(namespace: string): StartError {
  return new StartError(`Temporal has no namespace ${namespace} (TEMPORAL_NAMESPACE)`);
}

function mayNotAdd(missing: readonly string[], namespace: string, cause: unknown): StartError {
  const commands = missing.map(
    (name) => `temporal operator search-attribute create --namespace ${namespace} --name ${name} --type KeywordList`,
  );
  const message = `the namespace ${namespace} lacks search attributes that this worker may not add; whoever may runs: ${commands.join("; ")}`;
  return new StartError(message, { cause });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
