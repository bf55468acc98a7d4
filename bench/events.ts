// Orders that arrive by themselves while thousands of events a second are told, as with a large import, against the same orders alone; and
// events told per second from the backlog that a broker leaves that was away. On a whole stack with NATS, which also takes its share of the machine.
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import pg from "pg";
import { auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { until } from "#testing/until.ts";
import { type AuditedService, tellers } from "../dev/structure/events-page.ts";
import { costs, quantile, Shop, shares } from "./open-load.ts";
import { positive, progress, sayMachine } from "./options.ts";
import { packingMs } from "./order-load.ts";
import { compareTold } from "./told-events.ts";

/** Times a second at which events are written: each time as one statement of an import does. */
const writesPerSecond = 10;
const settleMs = 2_000;
const origin = { actor: "service:inventory", requestId: "import:bench", traceId: "" };

/** A shop whose events are counted. */
class TellingShop implements AsyncDisposable {
  readonly shop: Shop;
  readonly databases = new Map<AuditedService, pg.Client>();

  private constructor(shop: Shop) {
    this.shop = shop;
  }

  static async open(): Promise<TellingShop> {
    progress("starting a stack with NATS");
    const environment = { simulators: { PACKING_MS: String(packingMs) } };
    const telling = new TellingShop(await Shop.open({ environment, temporal: "dev", observers: ["nats"] }));
    for (const name of tellers) {
      const database = new pg.Client({ connectionString: telling.shop.stack.databaseUrl(name, "postgres") });
      await database.connect();
      telling.databases.set(name, database);
    }
    return telling;
  }

  /** How many events wait, of all services, and of those that are told to nobody. */
  async untold(): Promise<number> {
    const text =
      "select greatest(0, (select max(sequence) from audit_event) - c.sequence)::int as waiting from event_cursor c";
    const counts = [...this.databases.values()].map((database) => database.query<{ waiting: number }>(text));
    return (await Promise.all(counts)).reduce((sum, { rows }) => sum + (rows[0]?.waiting ?? 0), 0);
  }

  /** Has so many events happen at once. */
  async happen(count: number): Promise<void> {
    const entries = Array.from({ length: count }, (_, n) => {
      const subject = `SKU-${n}@BER`;
      return { action: "stock.imported", subject, details: { [subject]: "1" }, origin };
    });
    const text = insertAuditEvents("$1");
    await this.databases.get("inventory")?.query({ name: "events-happen", text, values: [auditEvents(entries)] });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const database of this.databases.values()) await database.end();
    await this.shop[Symbol.asyncDispose]();
  }
}

/** Starts the broker; returns how many events were told a second until there were none. */
async function catchUp(telling: TellingShop): Promise<number> {
  const waiting = await telling.untold();
  progress(`${waiting} events wait; the broker is back`);
  await telling.shop.stack.restart("nats");
  // What the relay waits for before it looks again is not counted.
  await until(async () => (await telling.untold()) < waiting, "the relay tells", { deadlineMs: 30_000, everyMs: 20 });
  const [begin, first] = [performance.now(), await telling.untold()];
  await until(async () => (await telling.untold()) === 0, "all are told", { deadlineMs: 300_000, everyMs: 50 });
  return (first * 1_000) / (performance.now() - begin);
}

interface Load {
  readonly rate: number;
  readonly seconds: number;
  /** Events a second besides those of the orders. */
  readonly events: number;
}

/** Has events happen for a while; returns how many. */
async function flood(telling: TellingShop, { events, seconds }: Load): Promise<number> {
  const begin = performance.now();
  const times = events === 0 ? 0 : Math.round(seconds * writesPerSecond);
  for (let time = 0; time < times; time++) {
    await pause(Math.max(0, begin + (time * 1_000) / writesPerSecond - performance.now()));
    await telling.happen(Math.round(events / writesPerSecond));
  }
  return times * Math.round(events / writesPerSecond);
}

