// What the contract of a warehouse's connector promises, each as something that is tried.
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { durationMs } from "@bufbuild/protobuf/wkt";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import {
  type CallOffOutcome,
  type PackingOrder,
  PackingOrderSchema,
  type PackingOutcome,
  type WarehouseConnectorService,
} from "#gen/ordermesh/connectors/v1/warehouse_connector_service_pb.js";
import { newId } from "#platform/id.ts";
import type { TriedAddress } from "./carrier-trial.ts";
import type { TriedPromise } from "./promises.ts";
import { BrokenPromise, require } from "./trial.ts";

/** What a warehouse's connector is tried with. */
export interface WarehouseTrialOptions {
  readonly connector: Client<typeof WarehouseConnectorService>;
  /** Where shipments go that it packs, and those that it cannot. */
  readonly addresses: { readonly taken: TriedAddress; readonly refused: TriedAddress };
  readonly locationId: string;
  /** What is on its shelves. */
  readonly sku: string;
  /** For one call. */
  readonly timeoutMs?: number;
  /** How long packing may take. */
  readonly patienceMs?: number;
}

type Result = PackingOutcome["result"];
type CallOffResult = CallOffOutcome["result"];

const pauseMs = 100;
const sent = 8;
const longestMs = 86_400_000;

/** Asks a warehouse's connector as shipping does. */
export class WarehouseTrial {
  readonly #options: WarehouseTrialOptions;
  /** Whether it can be told of what is called off. */
  readonly isTold: boolean;

  constructor(options: WarehouseTrialOptions, isTold: boolean) {
    this.#options = options;
    this.isTold = isTold;
  }

  /** Finds out what the warehouse can. @throws what keeps it from being asked at all */
  static async begin(options: WarehouseTrialOptions): Promise<WarehouseTrial> {
    const trial = new WarehouseTrial(options, true);
    try {
      await trial.callOff([trial.shipment()]);
      return trial;
    } catch (error) {
      if (!(error instanceof ConnectError) || error.code !== Code.Unimplemented) throw error;
      return new WarehouseTrial(options, false);
    }
  }

  shipment(to: keyof WarehouseTrialOptions["addresses"] = "taken"): PackingOrder {
    const { locationId, sku, addresses } = this.#options;
    const address = { recipient: "Connector Test", lines: ["1 Test Street"], city: "Test Town", ...addresses[to] };
    return create(PackingOrderSchema, { key: newId(), locationId, lines: [{ sku, quantity: 1n }], recipient: address });
  }

  /** Asks about shipments once. @throws BrokenPromise when it does not say something of each */
  async pack(shipments: readonly PackingOrder[]): Promise<readonly Result[]> {
    const { connector, timeoutMs = 10_000 } = this.#options;
    const { outcomes } = await connector.packShipments({ shipments: [...shipments] }, { timeoutMs });
    require(outcomes.length ===
      shipments.length, `${outcomes.length} outcomes were answered for ${shipments.length} shipments`);
    return outcomes.map(({ result }) => result);
  }

  /** Calls shipments off once. @throws BrokenPromise when it does not say something of each */
  async callOff(shipments: readonly PackingOrder[]): Promise<readonly CallOffResult[]> {
    const { connector, timeoutMs = 10_000 } = this.#options;
    const keys = shipments.map(({ key }) => key);
    const { outcomes } = await connector.cancelShipments({ keys }, { timeoutMs });
    require(outcomes.length === keys.length, `${outcomes.length} outcomes were answered for ${keys.length} shipments`);
    return outcomes.map(({ result }) => result);
  }

  /** Calls shipments off until that is decided of all. @throws BrokenPromise when that takes too long */
  settleCallOff(shipments: readonly PackingOrder[]): Promise<readonly CallOffResult[]> {
    return this.#until(
      () => this.callOff(shipments),
      (result) => result.case === "calledOff" || result.case === "gone",
      `${shipments.length} shipments are not called off`,
    );
  }

  /** Asks until all are packed, or cannot be. @throws BrokenPromise when that takes too long */
  settle(shipments: readonly PackingOrder[]): Promise<readonly Result[]> {
    return this.#until(
      () => this.pack(shipments),
      (result) => result.case === "packed" || result.case === "failed",
      `${shipments.length} shipments are not packed`,
    );
  }

  async #until<R>(ask: () => Promise<readonly R[]>, isOver: (result: R) => boolean, late: string) {
    const { patienceMs = 60_000 } = this.#options;
    const until = performance.now() + patienceMs;
    while (performance.now() < until) {
      const results = await ask();
      if (results.every(isOver)) return results;
      await delay(pauseMs);
    }
    throw new BrokenPromise(`${late} within ${patienceMs} ms`);
  }
}

