import { OrderErrorReason } from "#gen/shop/orders/v1/order_error_reason_pb.js";
import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { type Keyed, replayable } from "#platform/database/idempotency.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import type { OrderFollower, Patience } from "../follow/order-follower.ts";
import { amendmentNotAccepted, OrderError, orderNotFound } from "../order/errors.ts";
import type { OrderRepository } from "../order/order.repository.ts";
import type { Order, ShippingAddress } from "../order/order.ts";
import { type PricedArticles, priceOf } from "../order/prices.ts";
import type { AmendmentScreening } from "../screening/amendment-screening.ts";
import {
  type AcceptedAmendment,
  type AmendmentRepository,
  type AmendmentWish,
  amendmentKeys,
} from "./amendment.repository.ts";
import { type CancelledLine, withoutLines } from "./cancelled-lines.ts";

/** What amending works with. */
export interface OrderAmendingOptions {
  readonly database: Queryable;
  readonly amendments: Pick<AmendmentRepository, "accept">;
  readonly orders: Pick<OrderRepository, "find">;
  readonly screening: Pick<AmendmentScreening, "screens" | "accepts">;
  readonly follower: OrderFollower;
  /** Told that so many orders have to be carried. */
  readonly onAccepted: (count: number) => void;
}

interface Asked extends Keyed {
  readonly orderId: string;
  /** The revision that the caller has seen; 0: any. */
  readonly revision: number;
}

/** An order as it is to be, as its caller asks for it. */
export interface AmendOrder extends Asked {
  readonly kind: "amend";
  /** Undefined: as before. */
  readonly priced: PricedArticles | undefined;
  /** Undefined: as before. */
  readonly shippingAddress: ShippingAddress | undefined;
  /** Empty: none. */
  readonly cardToken: string;
}

/** Pieces of an order that are to be cancelled. */
export interface CancelOrderLines extends Asked {
  readonly kind: "cancel lines";
  readonly lines: readonly CancelledLine[];
  readonly reason: string;
}

export type AmendRequest = AmendOrder | CancelOrderLines;

const methods = { amend: "AmendOrder", "cancel lines": "CancelOrderLines" } as const;

type Submitted = AmendRequest & Pick<AmendmentWish, "method" | "origin">;

/** An order that changes again and again while it is looked at is a matter of its caller. */
const maxLooks = 4;

/** Has orders amended: takes what they are to become, and waits a little for it to be decided. */
export class OrderAmending {
  readonly #options: OrderAmendingOptions;
  readonly #accept: (inputs: Submitted[]) => Promise<(AcceptedAmendment | Error)[]>;

  constructor(options: OrderAmendingOptions) {
    this.#options = options;
    this.#accept = replayable<Submitted, AcceptedAmendment>({
      database: options.database,
      ...amendmentKeys,
      run: (inputs) => Promise.all(inputs.map((input) => this.#acceptOne(input))),
      decode: (response) => ({ number: response.readInt32BE() }),
    });
  }

  /**
   * Has an order amended, and waits a little for that to be decided. Returns the order as it stands then.
   *
   * @throws ORDER_NOT_FOUND, NOT_AMENDABLE, AMENDMENT_PENDING, ORDER_CHANGED, CARD_NEEDED, ORDER_NOT_ACCEPTED, REQUEST_ID_REUSED, of lines
   * LINE_NOT_THERE and NOTHING_LEFT, and CURRENCY_MISMATCH, TOTAL_TOO_LARGE, TOTAL_MISMATCH, BELOW_ZERO
   */
  async amend(request: AmendRequest, patience: Patience): Promise<Order> {
    const { follower } = this.#options;
    const { orderId, kind, requestId } = request;
    using following = follower.follow(orderId);
    // Of somebody else's order nothing is told.
    await follower.get(orderId);
    const submitted: Submitted = { ...request, method: methods[kind], origin: auditOrigin(requestId) };
    const [outcome = orderNotFound(orderId)] = await this.#accept([submitted]);
    if (outcome instanceof Error) throw outcome;
    const now = await follower.get(orderId);
    if (isDecided(now, outcome)) return now;
    return (await following.until((order) => isDecided(order, outcome), patience)) ?? follower.get(orderId);
  }

