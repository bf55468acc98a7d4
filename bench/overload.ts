// What the machine carries to confirmed of orders that arrive by themselves, what becomes of twice as many, and how long
// CreateOrder takes that does not wait for the confirmation, at half. One stack, in which nothing is packed.
import { setPriority } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { WaitFor } from "#gen/shop/orders/v1/order_service_pb.js";
import { type Arrivals, costs, quantile, Shop, shares } from "./open-load.ts";
import { positive, progress, sayMachine, temporalKind, temporalOption } from "./options.ts";

const callersPriority = -5;
const noPacking = { PACKING_MS: String(6 * 3_600_000) };
const warmUp = { rate: 50, seconds: 8 };
/** Each rate is so many times the one before, up to the first that is not carried. */
const step = 1.3;
const stepSeconds = 12;
/** A rate is carried when so large a share of it is confirmed while it arrives. */
const carriedShare = 0.95;
/** How long the orders of one rate may take to come to rest before the next. */
const settleMs = 30_000;

/** Callers are elsewhere as a rule, and not slowed down by what they call; what was started before stays as it is. */
function favourCallers(): void {
  try {
    setPriority(callersPriority);
  } catch {
    progress("the callers may not go before others here: fewer orders may arrive than are wanted");
  }
}

/** Lets orders arrive, prints what became of them, and waits until all have come to rest. */
async function measure(shop: Shop, rate: number, seconds: number): Promise<Arrivals> {
  const [since, before] = [await shop.now(), await shop.cpu()];
  const arrivals = await shop.arrive({ rate, seconds });
  const { offered, arrived, confirmed, refused, others, goodput } = arrivals;
  const told = refused.length > 0 ? ` after p50 ${ms(refused, 0.5)}, p99 ${ms(refused, 0.99)}` : "";
  console.log(
    `${offered.toFixed(0)}/s: ${arrived} arrived, ${confirmed.length} confirmed after p50 ${ms(confirmed, 0.5)}, p99 ${ms(confirmed, 0.99)}; ` +
      `${refused.length} refused${told}; ${others} others; ${goodput.toFixed(0)} confirmed/s`,
  );
  console.log(`  ${costs(shares(before, await shop.cpu(), confirmed.length / 1_000))}`);
  if (!(await shop.until(since, ["preparing", "rejected"], settleMs))) progress("not all orders have come to rest");
  await pause(2_000);
  return arrivals;
}

function ms(values: readonly number[], share: number): string {
  return `${quantile(values, share).toFixed(0)} ms`;
}

/** The most orders that are confirmed per second, at rates that become higher until one is not carried. */
async function capacity(shop: Shop, from: number): Promise<number> {
  let best = 0;
  for (let rate = from; ; rate *= step) {
    const { goodput, offered } = await measure(shop, rate, stepSeconds);
    best = Math.max(best, goodput);
    if (goodput < carriedShare * offered) return best;
  }
}

/**
 * Measures and prints; the last line is the ratio of what is confirmed per second at twice the capacity to the most.
 *
 * @param args `--from 100` orders per second at first, `--seconds 20` of overload and of calls that do not wait,
 * `--temporal dev|postgres`
 */
export async function bench(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      from: { type: "string", default: "100" },
      seconds: { type: "string", default: "20" },
      ...temporalOption,
    },
  });
  const [from, seconds] = [positive("from", values.from), positive("seconds", values.seconds)];
  const temporal = temporalKind(values.temporal);
  sayMachine(temporal);
  await using shop = await Shop.open({ environment: { simulators: noPacking }, temporal });
  favourCallers();
  await shop.arrive(warmUp);
  const best = await capacity(shop, from);
  const half = { rate: best / 2, seconds, waitFor: WaitFor.ACCEPTED };
  const { arrived, confirmed: accepted } = await shop.arrive(half);
  console.log(
    `the machine carries ${best.toFixed(0)} orders/s; CreateOrder that does not wait, at half of that: ${accepted.length} of ` +
      `${arrived} accepted after p50 ${quantile(accepted, 0.5).toFixed(1)} ms, p99 ${quantile(accepted, 0.99).toFixed(1)} ms`,
  );
  await pause(5_000);
  const { goodput } = await measure(shop, 2 * best, seconds);
  console.log(`ratio: ${(goodput / best).toFixed(2)}`);
}
