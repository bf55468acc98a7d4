import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
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
import {
  type LabelOutcome,
  LabelOutcomeSchema,
  type ParcelOrder,
  type ParcelOutcome,
  ParcelOutcomeSchema,
  type ParcelWay,
  ParcelWaySchema,
  type TurnBackOutcome,
  TurnBackOutcomeSchema,
} from "#gen/ordermesh/connectors/v1/carrier_parcel_pb.js";
import { answerEach, type EntryOutcome } from "#platform/batch/batch-call.ts";
import type { Subject } from "#platform/context.ts";
import { wholeMs } from "#platform/timestamp.ts";
import { whole } from "#platform/whole.ts";
import type { CarrierSimulator, LabelAnswer, ParcelAnswer, SentParcel, TurnBackSaid } from "./carrier-simulator.ts";
import { type JourneyEvent, journeyKinds } from "./journey.ts";

const maxListed = 1_000;
const maxEntries = 256;
/** What the simulated carrier calls itself. */
const carrier = "simulator";

/** The simulated carrier as shipping calls it. */
export class CarrierConnectorApi implements ServiceImpl<typeof CarrierConnectorService> {
  readonly #carrier: CarrierSimulator;

  constructor(carrier: CarrierSimulator) {
    this.#carrier = carrier;
  }

  getCarrierCapabilities() {
    return whole(GetCarrierCapabilitiesResponseSchema, { turnsBack: true, makesLabels: true, maxEntries });
  }

  async bookParcels({ parcels, traceparents }: BookParcelsRequest, { signal }: HandlerContext) {
    const about = { method: "BookParcel", subjectOf: orderOf };
    const outcomes = await answerEach({ requests: parcels, traceparents }, about, async (parcel) =>
      toOutcome(await this.#carrier.book(toSent(parcel), { signal })),
    );
    return whole(BookParcelsResponseSchema, { outcomes: outcomes.map(toBooked) });
  }

  async findParcels({ keys }: FindParcelsRequest, { signal }: HandlerContext) {
    const answers = await Promise.all(keys.map((key) => this.#carrier.find(key, { signal })));
    return whole(FindParcelsResponseSchema, { outcomes: answers.map(toOutcome) });
  }

  async cancelParcels({ keys }: CancelParcelsRequest, { signal }: HandlerContext) {
    const answers = await Promise.all(keys.map((key) => this.#carrier.cancel(key, { signal })));
    return whole(CancelParcelsResponseSchema, { outcomes: answers.map(toOutcome) });
  }

  async turnBackParcels({ keys }: TurnBackParcelsRequest, { signal }: HandlerContext) {
    const answers = await Promise.all(keys.map((key) => this.#carrier.turnBack(key, { signal })));
    return whole(TurnBackParcelsResponseSchema, { outcomes: answers.map(toTurnBack) });
  }

  async makeLabels({ labels }: MakeLabelsRequest, { signal }: HandlerContext) {
    const answers = await Promise.all(
      labels.map(({ key, locationId, sender }) => {
        const order = { key, locationId, postalCode: sender?.postalCode ?? "" };
        return this.#carrier.makeLabel(order, { signal });
      }),
    );
    return whole(MakeLabelsResponseSchema, { outcomes: answers.map(toLabel) });
  }

  async findLabels({ keys }: FindLabelsRequest, { signal }: HandlerContext) {
    const answers = await Promise.all(keys.map((key) => this.#carrier.findLabel(key, { signal })));
    return whole(FindLabelsResponseSchema, { outcomes: answers.map(toLabel) });
  }

  async trackParcels({ keys }: TrackParcelsRequest, { signal }: HandlerContext) {
    const ways = await Promise.all(keys.map((key) => this.#carrier.track(key, { signal })));
    return whole(TrackParcelsResponseSchema, { ways: ways.map(toWay) });
  }

  async listParcels({ afterKey: after, limit: asked }: ListParcelsRequest) {
    const limit = asked || maxListed;
    const found = await this.#carrier.list({ after, limit: limit + 1 });
    const parcels = found
      .slice(0, limit)
      .map(({ key, answer }) => whole(ListedParcelSchema, { key, outcome: toOutcome(answer) }));
    return whole(ListParcelsResponseSchema, { parcels, more: found.length > limit });
  }
}

function orderOf({ orderId }: ParcelOrder): Subject {
  return orderId === "" ? {} : { "order.id": orderId };
}

function toSent({ key, locationId, recipient, expireTime }: ParcelOrder): SentParcel {
  const expires = new Date(wholeMs(expireTime) ?? 0);
  return { key, locationId, postalCode: recipient?.postalCode ?? "", expireTime: expires };
}

/** Nothing that the simulator does is refused by its own errors. */
function toBooked({ outcome }: EntryOutcome<ParcelOutcome>): ParcelOutcome {
  return outcome.case === "response" ? outcome.value : toOutcome({ state: "undecided" });
}

function toOutcome(answer: ParcelAnswer): ParcelOutcome {
  switch (answer.state) {
    case "booked": {
      const value = { trackingNumber: answer.trackingNumber, carrier };
      return whole(ParcelOutcomeSchema, { result: { case: "booked", value } });
    }
    case "refused":
      return whole(ParcelOutcomeSchema, { result: { case: "refused", value: refusalOf(answer) } });
    default:
      return whole(ParcelOutcomeSchema, { result: { case: answer.state, value: {} } });
  }
}

function toTurnBack(said: TurnBackSaid): TurnBackOutcome {
  const result =
    said.state === "refused"
      ? ({ case: "refused", value: refusalOf(said) } as const)
      : ({ case: said.state, value: {} } as const);
  return whole(TurnBackOutcomeSchema, { result });
}

function toLabel(answer: LabelAnswer): LabelOutcome {
  switch (answer.state) {
    case "made": {
      const { trackingNumber, label } = answer;
      return whole(LabelOutcomeSchema, { result: { case: "made", value: { trackingNumber, label } } });
    }
    case "refused":
      return whole(LabelOutcomeSchema, { result: { case: "refused", value: refusalOf(answer) } });
    default:
      return whole(LabelOutcomeSchema, { result: { case: answer.state, value: {} } });
  }
}

function refusalOf({ code, message }: { readonly code: string; readonly message: string }) {
  return { code, message };
}

function toWay(events: readonly JourneyEvent[] | undefined): ParcelWay {
  if (!events) return whole(ParcelWaySchema, { result: { case: "unknown", value: {} } });
  return whole(ParcelWaySchema, { result: { case: "known", value: { events: events.map(toTrackingEvent) } } });
}

/** What happened, as shipping is told of it. */
export function toTrackingEvent({ eventId, kind, eventTime, place }: JourneyEvent) {
  return { eventId, kind: journeyKinds[kind], eventTime: timestampFromDate(eventTime), place };
}
