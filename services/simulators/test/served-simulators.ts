import { PassThrough } from "node:stream";
import { launch } from "#platform/process/runtime.ts";
import { pageTokenSecret } from "#testing/secret.ts";
import { simulators } from "../../simulators/src/simulators.ts";

/** The simulators on a port, as whole processes call them. */
export interface ServedSimulators extends AsyncDisposable {
  readonly address: string;
}

/**
 * Serves the simulated gateway, carrier and warehouse of a database.
 *
 * @param settings of the process, besides or in place of those that it has here
 */
export async function serveSimulators(
  url: string,
  slowMs = 400,
  settings: Readonly<Record<string, string>> = {},
): Promise<ServedSimulators> {
  const env = {
    DATABASE_URL: url,
    PAGE_TOKEN_SECRET: pageTokenSecret.text,
    TOKEN_ISSUERS: "none",
    GRPC_PORT: "0",
    HTTP_PORT: "0",
    SIMULATOR_SLOW_MS: String(slowMs),
    CARRIER_TRANSIT_MS: "60000",
    ...settings,
  };
  const service = await launch(simulators, env, new PassThrough().resume());
  return {
    address: `127.0.0.1:${service.grpcPort}`,
    [Symbol.asyncDispose]: () => service.drain(),
  };
}
