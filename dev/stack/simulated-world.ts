import { Database } from "#platform/database/database.ts";
import type { BooksSources } from "../../services/books/src/balance/balance.ts";
import { CarrierSimulator } from "../../services/simulators/src/carrier/carrier-simulator.ts";
import { carrierClient, connectorClient } from "../../services/simulators/src/connector-client.ts";
import { GatewaySimulator } from "../../services/simulators/src/gateway/gateway-simulator.ts";

/** What the simulated gateway and carrier of a stack did, whether their process runs or not. */
export interface SimulatedWorld extends AsyncDisposable, Pick<BooksSources, "gateway" | "carrier"> {}

/** @param url a connection to the database of the simulators */
export async function openSimulatedWorld(url: string): Promise<SimulatedWorld> {
  const database = await Database.open({ url, name: "books-simulators", entities: [], poolMax: 1 });
  const gateway = new GatewaySimulator(database, { slowMs: 0, latencyMs: 0, partVoid: "now" });
  const carrier = new CarrierSimulator({ store: database, transitMs: 0, slowMs: 0, refusedLocations: [] });
  return {
    gateway: connectorClient(gateway),
    carrier: carrierClient(carrier),
    async [Symbol.asyncDispose]() {
      await Promise.all([gateway.drain(), carrier.drain()]);
      await database.close();
    },
  };
}
