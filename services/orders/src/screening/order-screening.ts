import { type AuditOrigin, auditOrigin } from "#platform/audit/audit-entry.ts";
import { Batcher } from "#platform/batch/batcher.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import type { Logger } from "#platform/log/logger.ts";
import { orderNotAccepted, orderNotFound, reviewExpired } from "../order/errors.ts";
import type { OrderRepository } from "../order/order.repository.ts";
import type { FraudFlags } from "./fraud-flags.ts";
import { lookUp, type OpenLists } from "./lists.ts";
import { comparesNames, type Facts, type Finding, findingOf, judge, type Rules, sharesName } from "./rules.ts";
import { nothingCounted, type Recorded, type Screened, ScreeningRepository } from "./screening.repository.ts";
import type { ScreeningMetrics } from "./screening-metrics.ts";

/** What the saga is told of an order that is not rejected. */
export type Screening = "pass" | "review";

/** What screening works with. */
export interface OrderScreeningOptions {
  readonly database: Queryable;
  readonly orders: Pick<OrderRepository, "find">;
  readonly flags: FraudFlags;
  readonly metrics: ScreeningMetrics;
  readonly logger: Pick<Logger, "info">;
}

interface Submitted {
  readonly orderId: string;
  readonly origin: AuditOrigin;
}

/** An order that nobody has found anything about yet. */
interface Judged {
  readonly order: Screened;
  readonly finding: Finding;
}

/** Screens orders for fraud: what is asked together is looked up together. */
export class OrderScreening {
  readonly #options: OrderScreeningOptions;
  readonly #repository: ScreeningRepository;
  readonly #batcher: Batcher<Submitted, Screening>;

  constructor(options: OrderScreeningOptions) {
    this.#options = options;
    this.#repository = new ScreeningRepository(options.database);
    this.#batcher = new Batcher({
      name: "screening",
      keyOf: ({ orderId }) => orderId,
      run: (submitted: Submitted[]) => this.#screen(submitted),
    });
  }

  /** Whether an order goes on, or waits for a person. @throws ORDER_NOT_FOUND, ORDER_NOT_ACCEPTED, REVIEW_EXPIRED */
  screen(orderId: string, signal: AbortSignal): Promise<Screening> {
    return this.#batcher.submit({ orderId, origin: auditOrigin() }, { signal });
  }

  /** Resolves once everything that was taken is done. */
  drain(): Promise<void> {
    return this.#batcher.drain();
  }

  async #screen(submitted: Submitted[]): Promise<(Screening | Error)[]> {
    const orders = await this.#repository.find(submitted.map(({ orderId }) => orderId));
    const undecided = [...orders.values()].filter((order) => standing(order) === undefined);
    const judged = await this.#judge(undecided);
    const origins = new Map(submitted.map(({ orderId, origin }) => [orderId, origin]));
    const found = await this.#record(judged, origins);
    return submitted.map(({ orderId }) => {
      const order = found.get(orderId) ?? orders.get(orderId);
      return order ? (standing(order) ?? "pass") : orderNotFound(orderId);
    });
  }

  async #judge(orders: readonly Screened[]): Promise<Judged[]> {
    if (orders.length === 0) return [];
    const { flags } = this.#options;
    const lists = await flags.lists();
    const ruled = await Promise.all(orders.map(async (order) => ({ order, rules: await flags.rulesFor(order) })));
    const counting = ruled.filter(({ rules }) => counts(rules));
    const counted =
      counting.length > 0
        ? await this.#repository.count(counting.map(({ order, rules }) => ({ orderId: order.orderId, rules })))
        : undefined;
    const strangers = await this.#strangers(ruled);
    return ruled.map(({ order, rules }) => {
      const facts: Facts = {
        ...order,
        counts: counted?.get(order.orderId) ?? nothingCounted,
        namesDiffer: strangers.get(order.orderId),
      };
      return { order, finding: find(order, { lists, rules, facts }) };
    });
  }

  /** Whether orders go to somebody who has none of the customer's names; only of those for which it counts: both are sealed. */
  async #strangers(ruled: readonly { order: Screened; rules: Rules }[]): Promise<Map<string, boolean>> {
    const compared = ruled.filter(({ order, rules }) => comparesNames(rules, order)).map(({ order }) => order.orderId);
    if (compared.length === 0) return new Map();
    const orders = await this.#options.orders.find(compared);
    return new Map(
      orders.map(({ orderId, contact: { givenName, familyName }, shippingAddress: { recipient } }) => [
        orderId,
        !sharesName(recipient, [givenName, familyName]),
      ]),
    );
  }

  /** Writes down what does not simply go on; returns how those orders stand then, maybe by what somebody else wrote. */
  async #record(judged: readonly Judged[], origins: ReadonlyMap<string, AuditOrigin>): Promise<Map<string, Screened>> {
    const { metrics, logger } = this.#options;
    const records = judged.flatMap(({ order: { orderId }, finding }): Recorded[] => {
      const origin = origins.get(orderId);
      return finding.verdict === "pass" || !origin ? [] : [{ orderId, finding, origin }];
    });
    const isNew = records.length > 0 ? await this.#repository.record(records) : new Set();
    for (const { order, finding } of judged) {
      if (finding.verdict === "pass" || isNew.has(order.orderId)) metrics.screened(finding);
    }
    for (const { orderId, finding } of records.filter(({ orderId }) => isNew.has(orderId))) {
      const said = finding.verdict === "review" ? "an order waits for a review" : "an order is not accepted";
      logger.info(said, { "order.id": orderId, "screening.reasons": finding.reasons.join(", ") });
    }
    return records.length > 0 ? this.#repository.find(records.map(({ orderId }) => orderId)) : new Map();
  }
}

/** What was found about an order before; undefined when nobody has looked. What goes on already is held up no more. */
function standing({ orderId, status, held, decision }: Screened): Screening | Error | undefined {
  if (status !== "pending" || decision === "released") return "pass";
  if (decision === "refused") return orderNotAccepted(orderId);
  if (decision === "expired") return reviewExpired(orderId);
  return held ? "review" : undefined;
}

function find(order: Screened, { lists, rules, facts }: { lists: OpenLists; rules: Rules; facts: Facts }): Finding {
  const listed = lookUp(lists, order);
  return listed === undefined ? findingOf([]) : findingOf([...listed, ...judge(rules, facts)]);
}

function counts({ customer_orders, card_orders, address_orders, card_customers }: Rules): boolean {
  return Boolean(customer_orders ?? card_orders ?? address_orders ?? card_customers);
}
