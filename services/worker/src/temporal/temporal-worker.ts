import type { DataConverter } from "@temporalio/common";
import { type NativeConnection, Worker, type WorkerOptions, type WorkflowBundleOption } from "@temporalio/worker";
import type { Logger } from "#platform/log/logger.ts";
import type { Activities } from "../activities/all-steps.ts";
import type { LookActivities } from "../workflows/look-after-shipments.ts";
import type { ScheduledActivities } from "../workflows/scheduled-work.ts";
import { deploymentOf } from "./deployment.ts";
import type { TemporalConfig } from "./temporal-config.ts";
import { traceActivity, traceSinks } from "./tracing.ts";
import { withLeanThreads } from "./workflow-threads.ts";

/** How long running tasks get at the end before they are cancelled, and before the worker is abandoned; milliseconds. */
const shutdownGraceMs = 2_000;
const shutdownForceMs = 4_500;

/** What a Temporal worker runs, how it reads and writes what Temporal keeps, and how it is traced. */
export function workOf(
  bundle: WorkflowBundleOption,
  activities: Activities & Partial<LookActivities & ScheduledActivities>,
  dataConverter: DataConverter,
) {
  return {
    dataConverter,
    workflowBundle: bundle,
    activities,
    interceptors: { activity: [traceActivity] },
    sinks: traceSinks,
  } satisfies Partial<WorkerOptions>;
}

/** Makes the Temporal worker. It shares the connection of the client, so that workflows start eagerly. */
export function createWorker(parts: {
  connection: NativeConnection;
  config: TemporalConfig;
  bundle: WorkflowBundleOption;
  activities: Activities & LookActivities & ScheduledActivities;
  dataConverter: DataConverter;
}): Promise<Worker> {
  const { connection, config, bundle, activities, dataConverter } = parts;
  const deployment = deploymentOf(config);
  const options: WorkerOptions = {
    connection,
    namespace: config.TEMPORAL_NAMESPACE,
    taskQueue: config.TASK_QUEUE,
    ...(deployment && { workerDeploymentOptions: deployment }),
    ...workOf(bundle, activities, dataConverter),
    maxCachedWorkflows: config.MAX_CACHED_WORKFLOWS,
    maxConcurrentWorkflowTaskExecutions: config.MAX_WORKFLOW_TASKS,
    maxConcurrentLocalActivityExecutions: config.MAX_LOCAL_ACTIVITIES,
    maxConcurrentActivityTaskExecutions: config.MAX_ACTIVITIES,
    shutdownGraceTime: shutdownGraceMs,
    shutdownForceTime: shutdownForceMs,
  };
  return withLeanThreads(() => Worker.create(options));
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
