import { type Fenced, isOver } from "#platform/fence.ts";
import {
  creditRefused,
  episodeOver,
  exceedsCapture,
  mismatch,
  notFound,
  type PaymentError,
  paidElsewhere,
} from "./errors.ts";
import { type Payment, refundableOf } from "./payment.ts";
import type { GivenPayment } from "./payment-row.ts";

/** A payment as it is asked for. */
interface AskedPayment extends GivenPayment, Fenced {
  /** Who asks; undefined for the saga, which alone makes credits. */
  readonly asker: string | undefined;
}

/** Judges which payments may be credits of locked ones. What it lets go counts for the next of the same. */
export class CreditJudge {
  readonly #sources: Map<string, Payment>;

  /** @param sources what payments are to be credits of, as far as it is there */
  constructor(sources: readonly Payment[]) {
    this.#sources = new Map(sources.map((payment) => [payment.paymentId, payment]));
  }

  /** What a payment is a credit of; undefined where a card pays. */
  sourceOf({ sourceId }: Pick<GivenPayment, "sourceId">): Payment | undefined {
    return this.#sources.get(sourceId);
  }

  /** Why a payment may not be made; undefined when it may, or is no credit. */
  judge(asked: AskedPayment): PaymentError | undefined {
    const { sourceId, asker, amount, currency, fence } = asked;
    if (sourceId === "") return undefined;
    if (asker !== undefined) return creditRefused(asked, "SAGA_ONLY");
    const source = this.#sources.get(sourceId);
    if (!source) return notFound(sourceId);
    if (isOver(asked, source.fence)) return episodeOver(sourceId, asked, source.fence);
    if (source.customerId !== asked.customerId) return creditRefused(asked, "OTHER_CUSTOMER");
    if (source.provider !== "") return paidElsewhere(source);
    if (source.currency !== currency) return mismatch(source, currency);
    if (amount > refundableOf(source)) return exceedsCapture(source, amount);
    const credited = { ...source, credited: source.credited + amount, fence: Math.max(source.fence, fence) };
    this.#sources.set(sourceId, credited);
    return undefined;
  }
}
