import { setTimeout as pause } from "node:timers/promises";
import type { NativeConnection, WorkerDeploymentOptions } from "@temporalio/worker";
import { ConfigError } from "#platform/config.ts";
import { StartError } from "#platform/process/startup.ts";
import type { TemporalConfig } from "./temporal-config.ts";

/** Which version of the worker a process is, as Temporal is told. */
export type DeploymentConfig = Pick<TemporalConfig, "TEMPORAL_DEPLOYMENT" | "TEMPORAL_BUILD_ID">;

/** Pause between two attempts, and how long one call may take; milliseconds. */
const pauseMs = 500;
const callTimeoutMs = 30_000;
/** gRPC's numbers: the server has not seen what was named, or not all of it. */
const notFound = 5;
const failedPrecondition = 9;
/** Invalid argument, permission denied, unimplemented, unauthenticated: no repetition helps. */
const hopelessCodes = [3, 7, 12, 16];

/**
 * What makes a worker one version of a deployment: a saga stays with the version that it began with, and new ones begin
 * with the current version. Undefined when no version is configured: then any worker carries on any saga.
 *
 * @throws ConfigError when only one of the two is given
 */
export function deploymentOf(config: DeploymentConfig): WorkerDeploymentOptions | undefined {
  const { TEMPORAL_DEPLOYMENT: deploymentName, TEMPORAL_BUILD_ID: buildId } = config;
  if (!deploymentName && !buildId) return undefined;
  if (!deploymentName || !buildId) {
    throw new ConfigError("TEMPORAL_DEPLOYMENT and TEMPORAL_BUILD_ID are set together or not at all");
  }
  return { version: { deploymentName, buildId }, useWorkerVersioning: true, defaultVersioningBehavior: "PINNED" };
}

/**
 * Whether a process may begin the sagas itself that it starts. One that is a version may not: the server would give it the
 * first task even when another version is current (seen with Temporal 1.29.1), and the saga would stay with it.
 */
export function beginsOwnSagas(config: DeploymentConfig): boolean {
  return deploymentOf(config) === undefined;
}

/**
 * Whether a process may decide for all that are of its deployment: it is the version that new orders begin with, or the workers
 * are no versions.
 */
export async function isCurrent(
  { workflowService }: Pick<NativeConnection, "workflowService">,
  config: DeploymentConfig & Pick<TemporalConfig, "TEMPORAL_NAMESPACE">,
): Promise<boolean> {
  const version = deploymentOf(config)?.version;
  if (!version) return true;
  const { deploymentName, buildId } = version;
  try {
    const known = await workflowService.describeWorkerDeployment({
      namespace: config.TEMPORAL_NAMESPACE,
      deploymentName,
    });
    return known.workerDeploymentInfo?.routingConfig?.currentDeploymentVersion?.buildId === buildId;
  } catch (error) {
    // It has not polled yet.
    if (error instanceof Error && "code" in error && error.code === notFound) return false;
    throw error;
  }
}

/** A version of a deployment, in a namespace. */
export interface Version {
  readonly namespace: string;
  readonly deploymentName: string;
  /** Empty: the workers that are no version. */
  readonly buildId: string;
}

const identity = "ordermesh-promote";

/** Has new sagas begin with the version. @returns what stands in the way, when something does that may pass */
async function obstacle({ workflowService }: NativeConnection, version: Version): Promise<string | undefined> {
  const { namespace, deploymentName, buildId } = version;
  const absent = `no worker of version ${buildId} polls`;
  try {
    if (buildId === "") await workflowService.describeWorkerDeployment({ namespace, deploymentName });
    else {
      const deploymentVersion = { deploymentName, buildId };
      const known = await workflowService.describeWorkerDeploymentVersion({ namespace, deploymentVersion });
      if (known.versionTaskQueues.length === 0) return absent;
    }
    await workflowService.setWorkerDeploymentCurrentVersion({ namespace, deploymentName, buildId, identity });
    return undefined;
  } catch (error) {
    if (!(error instanceof Error && "code" in error)) throw error;
    const code = Number(error.code);
    if (hopelessCodes.includes(code)) throw error;
    // A deployment that never had a version needs nothing to have none.
    if (buildId === "") return code === notFound ? undefined : error.message;
    return code === notFound || code === failedPrecondition ? absent : error.message;
  }
}

/**
 * Has new sagas begin with a version, once it polls everything that the one before it does. Those that run stay with
 * theirs. Going back is the same with the version before, or with none.
 *
 * @throws StartError when the version does not poll within the time, or Temporal does not take it
 */
export async function promote(connection: NativeConnection, version: Version, timeoutMs: number): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    const reason = await connection.withDeadline(Date.now() + callTimeoutMs, () => obstacle(connection, version));
    if (reason === undefined) return;
    if (Date.now() >= end) throw new StartError(`${reason} after ${timeoutMs} ms`);
    await pause(pauseMs);
  }
}
