// `node promote.ts`: has new sagas begin with the version of TEMPORAL_DEPLOYMENT and TEMPORAL_BUILD_ID, once it polls.
import { loadConfig } from "#platform/config.ts";
import { workerConfig } from "./config.ts";
import { deploymentOf, promote } from "./deployment.ts";
import { connect } from "./temporal.ts";

/** How long the workers of a version may take to start. */
const pollingDeadlineMs = 5 * 60_000;

try {
  const config = loadConfig(workerConfig);
  const deployment = deploymentOf(config);
  if (!deployment) throw new Error("TEMPORAL_DEPLOYMENT and TEMPORAL_BUILD_ID say which version is meant");
  const connection = await connect(config);
  await promote(connection, { namespace: config.TEMPORAL_NAMESPACE, ...deployment.version }, pollingDeadlineMs);
  await connection.close();
  console.log(`new sagas begin with version ${deployment.version.buildId}`);
} catch (error) {
  console.error(`worker: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
