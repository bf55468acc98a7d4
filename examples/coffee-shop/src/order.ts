/** Where an order of coffee stands. */
export type CoffeeStatus = "PENDING" | "PAID" | "PREPARING" | "READY" | "COMPLETED" | "FAILED" | "REFUNDED";

/** What one drink needs. */
export interface Recipe {
  /** Minor units of euros. */
  readonly price: number;
  /** What the barista does, one after the other. */
  readonly steps: readonly string[];
  /** SKU → how many portions. */
  readonly ingredients: Readonly<Record<string, number>>;
}

/** What there is. */
export const menu = {
  espresso: { price: 240, steps: ["grind", "brew"], ingredients: { beans: 1 } },
  cappuccino: { price: 380, steps: ["grind", "brew", "steam milk", "pour"], ingredients: { beans: 1, milk: 2 } },
  "oat latte": {
    price: 440,
    steps: ["grind", "brew", "steam oat drink", "pour"],
    ingredients: { beans: 1, "oat-drink": 2 },
  },
} as const satisfies Record<string, Recipe>;

/** The name of a drink. */
export type Drink = keyof typeof menu;

/** What somebody orders. */
export interface CoffeeOrder {
  /** An id of ours; the workflow's, too. */
  readonly orderId: string;
  readonly customerId: string;
  /** Whose name is called. */
  readonly name: string;
  readonly drink: Drink;
  readonly cardToken: string;
}

/** What the query `status` answers, and the workflow at its end. */
export interface CoffeeState {
  readonly status: CoffeeStatus;
  /** Why it did not come to COMPLETED; empty otherwise. */
  readonly reason: string;
  /** What was done and undone, as the kernel notes it: "pay DONE". */
  readonly steps: readonly string[];
}
