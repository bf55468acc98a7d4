// `node promote.ts`: has new sagas begin with the version of TEMPORAL_DEPLOYMENT and TEMPORAL_BUILD_ID, once it polls; without
// the latter, with workers that are no version.
import { loadConfig } from "#platform/config.ts";
import { workerConfig } from "./config.ts";
import { connect } from "./temporal/connection.ts";
import { promote } from "./temporal/deployment.ts";

/** How long the workers of a version may take to start. */
const pollingDeadlineMs = 5 * 60_000;

try {
  const config = loadConfig(workerConfig);
  const { TEMPORAL_NAMESPACE: namespace, TEMPORAL_DEPLOYMENT: deploymentName } = config;
  const buildId = config.TEMPORAL_BUILD_ID ?? "";
  if (!deploymentName) throw new Error("TEMPORAL_DEPLOYMENT says of which deployment TEMPORAL_BUILD_ID is a version");
  const connection = await connect(config);
  await promote(connection, { namespace, deploymentName, buildId }, pollingDeadlineMs);
  await connection.close();
  console.log(buildId ? `new sagas begin with version ${buildId}` : "new sagas begin with workers that are no version");
} catch (error) {
  console.error(`worker: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
}