/** Prints and returns how long orders took to be confirmed, milliseconds, until all that happened with them is told. */
async function measure(telling: TellingShop, load: Load): Promise<readonly number[]> {
  const { shop } = telling;
  const [before, start] = [await shop.cpu(), performance.now()];
  const [{ confirmed, arrived }, happened] = await Promise.all([shop.arrive(load), flood(telling, load)]);
  await until(async () => (await telling.untold()) === 0, "all are told", { deadlineMs: 60_000, everyMs: 50 });
  const seconds = (performance.now() - start) / 1_000;
  const cpu = costs(shares(before, await shop.cpu(), confirmed.length / 1_000));
  const [p50, p99] = [0.5, 0.99].map((share) => quantile(confirmed, share).toFixed(0));
  const told = happened === 0 ? "alone" : `beside ${(happened / seconds).toFixed(0)} events/s`;
  console.log(`  ${told}: ${confirmed.length} of ${arrived} confirmed, p50 ${p50} ms, p99 ${p99} ms`);
  console.log(`    ${cpu}`);
  await pause(settleMs);
  return confirmed;
}

/** Takes the broker away while orders arrive, brings it back, and prints what that took and whether something is wrong with what was told. */
async function outage(telling: TellingShop, load: Load): Promise<void> {
  const { shop } = telling;
  progress(`orders arrive for ${load.seconds} s while the broker is away`);
  await shop.stack.takeDown("nats");
  const before = await shop.memory();
  const { arrived, confirmed } = await shop.arrive(load);
  await telling.happen(load.events);
  const most = [...(await shop.memory())].map(([name, bytes]) => [name, bytes / (before.get(name) ?? bytes)] as const);
  const [grown, times] = most.toSorted(([, one], [, other]) => other - one)[0] ?? ["", 1];
  const perSecond = await catchUp(telling);
  const { happened, told, lost, reordered } = await compareTold(shop.stack.observerUrl("nats"), telling.databases);
  console.log(
    `broker away for ${load.seconds} s: ${confirmed.length} of ${arrived} orders confirmed, memory at most ${times.toFixed(2)} times what it was (${grown})`,
  );
  console.log(
    `  then ${perSecond.toFixed(0)} events/s told; of ${happened} that happened ${told} told, ${lost} lost, ${reordered} out of order\n`,
  );
  if (lost + reordered > 0) throw new Error("events were lost, or told out of order");
}

function parse(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rate: { type: "string", default: "50" },
      seconds: { type: "string", default: "15" },
      events: { type: "string", default: "5000" },
      turns: { type: "string", default: "4" },
      away: { type: "string", default: "10" },
    },
  });
  return {
    rate: positive("rate", values.rate),
    seconds: positive("seconds", values.seconds),
    events: positive("events", values.events),
    turns: positive("turns", values.turns),
    away: positive("away", values.away),
  };
}

/**
 * Measures in turn and prints; the last line is the ratio of the time to the confirmation, its median, with events and without.
 *
 * @param args `--rate 50` orders a second, `--events 5000` a second besides those of the orders, `--seconds 15`, `--turns 4`, and
 * `--away 10`: for so many seconds the broker is away at first
 */
export async function bench(args: readonly string[]): Promise<void> {
  const { turns, events, away, ...load } = parse(args);
  sayMachine("dev");
  console.log(`${load.rate} orders/s for ${load.seconds} s, alone and with ${events} events/s, ${turns} turns\n`);
  await using telling = await TellingShop.open();
  await outage(telling, { rate: load.rate, seconds: away, events });
  const [alone, beside]: [number[], number[]] = [[], []];
  for (let turn = 0; turn < turns; turn++) {
    const sides = [
      async () => alone.push(...(await measure(telling, { ...load, events: 0 }))),
      async () => beside.push(...(await measure(telling, { ...load, events }))),
    ];
    for (const take of turn % 2 === 0 ? sides : sides.toReversed()) await take();
  }
  const [p99, p50] = [0.99, 0.5].map((share) => quantile(beside, share) / quantile(alone, share));
  console.log(`\np99 ${p99?.toFixed(3)} of that alone, p50:`);
  console.log(`ratio: ${p50?.toFixed(3)}`);
}
