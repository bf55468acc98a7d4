import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "#platform/log/logger.ts";
import { outsideId, outsideText } from "#platform/redact/outside-text.ts";
import type { Failure } from "./easypost-answer.ts";
import { type Bought, boughtOf, type Rate, type Shipment, type Tracker } from "./easypost-messages.ts";
import type { EasypostRequests } from "./easypost-requests.ts";
import { judgePrices, judgeRefund } from "./judgement.ts";
import { LeaseLost, type ParcelPage, type ParcelRepository, type TakenParcel } from "./parcel.repository.ts";
import { type Outcome, outcomeOf, type Parcel, type ParcelName } from "./parcel.ts";
import { type ParcelOrder, shipmentFields } from "./parcel-fields.ts";
import type { Senders, Services } from "./settings.ts";

/** What the connector works with. Durations are milliseconds. */
export interface EasypostCarrierOptions {
  readonly parcels: ParcelRepository;
  readonly requests: EasypostRequests;
  readonly senders: Senders;
  readonly services: Services;
  /** So long after a request without an answer that tells, EasyPost is believed when it shows no effect of it. */
  readonly settleMs: number;
  /** For so long what may pass is no refusal: a carrier that names no price, a label that cannot be bought. */
  readonly persistMs: number;
  /** How often EasyPost is asked whether its carrier takes a label back, and for how long a refusal of it is left. */
  readonly voidLookMs: number;
  /** How long a question waits for what is under way with its parcel. */
  readonly patienceMs: number;
  readonly log: Pick<Logger, "warn" | "error">;
}

/** What there is to tell of a parcel's way; `unknown`: there is no parcel. */
export type Way =
  | { readonly state: "known"; readonly tracker: Tracker | undefined }
  | { readonly state: "unknown" | "undecided" };

const pauseMs = 50;
/** So often EasyPost is asked to take a label back: it says of what is asked for early that carriers may refuse it by mistake. */
const mostVoids = 3;
const everything = new Date(8.64e15);

/**
 * Has EasyPost sell labels, each once. A key has one shipment at EasyPost, whose id is written down before its label is bought, and of one shipment
 * EasyPost sells one label: whatever is lost, the shipment tells what became of it.
 */
export class EasypostCarrier {
  readonly #options: EasypostCarrierOptions;
  readonly #running = new Map<string, Promise<Outcome>>();

  constructor(options: EasypostCarrierOptions) {
    this.#options = options;
  }

  /** Has a label made, for a parcel or for a return. @throws what keeps it from its memory; then there may be an effect */
  async book(order: ParcelOrder): Promise<Outcome> {
    const parcel = await this.#options.parcels.begin(order, order.expireTime);
    if (!parcel) return { state: "unknown" };
    return outcomeOf(parcel) ?? (await this.#once(order, () => this.#work(order)));
  }

  /** What became of it, without any effect. */
  async find(name: ParcelName): Promise<Outcome> {
    const parcel = await this.#options.parcels.find(name);
    if (!parcel) return { state: "unknown" };
    const outcome = outcomeOf(parcel);
    if (outcome) return outcome;
    if (this.#running.has(idOf(name))) return { state: "undecided" };
    return await this.#alone(name, { patienceMs: 0 }, async (taken) => answerOf(await this.#look(taken)));
  }

  /** Calls a parcel off. */
  async cancel(key: string): Promise<Outcome> {
    const { parcels, patienceMs } = this.#options;
    const name = { kind: "parcel", key } as const;
    const parcel = await parcels.find(name);
    if (!parcel) return { state: "unknown" };
    if (parcel.state === "refused" || parcel.state === "cancelled") return outcomeOf(parcel) ?? { state: "undecided" };
    return await this.#alone(name, { patienceMs }, async (taken) => this.#callOff(await this.#look(taken)));
  }

  /** What there is to tell of a parcel's way. */
  async track(name: ParcelName): Promise<Way> {
    const parcel = await this.#options.parcels.find(name);
    if (!parcel || parcel.state === "cancelled" || parcel.state === "refused" || parcel.state === "begun") {
      return { state: "unknown" };
    }
    if (parcel.state !== "booked") return { state: "undecided" };
    const answer = await this.#options.requests.retrieve(parcel.shipmentId);
    if (answer.said === "done") return { state: "known", tracker: answer.value.tracker ?? undefined };
    return { state: answer.said === "missing" ? "unknown" : "undecided" };
  }

  /** Looks at what EasyPost says has changed of a shipment; undefined: it is none of ours. */
  async lookAt(shipmentId: string): Promise<Parcel | undefined> {
    const { parcels, patienceMs } = this.#options;
    const parcel = await parcels.findByShipment(shipmentId);
    if (!parcel || outcomeOf(parcel)) return parcel;
    await this.#alone(parcel, { patienceMs }, async (taken) => answerOf(await this.#seen(taken)));
    return await parcels.find(parcel);
  }

  /** Parcels in the order of keys. */
  list(page: ParcelPage): Promise<Parcel[]> {
    return this.#options.parcels.list(page);
  }

  /** Ends once all is answered that was taken. */
  async drain(): Promise<void> {
    while (this.#running.size > 0) await Promise.allSettled(this.#running.values());
  }

  /** Who asks for the same while it is worked at has the same answer. */
  #once(name: ParcelName, work: () => Promise<Outcome>): Promise<Outcome> {
    const id = idOf(name);
    const known = this.#running.get(id);
    if (known) return known;
    const running = work().finally(() => this.#running.delete(id));
    this.#running.set(id, running);
    return running;
  }

  async #work(order: ParcelOrder): Promise<Outcome> {
    const { patienceMs } = this.#options;
    const { expireTime } = order;
    return await this.#alone(order, { patienceMs, expireTime }, async (taken) => {
      const seen = await this.#look(taken);
      if (seen.parcel.state !== "begun" || seen.isLate) return answerOf(seen);
      return await this.#price(seen, order);
    });
  }

