import { z } from "zod";
import { personalConfig } from "#platform/personal/personal-config.ts";
import { shippingRule, skusOf, unitsOf } from "./returns/return-policy.ts";

const milliseconds = z.coerce.number().int().min(1);
const minuteMs = 60_000;
const dayMs = 24 * 60 * minuteMs;

/** A number of days, or undefined for `off`. */
function daysOf(text: string, context: z.RefinementCtx<string>): number | undefined {
  if (text === "off") return undefined;
  const days = Number(text);
  if (/^\d{1,5}$/.test(text) && days >= 1 && days <= 36_500) return days;
  context.addIssue({ code: "custom", message: "must be a number of days from 1 to 36500, or off" });
  return z.NEVER;
}

/** What the orders service reads from its environment besides the platform's own. */
export const ordersConfig = {
  ...personalConfig,
  /** Where SagaService answers: `host:port`, or any target that grpc-js resolves. */
  WORKER_ADDRESS: z.string().min(1).default("127.0.0.1:50055"),
  /** The most orders that one statement inserts and one episode carries; SagaService takes at most 64. */
  ORDER_LIST_MAX: z.coerce.number().int().min(1).max(64).default(64),
  /** Batches of new orders that are inserted at the same time. Fewer lanes make larger batches. */
  ORDER_INSERT_LANES: z.coerce.number().int().min(1).max(16).default(2),
  /** The promised time to an order's confirmation. New orders are refused when they would wait for half of it. */
  ORDER_CONFIRM_WITHIN_MS: milliseconds.default(5_000),
  /** The most time between two claims of a process: how long an event waits for others when there are many. */
  EPISODE_SPACING_MS: z.coerce.number().int().min(0).default(250),
  /** The same for what nobody waits for: a parcel is packed, a parcel has arrived, it is time to try again. */
  EPISODE_RELAXED_SPACING_MS: z.coerce.number().int().min(0).default(1_000),
  /** Starts of episodes that are under way at the same time. Fewer of them make larger episodes. */
  DISPATCH_CONCURRENCY: z.coerce.number().int().min(1).default(4),
  /** Episodes that are open at the same time, of all processes together. What happens meanwhile waits in rows. See decision 21. */
  EPISODES_OPEN_MAX: z.coerce.number().int().min(1).default(128),
  /** How long the start of one episode may take. */
  DISPATCH_TIMEOUT_MS: milliseconds.default(4_000),
  /** How long the worker may refuse an order as invalid before the order is rejected. */
  ORDER_REJECT_AFTER_MS: z.coerce.number().int().min(0).default(300_000),
  /** Between two looks for what became due by time, and for starts that were never acknowledged; four times that at rest. */
  DISPATCH_SWEEP_EVERY_MS: milliseconds.default(1_000),
  /** Younger starts are left to the process that began them. More than the timeout of a start. */
  DISPATCH_SWEEP_AGE_MS: milliseconds.default(5_000),
  /** Between two looks for episodes whose workflow is gone. */
  EPISODE_SWEEP_EVERY_MS: milliseconds.default(5_000),
  /** Younger episodes are not asked for. */
  EPISODE_SWEEP_AGE_MS: z.coerce.number().int().min(0).default(10_000),
  /**
   * An order is parked after so many episodes in a row that failed with it, and pauses after the first of them for so long;
   * twice as long after each one more. With the defaults a fault has some five minutes to go away, with the version that
   * brought it. Outages do not count.
   */
  EPISODE_FAULTS_MAX: z.coerce.number().int().min(1).max(20).default(5),
  EPISODE_FAULT_PAUSE_MS: milliseconds.default(15_000),
  /** How long an order that was held up waits for a person, at most; then it is rejected. Three days: longer than a weekend. */
  ORDER_REVIEW_MAX_MS: milliseconds.default(3 * dayMs),
  /** Between two looks at how many wait for a person, and at those who have waited for too long. */
  ORDER_REVIEW_SWEEP_MS: milliseconds.default(5_000),
  /** How long an order waits for stock, at most; then it is rejected. 90 days. */
  ORDER_BACK_ORDER_MAX_MS: milliseconds.default(90 * dayMs),
  /** Between two looks at how many wait for stock, and at those who have waited for too long. */
  ORDER_BACK_ORDER_SWEEP_MS: milliseconds.default(5_000),
  /** For so many days after an order was delivered its articles are taken back; `off`: they are not, unless an agent says so. */
  RETURN_WINDOW_DAYS: z.string().default("30").transform(daysOf),
  /** Articles that are not taken back unless an agent says so: codes with commas between. */
  RETURN_FINAL_SALE_SKUS: z.string().default("").transform(skusOf),
  /** Returns that are worth less, in whole units of their currency, are approved at once; `off`: somebody looks at each. */
  RETURN_APPROVE_BELOW_MAJOR_UNITS: z.string().default("off").transform(unitsOf),
  /** Whether the shipping of what comes back is paid back: `always`, `fault` (only when it is the shop's: damaged, defective, wrong, late), `never`. */
  RETURN_SHIPPING_FEE: shippingRule.default("always"),
  /** Between two looks for orders of which something came and nothing is under way. */
  RETURN_SWEEP_EVERY_MS: milliseconds.default(30_000),
  /** What came later is left alone by these looks. */
  RETURN_SWEEP_AGE_MS: milliseconds.default(minuteMs),
  /** For how long an order may be PENDING until it counts as stalled. More than the worker's patience with a checkout. */
  ORDER_STALLED_PENDING_MS: milliseconds.default(20 * minuteMs),
  /** For how long an order may be CONFIRMED until it counts as stalled. */
  ORDER_STALLED_CONFIRMED_MS: milliseconds.default(10 * minuteMs),
  /** For how long an order may be PREPARING until it counts as stalled. As long as warehouses may take. */
  ORDER_STALLED_PREPARING_MS: milliseconds.default(3 * dayMs),
  /** For how long an episode may carry an order until it counts as stalled. More than `EPISODE_SETTLE_PATIENCE_MS` of the worker. */
  ORDER_STALLED_CARRIED_MS: milliseconds.default(10 * minuteMs),
  /**
   * Whether tokens of cards are written sealed, where personal data is. `plain` still reads what is sealed, and writes it back plain by and by:
   * for the rollout from a version that cannot read it, and for the way back to one.
   */
  PERSONAL_DATA_CARDS: z.enum(["sealed", "plain"]).default("sealed"),
  /**
   * For how many days after its end an order of a customer who was erased keeps who ordered and where to: as long as the law wants
   * invoices kept, which is 6 to 10 years by country.
   */
  PERSONAL_DATA_KEEP_DAYS: z.coerce.number().int().min(0).max(36_500).default(3_650),
  /**
   * After so many days without an order, and none under way, a customer is erased as if he had asked for it; his orders keep who ordered
   * for `PERSONAL_DATA_KEEP_DAYS`. `off`: only who asks for it.
   */
  RETENTION_CUSTOMER_DAYS: z.string().default("off").transform(daysOf),
  /** So many days after its end an order loses who ordered and where to, whoever it is of. `off`: only orders of who is erased. */
  RETENTION_ORDER_DAYS: z.string().default("off").transform(daysOf),
  /** Whether these two only count whom they would forget: the metric `orders_retention_due`, and a line in the log. */
  RETENTION_DRY_RUN: z.stringbool().default(false),
  /** Between two batches of a hundred; longer while there are none. */
  RETENTION_EVERY_MS: milliseconds.default(2_000),
  /** For how long an order may be SHIPPED until it counts as stalled. As long as carriers may take. */
  ORDER_STALLED_SHIPPED_MS: milliseconds.default(21 * dayMs),
};
