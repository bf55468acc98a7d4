// Orders confirmed per second when more callers wait than may work at the same time: at one, two and five times the bound, in a
// closed loop on the real services; and how soon it is as before after a minute in which the gateway took 10 s.
import { availableParallelism, cpus } from "node:os";
import { setTimeout as pause } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { plainClients } from "../dev/shop/clients.ts";
import { freePorts } from "../dev/stack/free-ports.ts";
import { Stack } from "../dev/stack/stack.ts";
import { orderRequest, packingMs, prepare, retryDelayMs } from "./order-load.ts";

/** How many calls of callers may work at the same time, in each process. */
const bound = 50;
const warmUpMs = 3_000;
const measureMs = 15_000;
/** The loads take turns, there and back, so that a machine that gets slower or faster is nobody's advantage. */
const turns = [1, 2, 5, 5, 2, 1] as const;
const slowMs = 60_000;
/** How long the gateway takes for a decision meanwhile: a default of the simulated one. */
const gatewayMs = 10_000;
/** Over how long it must be as before, and when it is given up; milliseconds. */
const windowMs = 5_000;
const patienceMs = 60_000;
/** The share of the throughput that counts as before. */
const wanted = 0.8;

/** What callers have seen so far. */
interface Seen {
  confirmed: number;
  refused: number;
  others: number;
}

/** Callers that each wait for one order after the other, and come back when they are told to. */
class Crowd implements AsyncDisposable {
  readonly seen: Seen = { confirmed: 0, refused: 0, others: 0 };
  cardToken = "tok_approve";
  readonly #stopped = new AbortController();
  readonly #callers: Promise<void>[];

  constructor(orders: Client<typeof OrderService>, customerIds: readonly string[], count: number) {
    this.#callers = Array.from({ length: count }, (_, index) =>
      this.#call(orders, customerIds[index % customerIds.length] ?? ""),
    );
  }

  /** What is seen in the given time. */
  async during(ms: number): Promise<Seen & { perSecond: number }> {
    const [before, start] = [{ ...this.seen }, performance.now()];
    await pause(ms);
    const confirmed = this.seen.confirmed - before.confirmed;
    const perSecond = (confirmed / (performance.now() - start)) * 1000;
    return {
      confirmed,
      refused: this.seen.refused - before.refused,
      others: this.seen.others - before.others,
      perSecond,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await Promise.all(this.#callers);
  }

  async #call(orders: Client<typeof OrderService>, customerId: string): Promise<void> {
    for (let number = 0; !this.#stopped.signal.aborted; number += 1) {
      try {
        const { order } = await orders.createOrder(orderRequest(customerId, number, this.cardToken));
        if (order?.status === OrderStatus.CONFIRMED || order?.status === OrderStatus.PREPARING)
          this.seen.confirmed += 1;
        else this.seen.others += 1;
      } catch (error) {
        await this.#refused(error);
      }
    }
  }

  async #refused(error: unknown): Promise<void> {
    const told = ConnectError.from(error);
    if (told.code === Code.ResourceExhausted) this.seen.refused += 1;
    else this.seen.others += 1;
    await pause(retryDelayMs(told));
  }
}

/** Orders per second by load, over all its turns. */
async function measureLoads(crowdOf: (count: number) => Crowd): Promise<Map<number, number>> {
  const rates = new Map<number, number[]>();
  for (const times of turns) {
    await using crowd = crowdOf(times * bound);
    await pause(warmUpMs);
    const { perSecond, refused, others } = await crowd.during(measureMs);
    rates.set(times, [...(rates.get(times) ?? []), perSecond]);
    console.log(
      `${times * bound} callers: ${perSecond.toFixed(0)} confirmed/s, ${refused} times told to come back, ${others} not confirmed`,
    );
  }
  return new Map([...rates].map(([times, each]) => [times, each.reduce((sum, rate) => sum + rate, 0) / each.length]));
}

/** How long it takes until a crowd has so many orders confirmed per second; undefined when that does not come. */
async function secondsUntil(crowd: Crowd, perSecond: number): Promise<number | undefined> {
  const start = performance.now();
  while (performance.now() - start < patienceMs) {
    if ((await crowd.during(windowMs)).perSecond >= perSecond) return (performance.now() - start) / 1000;
  }
  return undefined;
}

/**
 * Prints how long after a slow gateway the throughput is as before, for callers that come then. Those who are there go when they
 * are answered: what their orders wait for began before.
 */
async function measureRecovery(crowdOf: () => Crowd): Promise<void> {
  const crowd = crowdOf();
  await pause(warmUpMs);
  const before = await crowd.during(measureMs);
  crowd.cardToken = "tok_slow";
  const slow = await crowd.during(slowMs);
  const end = performance.now();
  const left = crowd[Symbol.asyncDispose]().then(() => (performance.now() - end) / 1000);
  await using next = crowdOf();
  const seconds = await secondsUntil(next, wanted * before.perSecond);
  const [normal, meanwhile] = [before, slow].map(({ perSecond }) => perSecond.toFixed(0));
  console.log(
    `a gateway that took ${gatewayMs / 1000} s for ${slowMs / 1000} s: ${normal} confirmed/s before, ${meanwhile} meanwhile ` +
      `(${slow.refused} times told to come back, ${slow.others} not confirmed)`,
  );
  const after =
    seconds === undefined ? `not as before within ${patienceMs / 1000} s` : `as before within ${seconds.toFixed(0)} s`;
  console.log(`afterwards: ${after}; the last who had waited was answered after ${(await left).toFixed(0)} s`);
}

/** Measures all loads and the recovery; the last line compares five times the bound with the bound. */
export async function bench(): Promise<void> {
  console.log(`${availableParallelism()} cores, ${cpus()[0]?.model ?? "unknown"}, node ${process.version}`);
  console.log(`MAX_INFLIGHT=${bound}; ${measureMs / 1000} s each after ${warmUpMs / 1000} s of warming up, in turns\n`);
  await using stack = await Stack.start({
    ports: await freePorts(),
    environment: {
      all: { MAX_INFLIGHT: String(bound) },
      simulators: { PACKING_MS: String(packingMs), SIMULATOR_SLOW_MS: String(gatewayMs) },
    },
  });
  const clients = plainClients(stack);
  const customerIds = await prepare(stack, clients);
  const orders = clients.client(OrderService, stack.address("orders"));
  const crowdOf = (count: number) => new Crowd(orders, customerIds, count);
  {
    await using crowd = crowdOf(bound);
    await crowd.during(2 * warmUpMs);
  }
  const rates = await measureLoads(crowdOf);
  await measureRecovery(() => crowdOf(5 * bound));
  clients.close();
  for (const [times, rate] of rates) console.log(`${times} times the bound: ${rate.toFixed(0)} confirmed/s`);
  const [atBound = 1, atFive = 0] = [rates.get(1), rates.get(5)];
  console.log(`ratio: ${(atFive / atBound).toFixed(2)}`);
}
