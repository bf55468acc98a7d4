// The load of the benches that look at a shop from outside: orders that arrive by themselves (Poisson), whether or not those
// before them were answered, and a stack whose CPU, memory and orders can be read.
import { setTimeout as pause } from "node:timers/promises";
import { type Client, Code, ConnectError } from "@connectrpc/connect";
import pg from "pg";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { OrderService, WaitFor } from "#gen/shop/orders/v1/order_service_pb.js";
import type { Clients } from "#platform/grpc/clients.ts";
import { plainClients } from "../dev/shop/clients.ts";
import type { Overrides } from "../dev/stack/blueprint.ts";
import { freePorts } from "../dev/stack/free-ports.ts";
import { type Component, components, type Observer, type TemporalKind } from "../dev/stack/layout.ts";
import { Stack } from "../dev/stack/stack.ts";
import { temporalStoreUrl } from "../dev/stack/temporal-server.ts";
import { services } from "../services/services.ts";
import { cpuSeconds, memoryBytes } from "./cpu.ts";
import { progress } from "./options.ts";
import { orderRequest, prepare } from "./order-load.ts";

/** How long a caller waits for the confirmation, in milliseconds. */
export const callerDeadlineMs = 25_000;

/** Where the life of an order ends. */
export const endStatuses: readonly string[] = ["delivered", "rejected", "cancelled", "failed"];

/** How often the parcels that are there by then are packed when all are to be delivered, and how often is told how far it is. */
const packEveryMs = 2_000;
const tellEveryMs = 10_000;

/** Something of each process. */
export type ByProcess = ReadonlyMap<Component, number>;

/** Bytes of WAL. */
export interface WrittenAhead {
  readonly ours: number;
  /** Undefined where Temporal has no PostgreSQL. */
  readonly temporal: number | undefined;
}

/** What became of orders that arrived. */
export interface Arrivals {
  readonly arrived: number;
  /** Milliseconds until the answer that was waited for, of those that were given it before their callers' deadline. */
  readonly confirmed: readonly number[];
  /** Milliseconds until the refusal OVERLOADED, of those that were refused. */
  readonly refused: readonly number[];
  /** Answered as pending or rejected, failed, or not answered at all. */
  readonly others: number;
  /** From the first arrival to the last answer. */
  readonly seconds: number;
  /** Arrived a second: fewer than wanted when this process was late. */
  readonly offered: number;
  /** Confirmed a second while orders arrived, without the first quarter of that time. */
  readonly goodput: number;
}

/** How orders arrive. */
export interface ArrivalOptions {
  /** Orders per second, on average. */
  readonly rate: number;
  readonly seconds: number;
  /** What callers wait for; the confirmation when left out. */
  readonly waitFor?: WaitFor;
}

/** What a shop is made of. */
export interface ShopOptions {
  readonly environment: Overrides;
  readonly temporal: TemporalKind;
  /** Whether nobody is asked who calls, and nobody's calls are counted; default false. */
  readonly open?: boolean | undefined;
  /** What watches the stack; nothing when left out. */
  readonly observers?: readonly Observer[];
}

/** Without who issues credentials, the stack asks for none. */
const openComponents = components.filter((name) => name !== "identity");
const noLimits = { RATE_LIMIT_READ: "off", RATE_LIMIT_WRITE: "off", RATE_LIMIT_SENSITIVE: "off" };

function withoutLimits(environment: Overrides): Overrides {
  return Object.fromEntries(services.map((service) => [service, { ...noLimits, ...environment[service] }]));
}

/** What callers see, as it comes. */
interface Notes {
  readonly begin: number;
  readonly waitFor: WaitFor;
  readonly confirmed: number[];
  /** When, in milliseconds since the beginning. */
  readonly confirmedAt: number[];
  readonly refused: number[];
  others: number;
}

function newNotes(waitFor = WaitFor.CONFIRMED): Notes {
  return { begin: performance.now(), waitFor, confirmed: [], confirmedAt: [], refused: [], others: 0 };
}

/** How the orders of a stack stand. */
export interface Standing {
  readonly orders: number;
  /** By status, in lower case. */
  readonly statuses: ReadonlyMap<string, number>;
  /** Orders that some workflow carries or has carried, for each such workflow. */
  readonly perWorkflow: number;
}

/** A stack of its own that has just started, with customers and more stock than anybody can order. */
export class Shop implements AsyncDisposable {
  readonly stack: Stack;
  readonly #clients: Clients;
  readonly #orders: Client<typeof OrderService>;
  readonly #database: pg.Client;
  /** Of the PostgreSQL that keeps Temporal's state, where there is one. */
  readonly #store: pg.Client | undefined;
  #customers: string[] = [];
  #number = 0;

