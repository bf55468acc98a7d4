import { z } from "zod";
import { currencyDigits } from "#platform/currency.ts";

/** How much one person may refund of a payment: a whole number of units, or whatever there is. */
export type Limit = number | "off";

const mostUnits = 1_000_000_000_000;
const numberRule = z.coerce.number().int().min(0).max(mostUnits);
const limitFault = "must be a whole number of units, or off";

function limitOf(text: unknown): Limit | undefined {
  if (text === "off") return text;
  return /^\d+$/.test(String(text)) ? numberRule.safeParse(text).data : undefined;
}

/** The limit of a setting: `500`, or `off`. */
export function majorUnitsOf(text: string, context: z.RefinementCtx<string>): Limit {
  const limit = limitOf(text);
  if (limit !== undefined) return limit;
  context.addIssue({ code: "custom", message: limitFault });
  return z.NEVER;
}

/** The limits of a setting that names currencies, in JSON: `{"JPY": 50000, "KWD": "off"}`. */
export function minorUnitsOf(text: string, context: z.RefinementCtx<string>): Readonly<Record<string, Limit>> {
  const refuse = (message: string) => {
    context.addIssue({ code: "custom", message });
    return z.NEVER;
  };
  let said: unknown;
  try {
    // biome-ignore lint/plugin/json: said by whoever runs the process
    said = JSON.parse(text);
  } catch {
    return refuse("is no JSON");
  }
  if (typeof said !== "object" || said === null || Array.isArray(said)) {
    return refuse('must be limits by currency, such as {"JPY": 50000}');
  }
  const limits: Record<string, Limit> = {};
  for (const [currency, value] of Object.entries(said)) {
    const limit = limitOf(value);
    if (!currencyDigits.has(currency)) return refuse(`${currency} is no currency that people pay with`);
    if (limit === undefined) return refuse(`${currency} ${limitFault}`);
    limits[currency] = limit;
  }
  return limits;
}

/** How much the limits are. */
export interface RefundLimitSettings {
  /** Of every currency that the other one does not name, in its major unit. */
  readonly majorUnits: Limit;
  /** By currency, in its minor unit. */
  readonly minorUnits: Readonly<Record<string, Limit>>;
}

/** How much of a payment may be refunded without a second person. It may change while the process runs. */
export class RefundLimits {
  #settings: RefundLimitSettings;

  constructor(settings: RefundLimitSettings) {
    this.#settings = settings;
  }

  /** Others count from now on. */
  use(settings: Partial<RefundLimitSettings>): void {
    this.#settings = { ...this.#settings, ...settings };
  }

  /**
   * The limit of a currency in its minor unit; undefined where there is none. A currency that nobody pays with any more is taken for one
   * without a minor unit, which is the strictest.
   */
  of(currency: string): bigint | undefined {
    const { majorUnits, minorUnits } = this.#settings;
    const named = minorUnits[currency];
    if (named !== undefined) return named === "off" ? undefined : BigInt(named);
    return majorUnits === "off" ? undefined : BigInt(majorUnits) * 10n ** BigInt(currencyDigits.get(currency) ?? 0);
  }
}
