import { type Client, ConnectError } from "@connectrpc/connect";
import type { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import type {
  LabelOutcome,
  ParcelOutcome,
  ParcelWay,
  TurnBackOutcome,
} from "#gen/ordermesh/connectors/v1/carrier_parcel_pb.js";
import { Batcher } from "#platform/batch/batcher.ts";
import { sendTogether } from "#platform/batch/send-together.ts";
import { detached } from "#platform/context.ts";
import { Breaker } from "#platform/grpc/breaker.ts";
import type { Logger } from "#platform/log/logger.ts";
import { activeTraceParent } from "#platform/trace/spans.ts";
import {
  type BookingOrder,
  type BookingState,
  type Carrier,
  CarrierUndecidedError,
  type LabelOrder,
  type LabelState,
  type TurnBackAnswer,
} from "../booking/carrier.ts";
import type { TrackingEvent } from "../shipment/shipment.ts";
import { toBookingState, toEvents, toLabelOrder, toLabelState, toParcel, toTurnBackAnswer } from "./carrier-proto.ts";

/** How a carrier is reached. */
export interface ConnectorCarrierOptions {
  readonly connector: Client<typeof CarrierConnectorService>;
  /** For one call, in milliseconds. */
  readonly timeoutMs: number;
  readonly log: Pick<Logger, "warn">;
}

/** What a carrier and its connector can, checked: it may be anybody's. */
interface Abilities {
  readonly turnsBack: boolean;
  readonly makesLabels: boolean;
  /** Entries of one call. */
  readonly maxEntries: number;
}

/** A parcel with the trace context of whoever wants it booked; empty when it is not kept. */
interface SentParcel {
  readonly order: BookingOrder;
  readonly traceparent: string;
}

/** How long is known what the connector can, in milliseconds. */
const knownForMs = 60_000;
/** The most entries that shipping puts into one call. */
const mostEntries = 256;
/** Calls of a kind at the same time: a slow one must not hold up all. */
const lanes = 4;

const notSupported = { kind: "refused", code: "NOT_SUPPORTED", message: "the carrier does no such thing" } as const;

/** A carrier behind its connector, a process of whoever has the carrier. What is asked at the same time goes together, as far as the connector takes it; nothing goes while it is away. */
export class ConnectorCarrier implements Carrier {
  readonly #options: ConnectorCarrierOptions;
  readonly #breaker: Breaker;
  #known: { readonly abilities: Abilities; readonly calls: Calls; readonly until: number } | undefined;
  #asking: Promise<Calls> | undefined;

  constructor(options: ConnectorCarrierOptions) {
    this.#options = options;
    this.#breaker = new Breaker({ name: "carrier", log: options.log });
  }

  async book(order: BookingOrder, signal: AbortSignal): Promise<BookingState> {
    const traceparent = activeTraceParent() ?? "";
    const { book } = await this.#calls();
    const state = toBookingState(await book.submit({ order, traceparent }, { signal }));
    // It was not passed on: it came too late.
    if (state.kind === "unknown")
      throw new CarrierUndecidedError("the carrier's connector has not passed the parcel on");
    return state;
  }

  async find(key: string, signal: AbortSignal): Promise<BookingState> {
    return toBookingState(await (await this.#calls()).find.submit(key, { signal }));
  }

  async cancel(key: string, signal: AbortSignal): Promise<BookingState> {
    return toBookingState(await (await this.#calls()).cancel.submit(key, { signal }));
  }

  async track(key: string, signal: AbortSignal): Promise<readonly TrackingEvent[] | undefined> {
    return toEvents(await (await this.#calls()).track.submit(key, { signal }));
  }

  async turnBack(key: string, signal: AbortSignal): Promise<TurnBackAnswer> {
    const { turnBack } = await this.#calls();
    if (!this.#known?.abilities.turnsBack) return notSupported;
    return toTurnBackAnswer(await turnBack.submit(key, { signal }));
  }

  async makeLabel(order: LabelOrder, signal: AbortSignal): Promise<LabelState> {
    const { makeLabel } = await this.#calls();
    if (!this.#known?.abilities.makesLabels) return notSupported;
    return toLabelState(await makeLabel.submit(order, { signal }));
  }

  async findLabel(key: string, signal: AbortSignal): Promise<LabelState> {
    return toLabelState(await (await this.#calls()).findLabel.submit(key, { signal }));
  }

  /** Ends once every call is answered. */
  async drain(): Promise<void> {
    await Promise.all(Object.values(this.#known?.calls ?? {}).map((batcher) => batcher.drain()));
  }

  /** Asks what the connector can, when that is not known, and in passing when it has been known for long. @throws when nobody says it */
  async #calls(): Promise<Calls> {
    const known = this.#known;
    if (known && performance.now() < known.until) return known.calls;
    this.#asking ??= detached(() => this.#ask()).finally(() => {
      this.#asking = undefined;
    });
    if (!known) return await this.#asking;
    // Until it is said anew, what was said before counts.
    this.#asking.catch(() => undefined);
    return known.calls;
  }

  async #ask(): Promise<Calls> {
    const { connector, timeoutMs } = this.#options;
    const said = await this.#breaker.run(() => connector.getCarrierCapabilities({}, { timeoutMs }), timeoutMs);
    const { turnsBack, makesLabels } = said;
    const maxEntries = Math.min(Math.max(said.maxEntries, 1), mostEntries);
    const before = this.#known;
    // What waits in those of before is answered by them.
    const calls =
      before?.abilities.maxEntries === maxEntries ? before.calls : callsOf(this.#options, this.#breaker, maxEntries);
    this.#known = { abilities: { turnsBack, makesLabels, maxEntries }, calls, until: performance.now() + knownForMs };
    return calls;
  }
}

type Calls = ReturnType<typeof callsOf>;

/** One queue for each kind of call. */
function callsOf({ connector, timeoutMs }: ConnectorCarrierOptions, breaker: Breaker, maxEntries: number) {
  const options = { timeoutMs };
  const queue = <I, O>(name: string, keyOf: (entry: I) => string, send: (entries: readonly I[]) => Promise<O[]>) =>
    new Batcher<I, O>({
      name: `carrier.${name}`,
      lanes,
      maxEntries,
      keyOf,
      run: async (entries) => {
        const answers = await sendTogether(entries, (some) => breaker.run(() => send(some), timeoutMs / 2));
        return answers.map(toUnanswered);
      },
    });
  const itself = (key: string) => key;
  return {
    book: queue("book", bookedKey, async (parcels: readonly SentParcel[]): Promise<ParcelOutcome[]> => {
      return (await connector.bookParcels(toBooking(parcels), options)).outcomes;
    }),
    find: queue("find", itself, async (keys): Promise<ParcelOutcome[]> => {
      return (await connector.findParcels({ keys: [...keys] }, options)).outcomes;
    }),
    cancel: queue("cancel", itself, async (keys): Promise<ParcelOutcome[]> => {
      return (await connector.cancelParcels({ keys: [...keys] }, options)).outcomes;
    }),
    track: queue("track", itself, async (keys): Promise<ParcelWay[]> => {
      return (await connector.trackParcels({ keys: [...keys] }, options)).ways;
    }),
    turnBack: queue("turn_back", itself, async (keys): Promise<TurnBackOutcome[]> => {
      return (await connector.turnBackParcels({ keys: [...keys] }, options)).outcomes;
    }),
    makeLabel: queue("label", labelKey, async (labels: readonly LabelOrder[]): Promise<LabelOutcome[]> => {
      return (await connector.makeLabels({ labels: labels.map(toLabelOrder) }, options)).outcomes;
    }),
    findLabel: queue("find_label", itself, async (keys): Promise<LabelOutcome[]> => {
      return (await connector.findLabels({ keys: [...keys] }, options)).outcomes;
    }),
  };
}

function bookedKey({ order }: SentParcel): string {
  return order.key;
}

function labelKey({ key }: LabelOrder): string {
  return key;
}

function toBooking(sent: readonly SentParcel[]) {
  const parcels = sent.map(({ order }) => toParcel(order));
  if (sent.every(({ traceparent }) => traceparent === "")) return { parcels };
  return { parcels, traceparents: sent.map(({ traceparent }) => traceparent) };
}

/** Whatever the code of an error, it leaves open what the carrier did, and refuses nothing. */
function toUnanswered<O>(answer: O | Error): O | Error {
  if (!(answer instanceof ConnectError)) return answer;
  return new Error(`the carrier's answer is not known: ${answer.rawMessage}`, { cause: answer });
}
