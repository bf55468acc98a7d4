import type { Logger } from "#platform/log/logger.ts";
import type { Order, ShippingAddress } from "../order/order.ts";
import type { FraudFlags } from "./fraud-flags.ts";
import { lookUp } from "./lists.ts";
import { findingOf, type Hit, judge, sharesName } from "./rules.ts";
import { nothingCounted, type Screened, type ScreeningRepository } from "./screening.repository.ts";
import { digitsOf, type ScreeningKeys } from "./screening-keys.ts";
import type { ScreeningMetrics } from "./screening-metrics.ts";

/** What an order is to become, as far as screening looks at it. */
export interface AmendedOrder {
  /** Minor units of the order's currency. */
  readonly total: bigint;
  readonly shippingAddress: ShippingAddress;
  /** Of a card that pays besides; empty: none. */
  readonly cardToken: string;
}

/** What it works with. */
export interface AmendmentScreeningOptions {
  readonly repository: Pick<ScreeningRepository, "find">;
  readonly keys: ScreeningKeys;
  readonly flags: FraudFlags;
  readonly metrics: Pick<ScreeningMetrics, "screened">;
  readonly logger: Pick<Logger, "info">;
}

/**
 * Screens what orders are to become: whoever was let through with a small order to a good address does not make a large one to another address of
 * it. It has no reviews: what a person would have to look at is not accepted, and may be ordered anew. How often something happened is not
 * counted, because no order comes with it.
 */
export class AmendmentScreening {
  readonly #options: AmendmentScreeningOptions;

  constructor(options: AmendmentScreeningOptions) {
    this.#options = options;
  }

  /** Whether orders are screened. */
  screens(): Promise<boolean> {
    return this.#options.flags.screens();
  }

  /**
   * Whether an order may become another one: nothing is said of it, or nothing that was not said of the order as it is. What costs more is looked at
   * as if nobody had looked before.
   */
  async accepts(order: Order, amended: AmendedOrder): Promise<boolean> {
    const { repository, keys, metrics, logger } = this.#options;
    const screened = (await repository.find([order.orderId])).get(order.orderId);
    if (!screened) return true;
    const { total, cardToken } = amended;
    const { country, card_key, postal_key } = await keys.columnsOf({ ...amended, orderId: order.orderId });
    const cardHash = cardToken === "" ? screened.cardHash : digitsOf(card_key);
    const becomes = { ...screened, total, country, cardHash, postalHash: digitsOf(postal_key) };
    const before = total > screened.total ? [] : await this.#hits(screened, order);
    const after = await this.#hits(becomes, { ...order, shippingAddress: amended.shippingAddress });
    const finding = findingOf(after.filter((hit) => !before.some((known) => isSame(hit, known))));
    metrics.screened(finding);
    if (finding.verdict === "pass") return true;
    const said = { "order.id": order.orderId, "screening.reasons": finding.reasons.join(", ") };
    logger.info("what an order is to become is not accepted", said);
    return false;
  }

  async #hits(screened: Screened, { contact, shippingAddress: { recipient } }: Order): Promise<Hit[]> {
    const { flags } = this.#options;
    const [lists, rules] = await Promise.all([flags.lists(), flags.rulesFor(screened)]);
    const namesDiffer = !sharesName(recipient, [contact.givenName, contact.familyName]);
    const listed = lookUp(lists, screened);
    return listed === undefined
      ? []
      : [...listed, ...judge(rules, { ...screened, counts: nothingCounted, namesDiffer })];
  }
}

function isSame(one: Hit, other: Hit): boolean {
  return one.reason === other.reason && one.verdict === other.verdict;
}
