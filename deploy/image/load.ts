// `load --orders <host:port> --inventory <host:port>`: places orders at a steady rate, waits until each has come to its end,
// and writes what became of them as one line of JSON. Ends with 0 when no call failed and no order is lost, else with 1.
// SIGUSR2 tells it to place no more.
import { randomUUID } from "node:crypto";
import { setTimeout as pause, setInterval as ticks } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { buyerTokens, isOver, Shop, type ShopAddresses } from "./shop.ts";

interface Plan {
  readonly addresses: ShopAddresses;
  /** How many orders, and how many of them in a second. */
  readonly count: number;
  readonly rate: number;
  /** Whether a call that failed is repeated, with its request id, as a caller does who must have the order. */
  readonly persistent: boolean;
  /** How long the last order may take after the last call. */
  readonly patienceMs: number;
}

/** What became of the orders. */
interface Outcome {
  readonly placed: number;
  readonly calls: number;
  /** By status code. */
  readonly failedCalls: Record<string, number>;
  /** By status; what is in none of the final ones when patience ends is lost. */
  readonly orders: Record<string, number>;
  readonly lost: number;
  readonly slowestCallMs: number;
  readonly seconds: number;
}

/** Calls in flight at most; a tick that finds them all taken waits. */
const maxInFlight = 64;
/** How long a call may take, as the services allow each other. */
const callDeadlineMs = 30_000;

function plan(args: readonly string[]): Plan {
  const { values } = parseArgs({
    args: [...args],
    options: {
      orders: { type: "string" },
      inventory: { type: "string" },
      count: { type: "string", default: "100" },
      rate: { type: "string", default: "10" },
      persistent: { type: "boolean", default: false },
      patience: { type: "string", default: "180" },
    },
  });
  const { orders, inventory, persistent } = values;
  if (!orders || !inventory) throw new TypeError("--orders and --inventory say where the two services answer");
  const [count, rate, patience] = [values.count, values.rate, values.patience].map(Number);
  if (!count || !rate || !patience) throw new TypeError("--count, --rate and --patience are numbers above 0");
  return { addresses: { orders, inventory }, count, rate, persistent, patienceMs: patience * 1_000 };
}

class Load {
  readonly #plan: Plan;
  readonly #shop: Shop;
  readonly #placed = new Set<string>();
  readonly #failed = new Map<string, number>();
  readonly #begin = performance.now();
  #begun = 0;
  #calls = 0;
  #slowestMs = 0;
  #isEnough = false;

  constructor(plan: Plan, shop: Shop) {
    this.#plan = plan;
    this.#shop = shop;
  }

  /** Places all orders, waits for their ends, and says what became of them. */
  async run(): Promise<Outcome> {
    const { count, rate, patienceMs } = this.#plan;
    const placing = AbortSignal.timeout((count / rate) * 1_000 + patienceMs);
    await this.#shop.stock(count, placing);
    const customerId = await this.#shop.buyer(placing);
    const running = new Set<Promise<void>>();
    process.once("SIGUSR2", () => {
      this.#isEnough = true;
    });
    for await (const _ of ticks(1_000 / rate)) {
      if (this.#isEnough || this.#begun >= count) break;
      if (running.size >= maxInFlight) continue;
      const call = this.#place(customerId, placing).finally(() => running.delete(call));
      running.add(call);
      this.#begun += 1;
    }
    await Promise.all(running);
    return this.#settle(AbortSignal.timeout(patienceMs));
  }

  async #place(customerId: string, until: AbortSignal): Promise<void> {
    const requestId = randomUUID();
    do {
      const order = await this.#call((signal) => this.#shop.buy(customerId, requestId, signal));
      if (order) {
        this.#placed.add(order.orderId);
        await this.#call((signal) => this.#shop.orders.getOrder({ orderId: order.orderId }, { signal }));
        return;
      }
      await pause(200);
    } while (this.#plan.persistent && !until.aborted);
  }

  async #call<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T | undefined> {
    const begin = performance.now();
    this.#calls += 1;
    try {
      return await call(AbortSignal.timeout(callDeadlineMs));
    } catch (error) {
      const { code, rawMessage } = ConnectError.from(error);
      if (!this.#failed.has(Code[code])) console.error(`a call failed: ${Code[code]}: ${rawMessage}`);
      this.#failed.set(Code[code], (this.#failed.get(Code[code]) ?? 0) + 1);
      return undefined;
    } finally {
      this.#slowestMs = Math.max(this.#slowestMs, performance.now() - begin);
    }
  }

  async #settle(patience: AbortSignal): Promise<Outcome> {
    const orders: Record<string, number> = {};
    const open = new Set(this.#placed);
    while (open.size > 0 && !patience.aborted) {
      for (const orderId of open) {
        const { order } = await this.#shop.orders.getOrder({ orderId }).catch(() => ({ order: undefined }));
        if (!order || !isOver(order)) continue;
        open.delete(orderId);
        orders[OrderStatus[order.status]] = (orders[OrderStatus[order.status]] ?? 0) + 1;
      }
      await pause(500);
    }
    return {
      placed: this.#placed.size,
      calls: this.#calls,
      failedCalls: Object.fromEntries(this.#failed),
      orders,
      lost: this.#begun - this.#placed.size + open.size,
      slowestCallMs: Math.round(this.#slowestMs),
      seconds: Math.round((performance.now() - this.#begin) / 1_000),
    };
  }
}

try {
  const wanted = plan(process.argv.slice(2));
  using tokens = await buyerTokens();
  using shop = new Shop(wanted.addresses, { tokens });
  const outcome = await new Load(wanted, shop).run();
  console.log(JSON.stringify(outcome));
  const failed = Object.keys(outcome.failedCalls).length > 0 && !wanted.persistent;
  process.exitCode = failed || outcome.lost > 0 ? 1 : 0;
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = error instanceof TypeError ? 2 : 1;
}
