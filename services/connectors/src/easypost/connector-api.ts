import type { ServiceImpl } from "@connectrpc/connect";
import {
  type BookParcelsRequest,
  BookParcelsResponseSchema,
  type CancelParcelsRequest,
  CancelParcelsResponseSchema,
  type CarrierConnectorService,
  type FindLabelsRequest,
  FindLabelsResponseSchema,
  type FindParcelsRequest,
  FindParcelsResponseSchema,
  GetCarrierCapabilitiesResponseSchema,
  ListedParcelSchema,
  type ListParcelsRequest,
  ListParcelsResponseSchema,
  type MakeLabelsRequest,
  MakeLabelsResponseSchema,
  type TrackParcelsRequest,
  TrackParcelsResponseSchema,
  type TurnBackParcelsRequest,
  TurnBackParcelsResponseSchema,
} from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import type { LabelOrder, ParcelOrder, ParcelOutcome } from "#gen/ordermesh/connectors/v1/carrier_parcel_pb.js";
import { answerEach, type EntryOutcome } from "#platform/batch/batch-call.ts";
import { detached, type Subject } from "#platform/context.ts";
import type { Logger } from "#platform/log/logger.ts";
import { orLate } from "#platform/wait.ts";
import { whole } from "#platform/whole.ts";
import { toBooking, toLabelOutcome, toParcelOutcome, toReturn, toTurnBackRefused, toWay } from "./carrier-proto.ts";
import type { EasypostCarrier, Way } from "./easypost-carrier.ts";
import { type Outcome, outcomeOf } from "./parcel.ts";
import type { ReturnParcel } from "./settings.ts";

/** What shipping is answered by, and how long it waits. */
export interface ConnectorApiOptions {
  readonly carrier: EasypostCarrier;
  readonly returnParcel: ReturnParcel;
  /** After so long it is answered that nothing is decided, in milliseconds. */
  readonly answerWithinMs: number;
  readonly log: Pick<Logger, "error">;
}

const maxListed = 1_000;
/** Each takes two requests, and those that come at the same time share the rate. */
const maxEntries = 16;

/** EasyPost as shipping calls it. */
export class ConnectorApi implements ServiceImpl<typeof CarrierConnectorService> {
  readonly #options: ConnectorApiOptions;

  constructor(options: ConnectorApiOptions) {
    this.#options = options;
  }

  /** EasyPost turns no parcel back. */
  getCarrierCapabilities() {
    return whole(GetCarrierCapabilitiesResponseSchema, { turnsBack: false, makesLabels: true, maxEntries });
  }

  async bookParcels({ parcels, traceparents }: BookParcelsRequest) {
    const { carrier } = this.#options;
    const about = { method: "BookParcel", subjectOf: orderOf };
    const outcomes = await answerEach({ requests: parcels, traceparents }, about, async (parcel) =>
      toParcelOutcome(await this.#inTime(() => carrier.book(toBooking(parcel)))),
    );
    return whole(BookParcelsResponseSchema, { outcomes: outcomes.map(toAnswered) });
  }

  async findParcels({ keys }: FindParcelsRequest) {
    const { carrier } = this.#options;
    const outcomes = await this.#each(keys, (key) => carrier.find({ kind: "parcel", key }));
    return whole(FindParcelsResponseSchema, { outcomes: outcomes.map(toParcelOutcome) });
  }

  async cancelParcels({ keys }: CancelParcelsRequest) {
    const outcomes = await this.#each(keys, (key) => this.#options.carrier.cancel(key));
    return whole(CancelParcelsResponseSchema, { outcomes: outcomes.map(toParcelOutcome) });
  }

  turnBackParcels({ keys }: TurnBackParcelsRequest) {
    return whole(TurnBackParcelsResponseSchema, { outcomes: keys.map(toTurnBackRefused) });
  }

  async makeLabels({ labels }: MakeLabelsRequest) {
    const { carrier, returnParcel } = this.#options;
    const outcomes = await this.#each(labels, async (label: LabelOrder): Promise<Outcome> => {
      const order = toReturn(label, returnParcel);
      return order ? await carrier.book(order) : { state: "refused", code: "ADDRESS_FORGOTTEN" };
    });
    return whole(MakeLabelsResponseSchema, { outcomes: outcomes.map(toLabelOutcome) });
  }

  async findLabels({ keys }: FindLabelsRequest) {
    const { carrier } = this.#options;
    const outcomes = await this.#each(keys, (key) => carrier.find({ kind: "label", key }));
    return whole(FindLabelsResponseSchema, { outcomes: outcomes.map(toLabelOutcome) });
  }

  async trackParcels({ keys }: TrackParcelsRequest) {
    const { carrier } = this.#options;
    const ways = await Promise.all(keys.map((key) => this.#inTime<Way>(() => carrier.track({ kind: "parcel", key }))));
    return whole(TrackParcelsResponseSchema, { ways: ways.map(toWay) });
  }

  async listParcels({ afterKey: after, limit: asked }: ListParcelsRequest) {
    const limit = asked || maxListed;
    const found = await this.#options.carrier.list({ after, limit: limit + 1 });
    const parcels = found.slice(0, limit).map((parcel) => {
      const outcome = toParcelOutcome(outcomeOf(parcel) ?? { state: "undecided" });
      return whole(ListedParcelSchema, { key: parcel.key, outcome });
    });
    return whole(ListParcelsResponseSchema, { parcels, more: found.length > limit });
  }

  #each<T>(entries: readonly T[], work: (entry: T) => Promise<Outcome>): Promise<Outcome[]> {
    return Promise.all(entries.map((entry) => this.#inTime(() => work(entry))));
  }

  /** What takes longer goes on, whoever waits for it; what fails says nothing of the parcel. */
  async #inTime<T extends Outcome | Way>(work: () => Promise<T>): Promise<T | { readonly state: "undecided" }> {
    const { answerWithinMs, log } = this.#options;
    const running = detached(work).catch((err: unknown) => {
      log.error("a parcel is left as it is", { err });
      return undefined;
    });
    return (await orLate(running, answerWithinMs)) ?? { state: "undecided" };
  }
}

function orderOf({ orderId }: ParcelOrder): Subject {
  return orderId === "" ? {} : { "order.id": orderId };
}

/** An error leaves open what happened. */
function toAnswered({ outcome }: EntryOutcome<ParcelOutcome>): ParcelOutcome {
  return outcome.case === "response" ? outcome.value : toParcelOutcome({ state: "undecided" });
}
