import { Counter, Gauge, Histogram, type Registry } from "prom-client";
import { type News, newsKinds, type Shipment, shipmentStatuses } from "./shipment.ts";

/** A shipment that has come to a status. */
export interface Moved extends Pick<Shipment, "status"> {
  /** Undefined when it is new, or only a mark for one that never came. */
  readonly createTime?: Date;
}

/** Told what became of shipments, once it is committed. */
export type OnMoved = (shipments: readonly Moved[]) => void;

/** How long what is due has waited, in seconds, by the relay that does it. */
export type Backlog = ReadonlyMap<string, number>;

const newsOutcomes = ["told", "refused", "failed"] as const;

/** How the telling of one piece of news ended: orders has it, orders never takes it, or it is told again. */
export type NewsOutcome = (typeof newsOutcomes)[number];

const callOffOutcomes = ["called_off", "gone", "unheard", "given_up"] as const;

/** How the telling of a call-off to the warehouse ended: it heard, the shipment had left, it cannot be told, or it has not answered for too long. */
export type CallOffOutcome = (typeof callOffOutcomes)[number];

const lookOutcomes = ["unchanged", "reported", "ended", "overdue", "unknown", "unanswered"] as const;

/** What came of asking the carrier about a parcel of which nobody reported anything; see `TrackingOutcome` in the contract. */
export type LookOutcome = (typeof lookOutcomes)[number];

/** What the shipping service measures. */
export class ShippingMetrics {
  readonly #seconds: Histogram<"outcome">;
  readonly #shipments: Counter<"status">;
  readonly #carrier: Histogram<"call" | "outcome">;
  readonly #news: Counter<"news" | "outcome">;
  readonly #looks: Counter<"outcome">;
  readonly #lookAge: Gauge;
  readonly #callOffs: Counter<"outcome">;
  readonly #lag: Gauge<"relay">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#seconds = new Histogram({
      name: "shipping_seconds",
      help: "Time from a shipment's creation until it was shipped, and until it ended: delivered, lost, returned, failed or cancelled.",
      labelNames: ["outcome"],
      buckets: [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 600, 3600, 86400, 604800],
      registers,
    });
    this.#shipments = new Counter({
      name: "shipping_shipments_total",
      help: "Shipments that came to a status; PREPARING is a new one, CANCELLED may be the mark for one that never came.",
      labelNames: ["status"],
      registers,
    });
    // From the beginning, so that the first of them is a rise.
    for (const status of shipmentStatuses) this.#shipments.inc({ status: status.toUpperCase() }, 0);
    this.#carrier = new Histogram({
      name: "shipping_carrier_duration_seconds",
      help: "Duration of calls to the carrier, by call and outcome: its answer, or failed.",
      labelNames: ["call", "outcome"],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
      registers,
    });
    this.#news = new Counter({
      name: "shipping_news_total",
      help: "What orders was told of shipments, by news and outcome: told, refused (put aside) or failed (told again).",
      labelNames: ["news", "outcome"],
      registers,
    });
    for (const news of newsKinds) {
      for (const outcome of newsOutcomes) this.#news.inc({ news: news.toUpperCase(), outcome }, 0);
    }
    [this.#looks, this.#lookAge] = lookMetrics(registers);
    this.#callOffs = new Counter({
      name: "shipping_call_offs_total",
      help: "Shipments of whose call-off the warehouse was told, by how that ended: called_off, gone (it had left), unheard (the warehouse cannot be told), given_up (it has not answered for a day).",
      labelNames: ["outcome"],
      registers,
    });
    for (const outcome of callOffOutcomes) this.#callOffs.inc({ outcome }, 0);
    this.#lag = new Gauge({
      name: "shipping_relay_lag_seconds",
      help: "How long the oldest shipment waits that is due to be packed, booked, told to its saga or called off at the warehouse, or of which orders has not heard; 0 when none does.",
      labelNames: ["relay"],
      registers,
    });
  }

  /** Notes what became of shipments. */
  readonly moved: OnMoved = (shipments) => {
    for (const { status, createTime } of shipments) {
      const outcome = status.toUpperCase();
      this.#shipments.inc({ status: outcome });
      if (!createTime || !measured[status]) continue;
      this.#seconds.observe({ outcome }, Math.max(0, Date.now() - createTime.getTime()) / 1_000);
    }
  };

  /** Notes a call to the carrier: what was asked, how it ended, and how long it took in seconds. */
  readonly carrierCall = (call: string, outcome: string, seconds: number): void => {
    this.#carrier.observe({ call, outcome }, seconds);
  };

  /** Notes that orders was told something, and how that ended. */
  readonly newsTold = (news: News, outcome: NewsOutcome): void => {
    this.#news.inc({ news: news.toUpperCase(), outcome });
  };

  /** Notes what came of asking the carrier about a parcel of which nobody reported anything. */
  readonly looked = (outcome: LookOutcome): void => {
    this.#looks.inc({ outcome });
  };

  /** Notes how the telling of a call-off to the warehouse ended. */
  readonly calledOff = (outcome: CallOffOutcome): void => {
    this.#callOffs.inc({ outcome });
  };

  /** Notes how long ago, in seconds, the carrier was asked about all of them. */
  lookAge(seconds: number): void {
    this.#lookAge.set(seconds);
  }

  /** Notes how much is left to do. */
  backlog(waits: Backlog): void {
    for (const [relay, seconds] of waits) this.#lag.set({ relay }, seconds);
  }
}

function lookMetrics(registers: Registry[]): [Counter<"outcome">, Gauge] {
  const looks = new Counter({
    name: "shipping_looks_total",
    help: "Parcels that the carrier was asked about because nobody reported anything, or an operator wanted to know, by what came of it.",
    labelNames: ["outcome"],
    registers,
  });
  for (const outcome of lookOutcomes) looks.inc({ outcome }, 0);
  const age = new Gauge({
    name: "shipping_look_age_seconds",
    help: "Time since the carrier was asked about all silent parcels, and answered.",
    registers,
  });
  return [looks, age];
}

/** Whether the time until a status is of interest. */
const measured: Readonly<Record<Shipment["status"], boolean>> = {
  preparing: false,
  ready: false,
  booking: false,
  shipped: true,
  delivered: true,
  failed: true,
  lost: true,
  returned: true,
  cancelled: true,
};
