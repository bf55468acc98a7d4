import { Database } from "#platform/database/database.ts";
import type { BooksSources } from "../../services/books/src/balance/balance.ts";
import { connectorClient } from "../../services/simulators/src/gateway/connector-client.ts";
import { GatewaySimulator } from "../../services/simulators/src/gateway/gateway-simulator.ts";

/** What the simulated gateway of a stack did, whether its process runs or not. */
export interface SimulatedGateway extends AsyncDisposable {
  readonly gateway: BooksSources["gateway"];
}

/** @param url a connection to the database of the simulators */
export async function openSimulatedGateway(url: string): Promise<SimulatedGateway> {
  const database = await Database.open({ url, name: "books-simulators", entities: [], poolMax: 1 });
  const simulator = new GatewaySimulator(database, { slowMs: 0, latencyMs: 0 });
  return {
    gateway: connectorClient(simulator),
    async [Symbol.asyncDispose]() {
      await simulator.drain();
      await database.close();
    },
  };
}