function say(result: Result | undefined): string {
  return result?.case === "failed" ? `failed (${result.value.code})` : (result?.case ?? "nothing");
}

async function packs(trial: WarehouseTrial): Promise<void> {
  const shipment = trial.shipment();
  await Promise.allSettled(Array.from({ length: sent }, () => trial.pack([shipment])));
  const [packed] = await trial.settle([shipment]);
  require(packed?.case === "packed", `a shipment that can be packed is ${say(packed)}`);
  const [again] = await trial.pack([shipment]);
  require(again?.case === "packed", `a shipment that is packed is ${say(again)} when it is asked for again`);
}

async function fails(trial: WarehouseTrial): Promise<void> {
  const shipment = trial.shipment("refused");
  const [failed] = await trial.settle([shipment]);
  require(failed?.case === "failed", `a shipment that cannot be packed is ${say(failed)}`);
  require(failed.value.code !== "", "what keeps a shipment from being packed has no code");
  const [again] = await trial.pack([shipment]);
  require(say(again) === say(failed), `a shipment that cannot be packed is ${say(again)} when it is asked for again`);
}

async function apart(trial: WarehouseTrial): Promise<void> {
  const results = await trial.settle([trial.shipment(), trial.shipment("refused"), trial.shipment()]);
  const cases = results.map((result) => result.case).join(", ");
  require(cases === "packed, failed, packed", `packed, failed, packed were to be, and are ${cases}`);
}

async function saysWhen(trial: WarehouseTrial): Promise<void> {
  const [first] = await trial.pack([trial.shipment()]);
  if (first?.case !== "packing" || !first.value.askAfter) return;
  const ms = durationMs(first.value.askAfter);
  require(ms >= 0 && ms <= longestMs, `it wants to be asked again after ${ms} ms, which is not between now and a day`);
}

const needsTelling = ({ isTold }: WarehouseTrial) => (isTold ? undefined : "it cannot be told of what is called off");

/** What was begun is not packed on, nor begun again. */
async function callsOff(trial: WarehouseTrial): Promise<void> {
  const shipment = trial.shipment();
  await trial.pack([shipment]);
  const [first] = await trial.settleCallOff([shipment]);
  require(first?.case === "calledOff", `a shipment that is in the warehouse is ${first?.case} when it is called off`);
  const [again] = await trial.settleCallOff([shipment]);
  require(again?.case === first.case, `a shipment that was called off is ${again?.case} when that is said again`);
  const [packed] = await trial.settle([shipment]);
  require(packed?.case === "failed", `a shipment that was called off is ${say(packed)} when it is asked for again`);
}

/** The call that asks for a shipment may come behind the one that calls it off. */
async function callsOffEarly(trial: WarehouseTrial): Promise<void> {
  const [early, other] = [trial.shipment(), trial.shipment()];
  const [first] = await trial.settleCallOff([early]);
  require(first?.case === "calledOff", `a shipment that was never asked for is ${first?.case} when it is called off`);
  const cases = (await trial.settle([early, other])).map((result) => result.case).join(", ");
  require(cases ===
    "failed, packed", `of one that was called off before it was asked for and another, failed, packed were to be, and are ${cases}`);
}

/** All of them. */
export const warehousePromises: readonly TriedPromise<WarehouseTrial>[] = [
  { promise: "what is sent several times at once is packed, and stays so", keep: packs },
  { promise: "what cannot be packed says why, and stays so", keep: fails },
  { promise: "shipments of one call have their own outcomes, in their order", keep: apart },
  { promise: "what is called off is not packed on, and stays called off", without: needsTelling, keep: callsOff },
  { promise: "what is called off before it is asked for is not begun", without: needsTelling, keep: callsOffEarly },
  { promise: "it says when it wants to be asked again, within a day", keep: saysWhen },
];
