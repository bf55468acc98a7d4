import type { z } from "zod";
import type { FeatureFlags } from "#platform/flags/feature-flags.ts";
import type { Logger } from "#platform/log/logger.ts";
import { type OpenLists, openLists } from "./lists.ts";
import { listsSchema, type Rules, rulesSchema } from "./rules.ts";

/** Whether orders are screened at all. Off, nothing is kept of them, and nobody asks. */
const screeningFlag = "fraud-screening";
/** The rules, as `rulesSchema` has them: by country, currency, amount, customer. */
const rulesFlag = "fraud-rules";
/** The lists, as `listsSchema` has them. */
const listsFlag = "fraud-lists";

/** What targeting may read of an order. */
export interface FlagContext {
  readonly customerId: string;
  readonly country: string;
  readonly currency: string;
  readonly total: bigint;
}

/** What the flags are read with. */
export interface FraudFlagsOptions {
  readonly flags: FeatureFlags;
  readonly hashPostalCode: (code: string) => Promise<string>;
  readonly logger: Pick<Logger, "error">;
}

/** What a value of a flag was read as; each is read once. */
type Reading<T> = { readonly value: T } | { readonly trouble: string };

/**
 * Reads the feature flags by which orders are screened. A value that is none of ours is said once, and what was read before it counts on:
 * a slip must neither let everything pass nor hold everything up.
 */
export class FraudFlags {
  readonly #options: FraudFlagsOptions;
  readonly #rules = new Map<string, Reading<Rules>>();
  readonly #lists = new Map<string, Reading<Promise<OpenLists>>>();
  #lastRules: Rules = {};
  #lastLists: Promise<OpenLists>;

  constructor(options: FraudFlagsOptions) {
    this.#options = options;
    this.#lastLists = openLists({}, options.hashPostalCode);
  }

  /** Whether orders are screened. */
  screens(): Promise<boolean> {
    return this.#options.flags.getBooleanValue(screeningFlag, false);
  }

  /** The rules that are for an order. */
  async rulesFor({ customerId, country, currency, total }: FlagContext): Promise<Rules> {
    const context = { targetingKey: customerId, customer: customerId, country, currency, total: Number(total) };
    const value = await this.#options.flags.getObjectValue(rulesFlag, {}, context);
    const reading = this.#read(this.#rules, { flag: rulesFlag, value, schema: rulesSchema, open: (rules) => rules });
    if ("value" in reading) this.#lastRules = reading.value;
    return "value" in reading ? reading.value : this.#lastRules;
  }

  /** The lists. */
  async lists(): Promise<OpenLists> {
    const value = await this.#options.flags.getObjectValue(listsFlag, {});
    const { hashPostalCode } = this.#options;
    const open = (lists: z.infer<typeof listsSchema>) => openLists(lists, hashPostalCode);
    const reading = this.#read(this.#lists, { flag: listsFlag, value, schema: listsSchema, open });
    if ("value" in reading) this.#lastLists = reading.value;
    return "value" in reading ? reading.value : this.#lastLists;
  }

  /** There are as many values as variants in the file; those of former files are forgotten with the first of many. */
  #read<S extends z.ZodType, T>(
    known: Map<string, Reading<T>>,
    { flag, value, schema, open }: { flag: string; value: unknown; schema: S; open: (value: z.infer<S>) => T },
  ): Reading<T> {
    const text = JSON.stringify(value);
    const before = known.get(text);
    if (before) return before;
    if (known.size >= maxReadings) known.clear();
    const parsed = schema.safeParse(value);
    const reading = parsed.success ? { value: open(parsed.data) } : { trouble: describe(parsed.error) };
    known.set(text, reading);
    if ("trouble" in reading) this.#options.logger.error(`the feature flag ${flag} is of no use: ${reading.trouble}`);
    return reading;
  }
}

const maxReadings = 64;

function describe({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => `${path.join(".") || "it"}: ${message}`).join("; ");
}
