import { Relay } from "#platform/batch/relay.ts";
import { selectList } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { OrderMetrics } from "../order/metrics.ts";
import type { Admission } from "./admission.ts";

/** What the watch works with. */
export interface EpisodeWatchOptions {
  readonly database: Queryable;
  readonly metrics: OrderMetrics;
  readonly admission: Pick<Admission, "observed">;
  readonly logger: Pick<Logger, "error">;
}

/** Between two looks, in milliseconds: less than what an order may wait before new ones are refused. */
const everyMs = 1_000;

/** What waits, in seconds; 0 where nothing does. */
interface Backlog {
  readonly dueEvents: number;
  readonly dueSeconds: number;
  readonly placedSeconds: number;
  readonly unacknowledgedSeconds: number;
  /** Orders that a process of the version before accepted, and whose workflow nobody started yet. */
  readonly legacySeconds: number;
}

const dueTimes = "from order_event where due_time <= now()";
const seconds = (since: string) => `coalesce((${since}), 0)::float8`;

const backlogColumns = selectList<Backlog>({
  dueEvents: `(select count(*)::int ${dueTimes})`,
  dueSeconds: seconds(`select extract(epoch from now() - min(due_time)) ${dueTimes}`),
  placedSeconds: seconds(
    `select extract(epoch from now() - due_time) ${dueTimes} and kind = 'placed' order by due_time limit 1`,
  ),
  unacknowledgedSeconds: seconds(
    "select extract(epoch from now() - min(start_time)) from episode where ack_time is null",
  ),
  legacySeconds: seconds(
    "select extract(epoch from now() - min(create_time)) from customer_order where dispatch_time is null",
  ),
});

const backlog: SqlText = { name: "episode_backlog", prepared: false, text: `select ${backlogColumns}` };

/** Orders that wait for an operator at one step, wherever it is. */
interface ParkedAt {
  readonly step: string;
  readonly orders: number;
  readonly seconds: number;
}

const parked: SqlText = {
  name: "parked_count",
  prepared: false,
  text: `select split_part(parked_step, ':', 1) as step, count(*)::int as orders,
      extract(epoch from now() - min(park_time))::float8 as seconds
    from customer_order where park_time is not null group by 1`,
};

/** Orders that wait for the same one to be back. */
interface WaitingFor {
  readonly waitsFor: string;
  readonly orders: number;
  readonly seconds: number;
}

const waiting: SqlText = {
  name: "waiting_count",
  prepared: false,
  text: `select waits_for as "waitsFor", count(*)::int as orders,
      coalesce(extract(epoch from now() - min(wait_time)), 0)::float8 as seconds
    from customer_order where waits_for is not null group by 1`,
};

/** Shown also while nobody waits for them. */
const awaited = ["inventory", "payments", "gateway", "shipping", "carrier", "orders"];
/** The worker names steps and services; how many names there may be in a metric is not its to say. */
const maxNames = 32;
const otherName = "other";

/** Tells the metrics and the admission of orders what waits. */
export function createEpisodeWatch(options: EpisodeWatchOptions): Relay {
  const watch = async () => {
    await Promise.all([watchBacklog(options), watchParked(options), watchWaiting(options)]);
    return 0;
  };
  return new Relay({ name: "watching episodes", everyMs, log: options.logger, sweep: watch });
}

async function watchBacklog({ database, metrics, admission }: EpisodeWatchOptions): Promise<void> {
  const [now] = await database.query<Backlog>(backlog);
  if (!now) return;
  metrics.dueEvents.set(now.dueEvents);
  metrics.oldestDueEvent.set(now.dueSeconds);
  metrics.outboxLag.set(Math.max(now.placedSeconds, now.unacknowledgedSeconds, now.legacySeconds));
  admission.observed(now.placedSeconds * 1_000);
}

async function watchParked({ database, metrics }: EpisodeWatchOptions): Promise<void> {
  const rows = await database.query<ParkedAt>(parked);
  metrics.parked.reset();
  metrics.oldestParked.reset();
  const oldest = new Map<string, number>();
  for (const { step, orders, seconds: age } of rows) {
    const name = bounded(oldest, step);
    metrics.parked.inc({ step: name }, orders);
    oldest.set(name, Math.max(oldest.get(name) ?? 0, age));
  }
  for (const [step, age] of oldest) metrics.oldestParked.set({ step }, age);
}

async function watchWaiting({ database, metrics }: EpisodeWatchOptions): Promise<void> {
  const rows = await database.query<WaitingFor>(waiting);
  metrics.waiting.reset();
  const oldest = new Map(awaited.map((name) => [name, 0]));
  for (const name of awaited) metrics.waiting.set({ waits_for: name }, 0);
  for (const { waitsFor, orders, seconds: age } of rows) {
    const name = bounded(oldest, waitsFor);
    metrics.waiting.inc({ waits_for: name }, orders);
    oldest.set(name, Math.max(oldest.get(name) ?? 0, age));
  }
  metrics.oldestWaiting.reset();
  for (const [name, age] of oldest) metrics.oldestWaiting.set({ waits_for: name }, age);
}

/** A name of its own while there are few of them. */
function bounded(known: ReadonlyMap<string, number>, name: string): string {
  return known.has(name) || known.size < maxNames ? name : otherName;
}
