import type { Gateway } from "../stack/layout.ts";
import type { Afterthought } from "./afterthought.ts";
import type { Chance } from "./chance.ts";
import { paymentMethod, stripeCards } from "./stripe-cards.ts";
import type { Wanted } from "./wanted.ts";

/** Stripe takes this one only with a round last digit, which the shares of parcels need not have. */
const replaced: Readonly<Record<string, string>> = { BHD: "USD" };
/** What every price is raised by, in minor units: Stripe charges nothing that is smaller than 50 of them. */
const raisedBy = 200;

/** The same, as those want it who pay by this gateway, each with a payment method that nobody has used. */
export function paidBy(gateway: Gateway, wanted: readonly Wanted[], chance: Chance): readonly Wanted[] {
  return gateway === "simulated" ? wanted : wanted.map((each) => paidByStripe(each, chance));
}

function paidByStripe(wanted: Wanted, chance: Chance): Wanted {
  const { wish, afterthought } = wanted;
  const name = wish.requestId.replaceAll(/[^A-Za-z0-9]/g, "");
  const lines = wish.lines.map((line) =>
    line.unitPrice === undefined ? line : { ...line, unitPrice: line.unitPrice + raisedBy },
  );
  const { currency } = wish;
  return {
    ...wanted,
    wish: {
      ...wish,
      lines,
      cardToken: counterpart(wish.cardToken, name, chance),
      ...(currency !== undefined && { currency: replaced[currency] ?? currency }),
    },
    afterthought: afterthought && paidLater(afterthought, `${name}later`, chance),
  };
}

function paidLater(afterthought: Afterthought, name: string, chance: Chance): Afterthought {
  if (!("cardToken" in afterthought)) return afterthought;
  return { ...afterthought, cardToken: counterpart(afterthought.cardToken, name, chance) };
}

/** @throws Error for a card that has none: what it does would not be tried */
function counterpart(card: string, name: string, chance: Chance): string {
  const cards = stripeCards[card];
  if (!cards) throw new Error(`Stripe has no card that behaves like ${card}`);
  return paymentMethod(chance.pick(cards), name);
}
