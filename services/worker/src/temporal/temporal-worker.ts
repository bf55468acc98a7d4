import { setTimeout as pause } from "node:timers/promises";
import { NativeConnection, Worker, type WorkflowBundleOption } from "@temporalio/worker";
import type { Logger } from "#platform/log/logger.ts";
import { StartError } from "#platform/process/startup.ts";
import type { WorkerConfig } from "../config.ts";
import {
  customerIdsAttribute,
  orderIdsAttribute,
  parkedOrderIdsAttribute,
} from "../workflows/engine/search-attributes.ts";
import type { Activities } from "../workflows/step-table.ts";
import { deploymentOf } from "./deployment.ts";
import { protectionOf } from "./protection.ts";
import { traceActivity, traceSinks } from "./tracing.ts";

const attributes = [orderIdsAttribute, customerIdsAttribute, parkedOrderIdsAttribute];

/** Pause between two attempts to connect, in milliseconds. */
const connectPauseMs = 250;
/** INDEXED_VALUE_TYPE_KEYWORD_LIST in temporal/api/enums/v1/common.proto: the type of all our attributes. */
const keywordList = 7;
/** gRPC's number for "already exists". */
const alreadyExists = 6;
/** How long running tasks get at the end before they are cancelled, and before the worker is abandoned; milliseconds. */
const shutdownGraceMs = 2_000;
const shutdownForceMs = 4_500;

/** Connects to Temporal, as often as it takes within the configured time. @throws StartError, ConfigError */
export async function connect(config: WorkerConfig): Promise<NativeConnection> {
  const { TEMPORAL_ADDRESS: address, TEMPORAL_TIMEOUT_MS: timeoutMs } = config;
  const protection = protectionOf(config);
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    try {
      return await NativeConnection.connect({ address, ...protection });
    } catch (cause) {
      if (Date.now() + connectPauseMs >= deadline) {
        const why = cause instanceof Error ? cause.message : String(cause);
        throw new StartError(
          `Temporal at ${address} is not reached within ${timeoutMs} ms (TEMPORAL_ADDRESS): ${why}`,
          {
            cause,
          },
        );
      }
      await pause(connectPauseMs);
    }
  }
}

/** Makes the search attributes known to the namespace. Those that are known already are left alone. */
export async function registerSearchAttributes(connection: NativeConnection, config: WorkerConfig): Promise<void> {
  const { TEMPORAL_NAMESPACE: namespace, TEMPORAL_TIMEOUT_MS: timeoutMs } = config;
  await connection.withDeadline(Date.now() + timeoutMs, async () => {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = attributes.filter(({ name }) => !(name in (customAttributes ?? {})));
    if (missing.length === 0) return;
    const searchAttributes = Object.fromEntries(missing.map(({ name }) => [name, keywordList]));
    try {
      await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
    } catch (error) {
      // Another worker was faster.
      if (!(error instanceof Error && "code" in error && error.code === alreadyExists)) throw error;
    }
  });
}

/** Makes the Temporal worker. It shares the connection of the client, so that workflows start eagerly. */
export function createWorker(parts: {
  connection: NativeConnection;
  config: WorkerConfig;
  bundle: WorkflowBundleOption;
  activities: Activities;
}): Promise<Worker> {
  const { connection, config, bundle, activities } = parts;
  const deployment = deploymentOf(config);
  return Worker.create({
    connection,
    namespace: config.TEMPORAL_NAMESPACE,
    taskQueue: config.TASK_QUEUE,
    ...(deployment && { workerDeploymentOptions: deployment }),
    workflowBundle: bundle,
    activities,
    interceptors: { activity: [traceActivity] },
    sinks: traceSinks,
    maxCachedWorkflows: config.MAX_CACHED_WORKFLOWS,
    maxConcurrentWorkflowTaskExecutions: config.MAX_WORKFLOW_TASKS,
    maxConcurrentLocalActivityExecutions: config.MAX_LOCAL_ACTIVITIES,
    maxConcurrentActivityTaskExecutions: config.MAX_ACTIVITIES,
    shutdownGraceTime: shutdownGraceMs,
    shutdownForceTime: shutdownForceMs,
  });
}

/** A worker that polls while the process serves. */
export class WorkerLoop {
  readonly #worker: Worker;
  readonly #connection: NativeConnection;
  readonly #logger: Logger;
  #running: Promise<void> | undefined;

  constructor(worker: Worker, connection: NativeConnection, logger: Logger) {
    this.#worker = worker;
    this.#connection = connection;
    this.#logger = logger;
  }

  /** Begins to poll. A worker that fails for good ends the process, which is then started again. */
  start(): void {
    this.#running = this.#worker.run();
    this.#running.catch((error: unknown) => {
      this.#logger.error("the Temporal worker has failed", { err: error });
      throw error;
    });
  }

  /** Throws while tasks are not worked on. */
  async ready(signal: AbortSignal): Promise<void> {
    const state = this.#worker.getState();
    if (state !== "RUNNING") throw new Error(`the Temporal worker is ${state.toLowerCase()}`);
    try {
      await this.#connection.withAbortSignal(signal, () => this.#connection.workflowService.getSystemInfo({}));
    } catch (cause) {
      throw new Error("Temporal does not answer", { cause });
    }
  }

  /** Takes no more tasks, lets the running ones finish within their time, and closes the connection. */
  async stop(): Promise<void> {
    if (this.#worker.getState() === "RUNNING") this.#worker.shutdown();
    await this.#running;
    await this.#connection.close();
  }
}