  /** Takes the parcel for the time of the work. What there is no time for is undecided: somebody is at it, or will be. */
  async #alone(
    name: ParcelName,
    { patienceMs, expireTime = everything }: { readonly patienceMs: number; readonly expireTime?: Date },
    work: (taken: TakenParcel) => Promise<Outcome>,
  ): Promise<Outcome> {
    const until = performance.now() + patienceMs;
    for (;;) {
      const taken = await this.#options.parcels.take(name, expireTime);
      if (taken) return await this.#holding(taken, work);
      if (performance.now() >= until) return { state: "undecided" };
      await delay(pauseMs);
    }
  }

  async #holding(taken: TakenParcel, work: (taken: TakenParcel) => Promise<Outcome>): Promise<Outcome> {
    const { parcels, log } = this.#options;
    try {
      return await work(taken);
    } catch (error) {
      if (!(error instanceof LeaseLost)) throw error;
      log.warn("a parcel took so long that somebody else has gone on with it", {
        ...aboutOf(taken.parcel),
        err: error,
      });
      return { state: "undecided" };
    } finally {
      await parcels
        .release(taken)
        .catch((err: unknown) => log.warn("a parcel stays taken for a while", { ...aboutOf(taken.parcel), err }));
    }
  }

  /** What became of a parcel, as far as that can be told now. */
  async #look(taken: TakenParcel): Promise<TakenParcel> {
    const { state, shipmentId } = taken.parcel;
    if (shipmentId === "" || outcomeOf(taken.parcel)) return taken;
    if (state === "void_asked" && taken.quietMs < this.#options.voidLookMs) return taken;
    return await this.#seen(taken);
  }

  async #seen(taken: TakenParcel): Promise<TakenParcel> {
    const answer = await this.#options.requests.retrieve(taken.parcel.shipmentId);
    if (answer.said === "done")
      return await this.#compare(taken, answer.value, taken.quietMs >= this.#options.settleMs);
    this.#unanswered(taken, answer);
    // Whether somebody has bought it nobody knows.
    return taken.parcel.state === "begun" ? { ...taken, parcel: { ...taken.parcel, state: "sent" } } : taken;
  }

  /** Writes down what a shipment shows. @param isSettled whether what it does not show will not come any more */
  async #compare(taken: TakenParcel, shipment: Shipment, isSettled: boolean): Promise<TakenParcel> {
    const { parcels } = this.#options;
    const { state } = taken.parcel;
    if (state === "void_sent" || state === "void_asked") return await this.#compareVoid(taken, shipment, isSettled);
    const bought = boughtOf(shipment);
    if (bought) return await this.#bought(taken, bought);
    return state === "sent" && isSettled ? await parcels.write(taken, { state: "begun" }) : taken;
  }

  async #compareVoid(taken: TakenParcel, shipment: Shipment, isSettled: boolean): Promise<TakenParcel> {
    const { parcels } = this.#options;
    const { state, voids } = taken.parcel;
    const judged = judgeRefund(shipment.refund_status) ?? (isSettled ? "booked" : undefined);
    // A refusal may be that of the time before.
    const isFormer = judged === "booked" && state === "void_sent" && voids > 1 && !isSettled;
    return judged && !isFormer ? await parcels.write(taken, { state: judged }) : taken;
  }

  /** A price for the label: of a new shipment, or anew of the one that the key has. */
  async #price(taken: TakenParcel, order: ParcelOrder): Promise<Outcome> {
    const { requests, senders, services, persistMs, parcels, log } = this.#options;
    const fields = shipmentFields(order, senders);
    const isWanted = services(order.serviceLevel);
    if (!fields || !isWanted) {
      const lacks = fields ? "EASYPOST_SERVICES lacks its service level" : "EASYPOST_SENDERS lacks its location";
      log.error(`a parcel waits: ${lacks}`, aboutOf(order));
      return { state: "undecided" };
    }
    const { shipmentId } = taken.parcel;
    const answer = shipmentId === "" ? await requests.create(fields) : await requests.rerate(shipmentId);
    if (answer.said === "refused") return await this.#refused(taken, answer.code, shipmentId === "");
    if (answer.said !== "done") return this.#unanswered(taken, answer);
    const priced = await parcels.write(taken, { shipmentId: answer.value.id });
    const judged = judgePrices(answer.value, isWanted, priced.doubtMs < persistMs);
    if (judged.is === "refused") return await this.#refused(priced, judged.code, true);
    if (judged.is === "priced") return await this.#buy(priced, judged.rate);
    await parcels.write(priced, {}, true);
    return { state: "undecided" };
  }

  async #buy(taken: TakenParcel, { id: rateId }: Rate): Promise<Outcome> {
    const { requests, parcels } = this.#options;
    const sent = await parcels.write(taken, { state: "sent" });
    const answer = await requests.buy(sent.parcel.shipmentId, rateId);
    if (answer.said === "done") return answerOf(await this.#compare(sent, answer.value, false));
    if (answer.said === "refused") return await this.#refused(sent, answer.code, false);
    await parcels.write(sent, { state: answer.said === "lost" ? "sent" : "begun" });
    return this.#unanswered(sent, answer);
  }

  /** @param isFinal whether it will not be otherwise in a while */
  async #refused(taken: TakenParcel, code: string, isFinal: boolean): Promise<Outcome> {
    const { parcels, persistMs } = this.#options;
    if (isFinal || taken.doubtMs >= persistMs) {
      return answerOf(await parcels.write(taken, { state: "refused", code: outsideText(code, 64) }));
    }
    await parcels.write(taken, { state: "begun" }, true);
    return { state: "undecided" };
  }

  async #bought(taken: TakenParcel, { trackingNumber, carrier, label }: Bought): Promise<TakenParcel> {
    return await this.#options.parcels.write(taken, {
      state: "booked",
      trackingNumber: outsideId(trackingNumber, 128),
      carrier: outsideText(carrier, 64),
      label: taken.parcel.kind === "label" ? outsideId(label, 2_000) : "",
    });
  }

  /** Calls off what was looked at. */
  async #callOff(taken: TakenParcel): Promise<Outcome> {
    const { parcels, voidLookMs } = this.#options;
    const { state, voids } = taken.parcel;
    if (state === "begun") return answerOf(await parcels.write(taken, { state: "cancelled" }));
    if (state !== "booked" || voids >= mostVoids) return answerOf(taken);
    // A refusal is left for a while before it is asked again.
    if (voids > 0 && taken.quietMs < voidLookMs) return { state: "undecided" };
    return await this.#void(await parcels.write(taken, { state: "void_sent", voids: voids + 1 }));
  }

  async #void(taken: TakenParcel): Promise<Outcome> {
    const { requests, parcels } = this.#options;
    const answer = await requests.refund(taken.parcel.shipmentId);
    if (answer.said === "done") return afterVoid(await this.#compare(taken, answer.value, true));
    // What is refused may have been heard before.
    if (answer.said === "refused") return afterVoid(await this.#compareRefused(taken));
    if (answer.said === "lost") return this.#unanswered(taken, answer);
    await parcels.write(taken, { state: "booked", voids: taken.parcel.voids - 1 });
    return this.#unanswered(taken, answer);
  }

  async #compareRefused(taken: TakenParcel): Promise<TakenParcel> {
    const answer = await this.#options.requests.retrieve(taken.parcel.shipmentId);
    if (answer.said === "done") return await this.#compare(taken, answer.value, true);
    this.#unanswered(taken, answer);
    return taken;
  }

  /** What is not known stays so; who is to mend it reads of it. */
  #unanswered({ parcel }: TakenParcel, answer: Failure): { readonly state: "undecided" } {
    const { log } = this.#options;
    const about = { ...aboutOf(parcel), "easypost.shipment": parcel.shipmentId };
    if (answer.said === "refused") log.error(`EasyPost refuses a question (${outsideText(answer.code, 64)})`, about);
    else if (isOurs(answer.said)) log.error("EasyPost does not do what it is asked", { ...about, err: answer.error });
    else log.warn("EasyPost does not say that it did what it was asked", { ...about, err: answer.error });
    return { state: "undecided" };
  }
}

function idOf({ kind, key }: ParcelName): string {
  return `${kind}:${key}`;
}

function aboutOf({ kind, key }: ParcelName) {
  return { [kind === "label" ? "return.id" : "shipment.id"]: key };
}

/** Whether somebody has to mend it: a key of no use, an account without money, a shipment of another account. */
function isOurs(said: Failure["said"]): boolean {
  return said === "barred" || said === "missing";
}

/** Nothing is there of what has begun and is not under way. */
function answerOf({ parcel }: TakenParcel): Outcome {
  return outcomeOf(parcel) ?? { state: parcel.state === "begun" ? "unknown" : "undecided" };
}

/** A refusal to take a label back may be a mistake, until it comes again. */
function afterVoid(taken: TakenParcel): Outcome {
  const { state, voids } = taken.parcel;
  return state === "booked" && voids < mostVoids ? { state: "undecided" } : answerOf(taken);
}