  /** What follows from the order as it stands is taken only while it stands so. */
  async #acceptOne(input: Submitted): Promise<AcceptedAmendment | Error> {
    const { amendments, orders, onAccepted } = this.#options;
    for (let look = 1; ; look += 1) {
      const [order] = await orders.find([input.orderId]);
      if (!order) return orderNotFound(input.orderId);
      const wish = await this.#screened(order, wishOf(order, input));
      if (wish instanceof Error) return wish;
      const outcome = await amendments.accept(wish);
      if (!(outcome instanceof Error)) onAccepted(1);
      else if (input.revision === 0 && look < maxLooks && isChanged(outcome)) continue;
      return outcome;
    }
  }

  /** What is asked for, unless it looks like fraud. It was compared with the order as it was looked at. */
  async #screened(order: Order, wish: AmendmentWish | Error): Promise<AmendmentWish | Error> {
    const { screening } = this.#options;
    if (wish instanceof Error || !isNews(order, wish) || !(await screening.screens())) return wish;
    const { priced, shippingAddress = order.shippingAddress, cardToken } = wish;
    const amended = { total: priced?.total ?? order.total.amount, shippingAddress, cardToken };
    const isAccepted = await screening.accepts(order, amended);
    return isAccepted ? { ...wish, revision: wish.revision || order.revision } : amendmentNotAccepted(order.orderId);
  }
}

/** Whether it may be worse than the order is: what only gets less was let through already. */
function isNews({ total }: Order, { priced, shippingAddress, cardToken }: AmendmentWish): boolean {
  const isDearer = priced !== undefined && priced.total > total.amount;
  return isDearer || shippingAddress !== undefined || cardToken !== "";
}

function isDecided({ amendment }: Order, { number }: AcceptedAmendment): boolean {
  if (!amendment) return false;
  return amendment.number > number || (amendment.number === number && amendment.status !== "pending");
}

function isChanged(error: Error): boolean {
  return error instanceof OrderError && error.reason === OrderErrorReason.ORDER_CHANGED;
}

/** What is asked for, as it is taken. A refusal is a value, so that a repetition is found before. */
function wishOf(order: Order, request: Submitted): AmendmentWish | Error {
  try {
    const { requestId, fingerprint, method, origin, orderId } = request;
    const keyed = { requestId, fingerprint, method, origin, orderId };
    if (request.kind === "cancel lines") {
      const priced = pricedAs(order, withoutLines(order, request.lines));
      const said = { shippingAddress: undefined, cardToken: "", reason: request.reason };
      // Lines are counted in the order that was looked at.
      return { ...keyed, ...said, priced, revision: request.revision || order.revision };
    }
    const { shippingAddress, cardToken, revision } = request;
    const priced = request.priced && pricedAs(order, request.priced);
    return { ...keyed, priced, shippingAddress, cardToken, revision, reason: "" };
  } catch (error) {
    if (error instanceof OrderError) return error;
    throw error;
  }
}

function pricedAs({ total: { currency } }: Order, articles: PricedArticles): NonNullable<AmendmentWish["priced"]> {
  const lines = articles.lines.map(({ sku, quantity, unitPrice }) => ({ sku, quantity, unitPrice: unitPrice.amount }));
  const { total, prices } = priceOf(articles);
  if (total.currency === currency) return { lines, total: total.amount, prices };
  const metadata = { currencies: [currency, total.currency].sort().join(",") };
  const message = `the order is in ${currency}, and so has to be what it is to become`;
  throw new OrderError(OrderErrorReason.CURRENCY_MISMATCH, message, metadata);
}
