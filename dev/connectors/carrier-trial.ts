import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import type { Client } from "@connectrpc/connect";
import type {
  CarrierConnectorService,
  GetCarrierCapabilitiesResponse,
} from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import {
  type LabelOrder,
  LabelOrderSchema,
  type LabelOutcome,
  type ParcelOrder,
  ParcelOrderSchema,
  type ParcelOutcome,
} from "#gen/ordermesh/connectors/v1/carrier_parcel_pb.js";
import { newId } from "#platform/id.ts";
import { BrokenPromise, require } from "./trial.ts";

/** Where a parcel goes that is tried with. */
export interface TriedAddress {
  readonly country: string;
  readonly postalCode: string;
}

/** What a carrier's connector is tried with. */
export interface CarrierTrialOptions {
  readonly connector: Client<typeof CarrierConnectorService>;
  /** Addresses of the carrier's sandbox: one that it serves, and one that it does not. */
  readonly addresses: { readonly taken: TriedAddress; readonly refused: TriedAddress };
  /** The stock location where parcels are collected. */
  readonly locationId: string;
  readonly serviceLevel: string;
  /** For one call. */
  readonly timeoutMs?: number;
  /** How long the carrier may take for a decision. */
  readonly patienceMs?: number;
}

const pauseMs = 100;

/** What an outcome says. */
export type Said<O extends { readonly result: { readonly case?: string | undefined } }> = O["result"];

/** Asks a carrier's connector as shipping does, and remembers what was booked. */
export class CarrierTrial {
  readonly #options: CarrierTrialOptions;
  readonly #call: { readonly timeoutMs: number };
  readonly #patienceMs: number;
  readonly capabilities: GetCarrierCapabilitiesResponse;
  /** The numbers of what was booked and not called off, by key. */
  readonly booked = new Map<string, string>();

  constructor(options: CarrierTrialOptions, capabilities: GetCarrierCapabilitiesResponse) {
    this.#options = options;
    this.#call = { timeoutMs: options.timeoutMs ?? 10_000 };
    this.#patienceMs = options.patienceMs ?? 60_000;
    this.capabilities = capabilities;
  }

  get connector(): CarrierTrialOptions["connector"] {
    return this.#options.connector;
  }

  parcel(to: keyof CarrierTrialOptions["addresses"] = "taken", expireMs = this.#call.timeoutMs): ParcelOrder {
    const { locationId, serviceLevel } = this.#options;
    return create(ParcelOrderSchema, {
      key: newId(),
      locationId,
      recipient: this.#address(to),
      weightGrams: 500,
      size: { lengthMm: 200, widthMm: 150, heightMm: 100 },
      serviceLevel,
      expireTime: timestampFromMs(Date.now() + expireMs),
    });
  }

  label(): LabelOrder {
    const { locationId } = this.#options;
    return create(LabelOrderSchema, { key: newId(), locationId, sender: this.#address("taken") });
  }

  async book(parcels: readonly ParcelOrder[]): Promise<readonly ParcelOutcome[]> {
    const { outcomes } = await this.connector.bookParcels({ parcels: [...parcels] }, this.#call);
    return whole(parcels, outcomes);
  }

  async find(keys: readonly string[]): Promise<readonly ParcelOutcome[]> {
    return whole(keys, (await this.connector.findParcels({ keys: [...keys] }, this.#call)).outcomes);
  }

  async cancel(keys: readonly string[]): Promise<readonly ParcelOutcome[]> {
    return whole(keys, (await this.connector.cancelParcels({ keys: [...keys] }, this.#call)).outcomes);
  }

  /** Brings a parcel to its definite outcome as shipping would: it asks before it sends again. */
  async settle(parcel: ParcelOrder, sent = false): Promise<Said<ParcelOutcome>> {
    let isSent = sent;
    return await this.untilDefinite(`parcel ${parcel.key}`, async () => {
      const found = isSent ? (await this.find([parcel.key]))[0]?.result : undefined;
      if (found && found.case !== "unknown") return this.#note(parcel, found);
      isSent = true;
      const fresh = { ...parcel, expireTime: timestampFromMs(Date.now() + this.#call.timeoutMs) } as ParcelOrder;
      return this.#note(parcel, (await this.book([fresh]))[0]?.result);
    });
  }

  /** A parcel that the carrier takes. */
  async taken(): Promise<{ readonly parcel: ParcelOrder; readonly trackingNumber: string }> {
    const parcel = this.parcel();
    const result = await this.settle(parcel);
    require(result.case === "booked", `a parcel to the address that is served is ${sayParcel(result)}`);
    return { parcel, trackingNumber: result.value.trackingNumber };
  }

  /** Asks until there is something definite. @throws BrokenPromise when it takes too long */
  async untilDefinite<R extends { readonly case?: string | undefined }>(
    what: string,
    ask: () => Promise<R | undefined>,
  ): Promise<R> {
    const until = performance.now() + this.#patienceMs;
    while (performance.now() < until) {
      const result = await ask().catch((error: unknown) => {
        if (error instanceof BrokenPromise) throw error;
        return undefined;
      });
      if (result?.case !== undefined && result.case !== "undecided") return result;
      await delay(pauseMs);
    }
    throw new BrokenPromise(`${what} comes to no definite outcome within ${this.#patienceMs} ms`);
  }

  #note(parcel: ParcelOrder, result: Said<ParcelOutcome> | undefined): Said<ParcelOutcome> | undefined {
    if (result?.case === "booked") this.booked.set(parcel.key, result.value.trackingNumber);
    return result;
  }

  #address(to: keyof CarrierTrialOptions["addresses"]) {
    const { country, postalCode } = this.#options.addresses[to];
    return { recipient: "Connector Test", lines: ["1 Test Street"], city: "Test Town", postalCode, country };
  }
}

function whole<O>(entries: readonly unknown[], outcomes: readonly O[]): readonly O[] {
  if (outcomes.length === entries.length) return outcomes;
  throw new BrokenPromise(`${outcomes.length} outcomes were answered for ${entries.length} entries`);
}

/** An outcome for people. */
export function sayParcel(result: Said<ParcelOutcome> | Said<LabelOutcome> | undefined): string {
  if (result?.case === "refused") return `refused (${result.value.code})`;
  return result?.case ?? "nothing";
}
