import type { CustomerRepository } from "./customer.repository.ts";
import { type Answer, withoutCode } from "./stripe-answer.ts";
import type { StripeRequests } from "./stripe-requests.ts";

/** What the customers are known by, and kept by. */
export interface StripeCustomersOptions {
  readonly customers: CustomerRepository;
  readonly requests: Pick<StripeRequests, "createCustomer" | "retrieveCard">;
}

type Made = Awaited<ReturnType<StripeRequests["createCustomer"]>>;
type Refusal = Extract<Made, { readonly said: "refused" }>;

/** The code of a payment method that was used, or taken from a customer, before it was attached to one of ours: it cannot be used again. */
const cardUsed = "payment_method_used";
/** The code of a payment method that somebody else has attached to a customer. */
const cardOfOther = "payment_method_of_other_customer";

/**
 * The customers of Stripe's that payment methods are attached to: one that is attached to none can be used once. Each payment method has a customer of its own,
 * who says nothing of a person, nor whose payment methods belong together.
 */
export class StripeCustomers {
  readonly #options: StripeCustomersOptions;

  constructor(options: StripeCustomersOptions) {
    this.#options = options;
  }

  /**
   * Stripe's id of the customer that a payment method is attached to, `cus_…`, which is made, with the payment method, and kept when there is none.
   *
   * @param key the idempotency key under which it is made; another one makes no second customer
   */
  async of(cardToken: string, key: string): Promise<Answer<string>> {
    const { customers, requests } = this.#options;
    const known = await customers.find(cardToken);
    if (known !== undefined) return { said: "done", value: known };
    const made = await requests.createCustomer(cardToken, key);
    const answer = made.said === "refused" ? await this.#attached(cardToken, made) : made;
    if (answer.said !== "done") return answer;
    return { said: "done", value: await customers.keep(cardToken, answer.value.id) };
  }

  /** The customer that was made before, when an answer was lost or somebody else was quicker; otherwise why there is none. */
  async #attached(cardToken: string, refusal: Refusal): Promise<Answer<{ readonly id: string }>> {
    const card = await this.#options.requests.retrieveCard(cardToken);
    if (card.said === "refused") return refusal;
    if (card.said !== "done") return card;
    const { customer } = card.value;
    if (!customer) return refusal.code === withoutCode ? { said: "refused", code: cardUsed } : refusal;
    // biome-ignore lint/plugin/timing: one is what we wrote ourselves at Stripe
    const isOurs = typeof customer === "object" && customer.metadata.payment_method === cardToken;
    return isOurs ? { said: "done", value: customer } : { said: "refused", code: cardOfOther };
  }
}
