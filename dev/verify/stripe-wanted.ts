import type { Blueprint } from "../stack/blueprint.ts";
import type { Afterthought } from "./afterthought.ts";
import type { Chance } from "./chance.ts";
import { oneCapture, paymentMethod, stripeCards } from "./stripe-cards.ts";
import type { Wanted } from "./wanted.ts";

/** Stripe takes this one only with a round last digit, which the shares of parcels need not have. */
const replaced: Readonly<Record<string, string>> = { BHD: "USD" };
/** What every price is raised by, in minor units: Stripe charges nothing that is smaller than 50 of them. */
const raisedBy = 200;

/** The same, as those want it who pay at this stack, each with a payment method that nobody has used. */
export function paidAt(
  { gateway, overrides }: Pick<Blueprint, "gateway" | "overrides">,
  wanted: readonly Wanted[],
  chance: Chance,
): readonly Wanted[] {
  if (gateway === "simulated") return wanted;
  // An account that captures once asks no card for more.
  const unfit = overrides.stripe?.STRIPE_MULTICAPTURE === "false" ? [oneCapture] : [];
  const drawer = new Drawer(chance, unfit);
  return wanted.map((each) => paidByStripe(each, drawer));
}

/** Draws payment methods, none that behaves as one of the unfit. */
class Drawer {
  readonly #chance: Chance;
  readonly #unfit: readonly string[];

  constructor(chance: Chance, unfit: readonly string[]) {
    this.#chance = chance;
    this.#unfit = unfit;
  }

  /** @throws Error for a card that has no counterpart: what it does would not be tried */
  counterpart(card: string, name: string): string {
    const [first, ...others] = stripeCards[card]?.filter((each) => !this.#unfit.includes(each)) ?? [];
    if (first === undefined) throw new Error(`Stripe has no card that behaves like ${card}`);
    return paymentMethod(this.#chance.pick([first, ...others]), name);
  }
}

function paidByStripe(wanted: Wanted, drawer: Drawer): Wanted {
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
      cardToken: drawer.counterpart(wish.cardToken, name),
      ...(currency !== undefined && { currency: replaced[currency] ?? currency }),
    },
    afterthought: afterthought && paidLater(afterthought, `${name}later`, drawer),
  };
}

function paidLater(afterthought: Afterthought, name: string, drawer: Drawer): Afterthought {
  if (!("cardToken" in afterthought)) return afterthought;
  return { ...afterthought, cardToken: drawer.counterpart(afterthought.cardToken, name) };
}
