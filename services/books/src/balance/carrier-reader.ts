import { type Client, ConnectError } from "@connectrpc/connect";
import type { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import type { ParcelOutcome } from "#gen/ordermesh/connectors/v1/carrier_parcel_pb.js";
import { BooksError } from "./ask.ts";

/** How the books ask what a carrier has. */
export type CarrierList = Pick<Client<typeof CarrierConnectorService>, "findParcels" | "listParcels">;

/** What a carrier has under a key. */
export interface CarrierParcel {
  readonly state: string;
  readonly trackingNumber: string;
}

/** How long one call may take, in milliseconds. */
const timeoutMs = 30_000;
/** What a connector is asked, and lists, at once, at most. */
const most = { asked: 256, listed: 1_000 };

/** What a carrier has, asked of its connector page by page. */
export class CarrierReader {
  readonly #carrier: CarrierList;
  /** The most that was read at once. */
  mostParcels = 0;

  constructor(carrier: CarrierList) {
    this.#carrier = carrier;
  }

  /** What there is under keys; what the carrier has not is left out. @throws BooksError when nobody says it */
  async find(keys: readonly string[]): Promise<ReadonlyMap<string, CarrierParcel>> {
    const found = new Map<string, CarrierParcel>();
    for (let first = 0; first < keys.length; first += most.asked) {
      const some = keys.slice(first, first + most.asked);
      const { outcomes } = await this.#ask(() => this.#carrier.findParcels({ keys: some }, { timeoutMs }));
      if (outcomes.length !== some.length) throw failure(`it answers ${outcomes.length} of ${some.length} keys`);
      for (const [index, key] of some.entries()) {
        const parcel = toParcel(outcomes[index]);
        if (parcel) found.set(key, parcel);
      }
    }
    return found;
  }

  /** The keys of all parcels that the carrier took, page by page. @throws BooksError when nobody says it, or not as the contract has it */
  async *booked(size: number): AsyncGenerator<readonly string[]> {
    const limit = Math.min(size, most.listed);
    for (let afterKey = "", more = true; more; ) {
      const page = await this.#ask(() => this.#carrier.listParcels({ afterKey, limit }, { timeoutMs }));
      for (const { key } of page.parcels) {
        if (key <= afterKey) throw failure(`it lists the key ${key} out of its place`);
        afterKey = key;
      }
      if (page.more && page.parcels.length === 0) throw failure("it has more to list, and lists nothing");
      this.mostParcels = Math.max(this.mostParcels, page.parcels.length);
      yield page.parcels.filter(({ outcome }) => outcome?.result.case === "booked").map(({ key }) => key);
      more = page.more;
    }
  }

  async #ask<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await question();
    } catch (cause) {
      throw failure(ConnectError.from(cause).rawMessage, cause);
    }
  }
}

function failure(why: string, cause?: unknown): BooksError {
  return new BooksError(`The connector of the carrier does not say what it has: ${why}.`, { cause });
}

function toParcel(outcome: ParcelOutcome | undefined): CarrierParcel | undefined {
  const { result } = outcome ?? { result: { case: undefined } };
  if (result.case === undefined || result.case === "unknown") return undefined;
  return { state: result.case, trackingNumber: result.case === "booked" ? result.value.trackingNumber : "" };
}
