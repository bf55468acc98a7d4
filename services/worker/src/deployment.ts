import { setTimeout as pause } from "node:timers/promises";
import type { NativeConnection, WorkerDeploymentOptions } from "@temporalio/worker";
import { ConfigError } from "#platform/config.ts";
import { StartError } from "#platform/startup.ts";
import type { WorkerConfig } from "./config.ts";

/** Which version of the worker a process is, as Temporal is told. */
export type DeploymentConfig = Pick<WorkerConfig, "TEMPORAL_DEPLOYMENT" | "TEMPORAL_BUILD_ID">;

/** Pause between two looks at whether a version polls, in milliseconds. */
const LOOK_PAUSE_MS = 500;
/** gRPC's numbers: the server has not seen what was named, or not all of it. */
const NOT_FOUND = 5;
const FAILED_PRECONDITION = 9;
const notYetCodes = [NOT_FOUND, FAILED_PRECONDITION];

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

/** A version of a deployment, in a namespace. */
export interface Version {
  readonly namespace: string;
  readonly deploymentName: string;
  /** Empty: the workers that are no version. */
  readonly buildId: string;
}

const identity = "ordermesh-promote";

/** Whether new sagas begin with the version now; false while it does not poll everything that the one before it does. */
async function isPromoted(connection: NativeConnection, version: Version): Promise<boolean> {
  const { namespace, deploymentName, buildId } = version;
  const { workflowService } = connection;
  try {
    const deploymentVersion = { deploymentName, buildId };
    const { versionTaskQueues } = await workflowService.describeWorkerDeploymentVersion({
      namespace,
      deploymentVersion,
    });
    if (versionTaskQueues.length === 0) return false;
    await workflowService.setWorkerDeploymentCurrentVersion({ namespace, deploymentName, buildId, identity });
    return true;
  } catch (error) {
    const notYet = error instanceof Error && "code" in error && notYetCodes.includes(Number(error.code));
    if (notYet) return false;
    throw error;
  }
}

/** Has new sagas begin with workers that are no version. A deployment that never had one needs nothing. */
async function demoteAll({ workflowService }: NativeConnection, version: Version): Promise<void> {
  const { namespace, deploymentName } = version;
  try {
    await workflowService.describeWorkerDeployment({ namespace, deploymentName });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === NOT_FOUND) return;
    throw error;
  }
  await workflowService.setWorkerDeploymentCurrentVersion({ ...version, identity });
}

/**
 * Has new sagas begin with a version, once it polls. Those that run stay with theirs. Going back is the same with the
 * version before, or with none.
 *
 * @throws StartError when the version does not poll within the time
 */
export async function promote(connection: NativeConnection, version: Version, timeoutMs: number): Promise<void> {
  if (version.buildId === "") return demoteAll(connection, version);
  const end = Date.now() + timeoutMs;
  while (!(await isPromoted(connection, version))) {
    if (Date.now() >= end) throw new StartError(`no worker of version ${version.buildId} polls after ${timeoutMs} ms`);
    await pause(LOOK_PAUSE_MS);
  }
}
