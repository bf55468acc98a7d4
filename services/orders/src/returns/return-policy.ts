import { z } from "zod";
import { currencyDigits } from "#platform/currency.ts";
import type { Money } from "../order/order.ts";
import { type ReturnReason, returnReasons } from "./order-return.ts";

/** What is taken back, and what is paid back of the shipping. It may change while the process runs. */
export interface ReturnPolicySettings {
  /** So many days after an order was delivered; undefined: nothing is taken back. */
  readonly windowDays: number | undefined;
  /** Articles that are not taken back. */
  readonly finalSale: ReadonlySet<string>;
  /** What is worth less is approved at once, in whole units of its currency; undefined: somebody looks at everything. */
  readonly approveBelow: number | undefined;
  /** Whether shipping is paid back: always, when it is the shop's fault, never. */
  readonly shipping: ShippingPolicy;
}

const shippingPolicies = ["always", "fault", "never"] as const;

/** When shipping is paid back. */
export type ShippingPolicy = (typeof shippingPolicies)[number];

/** The rule of the setting that says when shipping is paid back. */
export const shippingRule = z.enum(shippingPolicies);

/** The articles of a setting: codes with commas between. */
export function skusOf(text: string, context: z.RefinementCtx<string>): ReadonlySet<string> {
  const skus = text.split(",").flatMap((each) => each.trim() || []);
  const wrong = skus.find((sku) => !/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/.test(sku));
  if (wrong === undefined) return new Set(skus);
  context.addIssue({ code: "custom", message: `${wrong} is no code of an article` });
  return z.NEVER;
}

/** A number of whole units, or undefined for `off`. */
export function unitsOf(text: string, context: z.RefinementCtx<string>): number | undefined {
  if (text === "off") return undefined;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  context.addIssue({ code: "custom", message: "must be a whole number of units, or off" });
  return z.NEVER;
}

/** Why the policy does not take something back, as the refusal names it. */
export type PolicyRefusal = "OFF" | "WINDOW_OVER" | "FINAL_SALE";

const dayMs = 86_400_000;

/** Says what is taken back without that anybody is asked. */
export class ReturnPolicy {
  #settings: ReturnPolicySettings;

  constructor(settings: ReturnPolicySettings) {
    this.#settings = settings;
  }

  /** Another one counts from now on. */
  use(settings: Partial<ReturnPolicySettings>): void {
    this.#settings = { ...this.#settings, ...settings };
  }

  /**
   * Why articles are not taken back; undefined when they are.
   *
   * @param deliverTime when the order was delivered; undefined: a part of it still is to be
   */
  refusalOf(skus: readonly string[], deliverTime: Date | undefined, now: Date): PolicyRefusal | undefined {
    const { windowDays, finalSale } = this.#settings;
    if (windowDays === undefined) return "OFF";
    if (deliverTime && now.getTime() - deliverTime.getTime() > windowDays * dayMs) return "WINDOW_OVER";
    return skus.some((sku) => finalSale.has(sku)) ? "FINAL_SALE" : undefined;
  }

  /** Whether nobody has to look at a return of this worth. */
  approves({ currency, amount }: Money): boolean {
    const { approveBelow } = this.#settings;
    return (
      approveBelow !== undefined && amount < BigInt(approveBelow) * 10n ** BigInt(currencyDigits.get(currency) ?? 0)
    );
  }

  /** Whether the part of the shipping is paid back, too. */
  paysShipping(reason: ReturnReason): boolean {
    const { shipping } = this.#settings;
    return shipping === "always" || (shipping === "fault" && returnReasons[reason].isOurs);
  }
}
