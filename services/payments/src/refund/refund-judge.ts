import { exceedsCapture, type PaymentError } from "../payment/errors.ts";
import { type Payment, refundableOf } from "../payment/payment.ts";
import type { RefundLimits } from "./refund-limits.ts";

/** What of a payment is no matter of one person any more, in minor units. */
export interface Unapproved {
  /** What was refunded, or is being, without a second person. */
  readonly alone: bigint;
  /** What waits for one. */
  readonly waiting: bigint;
}

const nothing: Unapproved = { alone: 0n, waiting: 0n };

/** Judges which refunds of locked payments need a second person. What it lets go, or has wait, counts for the next of the same payment. */
export class RefundJudge {
  readonly #limits: Pick<RefundLimits, "of">;
  readonly #known: Map<string, Unapproved>;

  /** @param known by payment; one that is missing has nothing of either */
  constructor(limits: Pick<RefundLimits, "of">, known: ReadonlyMap<string, Unapproved>) {
    this.#limits = limits;
    this.#known = new Map(known);
  }

  /**
   * How a refund that the payment allows may go. By the payment, and whoever asks: refunds that are small each are large together, and
   * somebody may have more than one credential.
   */
  judge(payment: Payment, amount: bigint): "alone" | "waiting" | PaymentError {
    const { paymentId, currency } = payment;
    const known = this.#known.get(paymentId) ?? nothing;
    const limit = this.#limits.of(currency);
    if (limit === undefined || known.alone + amount <= limit) {
      this.#known.set(paymentId, { ...known, alone: known.alone + amount });
      return "alone";
    }
    const left = refundableOf(payment) - known.waiting;
    if (amount > left) return exceedsCapture(payment, amount, left > 0n ? left : 0n);
    this.#known.set(paymentId, { ...known, waiting: known.waiting + amount });
    return "waiting";
  }
}