  private constructor(stack: Stack, temporal: TemporalKind) {
    this.stack = stack;
    this.#clients = plainClients(stack);
    this.#orders = this.#clients.client(OrderService, stack.address("orders"));
    this.#database = new pg.Client({ connectionString: stack.databaseUrl("orders") });
    if (temporal === "postgres")
      this.#store = new pg.Client({ connectionString: temporalStoreUrl(stack.blueprint, "temporal") });
  }

  static async open({ environment, temporal, open = false, observers = [] }: ShopOptions): Promise<Shop> {
    const say = (sentence: string) => progress(sentence);
    const doors = open ? { components: openComponents, environment: withoutLimits(environment) } : { environment };
    const shop = new Shop(
      await Stack.start({ ports: await freePorts(), temporal, say, observers, ...doors }),
      temporal,
    );
    try {
      await shop.#database.connect();
      await shop.#store?.connect();
      shop.#customers = await prepare(shop.stack, shop.#clients);
      return shop;
    } catch (error) {
      await shop[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Lets orders arrive, each for itself, and returns when the last one is answered. */
  async arrive({ rate, seconds, waitFor }: ArrivalOptions): Promise<Arrivals> {
    const notes = newNotes(waitFor);
    const { begin } = notes;
    const calls: Promise<void>[] = [];
    for (let at = gap(rate); at < seconds * 1_000; at += gap(rate)) {
      const early = begin + at - performance.now();
      if (early > 0) await pause(early);
      calls.push(this.#place(notes));
    }
    const sent = performance.now() - begin;
    const from = sent / 4;
    await Promise.all(calls);
    const counted = notes.confirmedAt.filter((ms) => ms >= from && ms < sent).length;
    const goodput = counted / ((sent - from) / 1_000);
    const offered = calls.length / (sent / 1_000);
    return { ...notes, arrived: calls.length, offered, goodput, seconds: (performance.now() - begin) / 1_000 };
  }

  /** Places so many orders, as fast as it goes, and returns when each is confirmed. */
  async fill(count: number, callers = 192): Promise<void> {
    let left = count;
    const call = async () => {
      while (left > 0) {
        left -= 1;
        const notes = newNotes();
        await this.#place(notes);
        if (notes.confirmed.length > 0) continue;
        left += 1;
        await pause(100);
      }
    };
    await Promise.all(Array.from({ length: callers }, call));
  }

  async #place(notes: Notes): Promise<void> {
    this.#number += 1;
    const customer = this.#customers[this.#number % this.#customers.length] ?? "";
    const start = performance.now();
    try {
      const request = { ...orderRequest(customer, this.#number), waitFor: notes.waitFor };
      const { order } = await this.#orders.createOrder(request, { timeoutMs: callerDeadlineMs });
      const ms = performance.now() - start;
      const isDone = order && (notes.waitFor !== WaitFor.CONFIRMED || isConfirmed(order.status));
      if (!isDone || ms > callerDeadlineMs) {
        notes.others += 1;
        return;
      }
      notes.confirmed.push(ms);
      notes.confirmedAt.push(performance.now() - notes.begin);
    } catch (error) {
      const isRefused = error instanceof ConnectError && error.code === Code.ResourceExhausted;
      if (isRefused) notes.refused.push(performance.now() - start);
      else notes.others += 1;
    }
  }

  /** How the orders stand that were created since then, by the database's clock. */
  async standing(since: Date): Promise<Standing> {
    const { rows } = await this.#database.query<{ status: string; orders: number; workflows: number; carried: number }>(
      // Before there were episodes, an order was carried by the workflow of its saga alone.
      `with o as (
         select status, coalesce(to_jsonb(c) ->> 'last_episode_id', c.saga_id::text) as workflow
         from customer_order c where create_time >= $1
       )
       select status, count(*)::int as orders,
         (select count(distinct workflow)::int from o where status <> 'pending') as workflows,
         (select count(*)::int from o where status <> 'pending') as carried
       from o group by status`,
      [since],
    );
    const [{ workflows, carried } = { workflows: 0, carried: 0 }] = rows;
    return {
      orders: rows.reduce((sum, { orders }) => sum + orders, 0),
      statuses: new Map(rows.map(({ status, orders }) => [status, orders])),
      perWorkflow: carried / Math.max(1, workflows),
    };
  }

  /** How many orders have been delivered since then, by the database's clock. */
  async delivered(since: Date): Promise<number> {
    const { rows } = await this.#database.query<{ orders: number }>(
      "select count(*)::int as orders from customer_order where status = 'delivered' and update_time >= $1",
      [since],
    );
    return rows[0]?.orders ?? 0;
  }

  /** The time by the database's clock. */
  async now(): Promise<Date> {
    const { rows } = await this.#database.query<{ now: Date }>("select clock_timestamp() as now");
    return rows[0]?.now ?? new Date();
  }

  /** Waits until every order since then is in one of these statuses; returns whether they came there in time. */
  async until(since: Date, statuses: readonly string[], deadlineMs: number): Promise<boolean> {
    const end = performance.now() + deadlineMs;
    for (let told = performance.now(); ; ) {
      // Its CPU is measured with the shop's: nothing more than a count.
      const { rows } = await this.#database.query<{ orders: number; there: number }>(
        `select count(*)::int as orders, (count(*) filter (where status = any($2)))::int as there
         from customer_order where create_time >= $1`,
        [since, statuses],
      );
      const [{ orders, there } = { orders: 0, there: 0 }] = rows;
      if (there === orders) return true;
      if (performance.now() > end) return false;
      if (performance.now() > told + tellEveryMs) {
        told = performance.now();
        progress(`${there} of ${orders} orders are ${statuses.join(" or ")}`);
      }
      await pause(1_000);
    }
  }

  /** Has every order delivered that is there since then, however long its packing would take; returns whether they came there. */
  async deliverAll(since: Date, deadlineMs: number): Promise<boolean> {
    const end = performance.now() + deadlineMs;
    while (performance.now() < end) {
      // An order is being prepared some moments before its parcel is there to be packed.
      await this.packAll();
      if (await this.until(since, endStatuses, packEveryMs)) return true;
    }
    return false;
  }

  /** Has everything packed at once that is being packed. */
  async packAll(): Promise<void> {
    const simulators = new pg.Client({ connectionString: this.stack.databaseUrl("simulators", "postgres") });
    await simulators.connect();
    await simulators.query("update warehouse_packing set ready_time = begin_time");
    await simulators.end();
    const shipping = new pg.Client({ connectionString: this.stack.databaseUrl("shipping", "postgres") });
    await shipping.connect();
    await shipping.query("update shipment set due_time = now() where status = 'preparing'");
    await shipping.end();
  }

  /** CPU seconds so far of each process. */
  cpu(): Promise<ByProcess> {
    return this.#each(cpuSeconds);
  }

  /** Bytes of WAL so far of the PostgreSQL that has our databases, and of Temporal's where it has one: all of it, also what nobody's order wrote. */
  async wal(): Promise<WrittenAhead> {
    const [ours = 0, temporal] = await Promise.all(
      [this.#database, this.#store].map((one) => one && writtenAhead(one)),
    );
    return { ours, temporal };
  }

  /** Bytes of memory of each process. */
  memory(): Promise<ByProcess> {
    return this.#each(memoryBytes);
  }

  async #each(measure: (pid: number) => Promise<number>): Promise<ByProcess> {
    const entries = components.map(async (name) => {
      const each = await Promise.all(this.stack.pids(name).map(measure));
      return [name, each.reduce((sum, value) => sum + value, 0)] as const;
    });
    return new Map(await Promise.all(entries));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#clients.close();
    for (const each of [this.#database, this.#store]) await each?.end().catch(() => undefined);
    await this.stack[Symbol.asyncDispose]();
  }
}

async function writtenAhead(database: pg.Client): Promise<number> {
  const { rows } = await database.query<{ bytes: number }>(
    "select pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 as bytes",
  );
  return rows[0]?.bytes ?? 0;
}

/** Kilobytes of WAL per order as they are printed. */
export function walCosts(before: WrittenAhead, after: WrittenAhead, orders: number): string {
  const perOrder = (from = 0, to = 0) => `${((to - from) / orders / 1_000).toFixed(1)} KB`;
  const ours = `WAL ${perOrder(before.ours, after.ours)} per order`;
  return after.temporal === undefined ? ours : `${ours}, of Temporal ${perOrder(before.temporal, after.temporal)}`;
}

/** Milliseconds until the next of arrivals that know nothing of each other. */
function gap(rate: number): number {
  return (-Math.log(1 - Math.random()) * 1_000) / rate;
}

function isConfirmed(status: OrderStatus): boolean {
  return status !== OrderStatus.UNSPECIFIED && status !== OrderStatus.PENDING && status !== OrderStatus.REJECTED;
}

/** What each process has more of than before, divided. */
export function shares(before: ByProcess, after: ByProcess, divisor: number): ByProcess {
  return new Map([...after].map(([name, value]) => [name, (value - (before.get(name) ?? 0)) / divisor]));
}

/** The sum over all processes. */
export function total(of: ByProcess): number {
  return [...of.values()].reduce((sum, value) => sum + value, 0);
}

/** CPU milliseconds per order as they are printed. */
export function costs(cpu: ByProcess): string {
  const parts = [...cpu].map(([process, ms]) => `${process} ${ms.toFixed(2)}`);
  return `CPU ${total(cpu).toFixed(2)} ms per order: ${parts.join(", ")}`;
}

/** The value below which so large a share of the values lies; NaN when there is none. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}
