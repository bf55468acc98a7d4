import { SpanKind } from "@opentelemetry/api";
import type { Logger } from "#platform/log/logger.ts";
import { type PersonalData, plainPersonalData } from "#platform/personal/personal-data.ts";
import { underSpan } from "#platform/trace/spans.ts";
import { resumeBatch } from "../shipment/resumed-batch.ts";
import type { Shipment } from "../shipment/shipment.ts";
import { addressOf } from "../shipment/shipment-address.ts";
import type { PackingReport, PackingRepository } from "./packing.repository.ts";
import type { PackingOrder, PackingState, Warehouse } from "./warehouse.ts";

/** What the packing works with. Durations are milliseconds. */
export interface PackingOptions {
  readonly repository: PackingRepository;
  readonly warehouse: Pick<Warehouse, "pack">;
  /** Opens addresses; by default all of them are plain. */
  readonly personal?: PersonalData | undefined;
  /** Told for which shipments the warehouse fails. */
  readonly log: Pick<Logger, "warn">;
  /** How long the questions of one sweep to the warehouse may take together. */
  readonly timeoutMs: number;
  /** Called after one of them is packed, or cannot be, of which orders is to be told: it need not wait for the timer. */
  readonly onNews?: () => void;
}

const batchSize = 256;
/** Questions in one sweep: enough to find the one shipment of a whole batch for which the warehouse fails. */
const maxQuestions = 24;
/** The shortest and the longest pause before the warehouse is asked again about such a shipment, in milliseconds. */
const pauses = { shortest: 1_000, longest: 60_000 };
/** Whatever the warehouse says: a shipment that it has put off for ever would be forgotten. A day, in milliseconds. */
const longestPacking = 86_400_000;

/** A shipment and what the warehouse is told about it. */
interface Asked {
  readonly shipment: Shipment;
  readonly order: PackingOrder;
}

/** What the warehouse said, why it said nothing, or undefined: it was not asked about this one alone. */
type Answer = PackingState | Error | undefined;

/** How much may still be asked. */
interface Budget {
  questions: number;
  readonly signal: AbortSignal;
}

/** Has shipments packed: gives them to the warehouse and asks until they are ready. */
export class Packing {
  readonly #options: PackingOptions;

  constructor(options: PackingOptions) {
    this.#options = options;
  }

  /**
   * Asks the warehouse about what is due and writes down what it says; returns how many that were. Several replicas share
   * the work; what one of them claimed and did not finish is due again after its lease. A batch for which the warehouse fails
   * is halved until the shipment that is the cause is alone: that one is put off, the others go on.
   *
   * @throws what the warehouse threw, when it failed for all of them
   */
  async sweep(signal: AbortSignal): Promise<number> {
    const { repository, timeoutMs } = this.#options;
    const personal = this.#options.personal ?? plainPersonalData;
    const claimed = await repository.claimDue(2 * timeoutMs, batchSize);
    const asked = (await Promise.all(claimed.map((shipment) => toAsked(personal, shipment)))).flat();
    if (asked.length === 0) return 0;
    const budget = { questions: maxQuestions, signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) };
    const startTime = Date.now();
    const answers = await underSpan(undefined, () => this.#ask(asked, budget));
    // A question that brings nothing new is in no trace: packing may take days.
    const news = asked.flatMap(({ shipment }, index) => (isNews(answers[index]) ? [{ shipment, index }] : []));
    const batch = {
      name: "warehouse pack",
      kind: SpanKind.CLIENT,
      startTime,
      shipments: news.map(({ shipment }) => shipment),
      attributesOf: () => ({ "peer.service": "warehouse" }),
    };
    const settle = async () => {
      await this.#settle(asked, answers);
      return news.map(({ index }) => answers[index]);
    };
    await resumeBatch<Answer>(batch, settle, outcomeOf);
    if (news.some(({ shipment }) => shipment.reported)) this.#options.onNews?.();
    return asked.length;
  }

  async #settle(asked: readonly Asked[], answers: readonly Answer[]): Promise<void> {
    const errors = answers.filter((answer) => answer instanceof Error);
    if (errors[0] && !answers.some((answer) => answer && !(answer instanceof Error))) throw errors[0];
    await this.#options.repository.settle(asked.map(({ shipment }, index) => this.#report(shipment, answers[index])));
  }

  async #ask(asked: readonly Asked[], budget: Budget): Promise<Answer[]> {
    if (budget.questions === 0) return asked.map(() => undefined);
    budget.questions -= 1;
    const orders = asked.map(({ order }) => order);
    try {
      const states = await this.#options.warehouse.pack(orders, budget.signal);
      if (states.length === orders.length) return states;
      throw new Error(`the warehouse said something about ${states.length} of ${orders.length} shipments`);
    } catch (error) {
      if (asked.length === 1 || budget.signal.aborted) {
        return asked.map(() => (error instanceof Error ? error : new Error("the warehouse failed", { cause: error })));
      }
      const middle = asked.length >> 1;
      const left = await this.#ask(asked.slice(0, middle), budget);
      return [...left, ...(await this.#ask(asked.slice(middle), budget))];
    }
  }

  #report(shipment: Shipment, answer: Answer): PackingReport {
    if (answer === undefined) return { shipment, state: { kind: "packing", askAgainMs: 0 } };
    if (!(answer instanceof Error)) return { shipment, state: bounded(answer) };
    const askAgainMs = pauseFor(shipment);
    const fields = { "shipment.id": shipment.shipmentId, "order.id": shipment.orderId, err: answer };
    this.#options.log.warn("the warehouse fails for a shipment and will be asked again", fields);
    return { shipment, state: { kind: "packing", askAgainMs } };
  }
}

/** A mark for a shipment that never came is nothing to pack. */
async function toAsked(personal: PersonalData, shipment: Shipment): Promise<Asked[]> {
  const { shipmentId, orderId, locationId, lines } = shipment;
  const address = await addressOf(personal, shipment);
  return address ? [{ shipment, order: { shipmentId, orderId, locationId, lines, address } }] : [];
}

function bounded(state: PackingState): PackingState {
  if (state.kind !== "packing") return state;
  const askAgainMs = Number.isNaN(state.askAgainMs) ? pauses.shortest : Math.min(longestPacking, state.askAgainMs);
  return { ...state, askAgainMs };
}

/** The older it is, the less often is asked: a quarter of its age. */
function pauseFor({ createTime }: Shipment): number {
  return Math.min(pauses.longest, Math.max(pauses.shortest, (Date.now() - createTime.getTime()) / 4));
}

function isNews(answer: Answer): boolean {
  return answer instanceof Error || (answer !== undefined && answer.kind !== "packing");
}

function outcomeOf(answer: Answer): string {
  if (answer instanceof Error) return "failed";
  return answer ? answer.kind : "pending";
}
