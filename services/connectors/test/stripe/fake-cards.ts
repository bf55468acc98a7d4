// Payment methods and customers of the fake of Stripe: which payment method may be used, and how often. What Stripe says where is from public reports of it
// (docs/decisions/0081-stripe-customers.md names them).
import { decline, missing, Refusal } from "./fake-refusal.ts";

/** A payment method of the fake. */
export interface FakeCard {
  readonly id: string;
  /** The test card that it behaves as, `pm_card_…`; another name behaves well. */
  readonly card: string;
  /** The customer that it is attached to; empty: none. */
  customer: string;
  /** Whether it was used while it was attached to none, or taken from a customer. */
  spent: boolean;
}

/** A customer of the fake. */
export interface FakeCustomer {
  readonly id: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a payment says of whom it is of. */
export interface Payer {
  /** Empty: nobody. */
  readonly customer: string;
  /** `setup_future_usage`: empty, `on_session` or `off_session`. */
  readonly setup: string;
}

/** Cards that cannot be attached to a customer, nor charged. */
const declines: Readonly<Record<string, string>> = {
  pm_card_chargeDeclined: "generic_decline",
  pm_card_chargeDeclinedInsufficientFunds: "insufficient_funds",
};
/** Cards that can be attached, and not charged. */
const chargeDeclines: Readonly<Record<string, string>> = {
  ...declines,
  pm_card_chargeCustomerFail: "generic_decline",
  pm_card_offSession: "authentication_required",
};

const texts = {
  spent:
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must attach it to a Customer first.",
  spentBefore:
    "This PaymentMethod was previously used without being attached to a Customer or was detached from a Customer, and may not be used again.",
  attached: "The payment method you provided has already been attached to a customer.",
} as const;

/** A refusal for which Stripe has a text alone. */
const told = (message: string) => new Refusal(400, "invalid_request_error", { message });

/** The test card that a payment method behaves as: `pm_<anything>_card_visa` as `pm_card_visa`. */
export function cardOf(id: string): string {
  return id.replace(/^pm_\w+?_card_/, "pm_card_");
}

/** All payment methods and customers of an account. */
export class FakeCards {
  readonly customers = new Map<string, FakeCustomer>();
  readonly #cards = new Map<string, FakeCard>();

  /** A test card, `pm_card_…`, is a new payment method whenever it is named; any other name is one, whose first mention makes it. @throws Refusal */
  named(name: string): FakeCard {
    if (!/^pm_\w+$/.test(name)) missing();
    const known = this.#cards.get(name);
    if (known) return known;
    const id = name.startsWith("pm_card_") ? `pm_${this.#cards.size + 1}` : name;
    const card = { id, card: cardOf(name), customer: "", spent: false };
    this.#cards.set(id, card);
    return card;
  }

  /** Makes a customer, with a payment method if one is named. @throws Refusal, and there is no customer */
  create(cardName: string, metadata: FakeCustomer["metadata"]): FakeCustomer {
    const customer = { id: `cus_${this.customers.size + 1}`, metadata };
    this.customers.set(customer.id, customer);
    try {
      if (cardName !== "") this.attach(this.named(cardName), customer.id);
    } catch (error) {
      this.customers.delete(customer.id);
      throw error;
    }
    return customer;
  }

  /** @throws Refusal */
  attach(card: FakeCard, customer: string): void {
    if (!this.customers.has(customer)) missing();
    if (card.customer !== "") throw told(texts.attached);
    if (card.spent) throw told(texts.spentBefore);
    const refusal = declines[card.card];
    if (refusal) decline(refusal);
    card.customer = customer;
  }

  /** Takes a payment method from its customer: it can never be used again. */
  detach(card: FakeCard): void {
    card.customer = "";
    card.spent = true;
  }

  /** Whether a payment of somebody may be made, or confirmed, with a payment method. @throws Refusal */
  check(card: FakeCard, { customer }: Payer): void {
    if (customer !== "" && !this.customers.has(customer)) missing();
    if (card.customer === "" && card.spent) throw told(texts.spent);
    if (card.customer === customer || card.customer === "") return;
    const param = "payment_method";
    if (customer === "") {
      const message = `The \`payment_method\` parameter supplied ${card.id} belongs to the Customer ${card.customer}. Please include the Customer in the \`customer\` parameter on the PaymentIntent.`;
      throw new Refusal(400, "invalid_request_error", { code: "parameter_missing", param, message });
    }
    const message = `The customer does not have a payment method with the ID ${card.id}. The payment method must be attached to the customer.`;
    throw new Refusal(400, "invalid_request_error", { code: "resource_missing", param, message });
  }

  /** Charges a payment method, which spends one of nobody; its payment attaches it where it is to be used again. @throws Refusal */
  charge(card: FakeCard, payer: Payer): void {
    this.check(card, payer);
    if (card.customer === "") card.spent = true;
    const refusal = chargeDeclines[card.card];
    if (refusal) decline(refusal);
    if (payer.setup !== "" && payer.customer !== "") card.customer = payer.customer;
  }
}

/** As Stripe answers it, with the customer where that is asked for. */
export function toCard({ id, customer }: FakeCard, owner: FakeCustomer | undefined): object {
  return { id, object: "payment_method", type: "card", customer: owner ? toCustomer(owner) : customer || null };
}

/** As Stripe answers it. */
export function toCustomer({ id, metadata }: FakeCustomer): object {
  return { id, object: "customer", metadata };
}
