import { Relay } from "#platform/batch/relay.ts";
import { selectList } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { OrderMetrics } from "../order/metrics.ts";
import { firstIdAt } from "../order/order-id.ts";
import type { Admission, Line } from "./admission.ts";

/** What the watch works with. */
export interface EpisodeWatchOptions {
  readonly database: Queryable;
  readonly metrics: OrderMetrics;
  readonly admission: Pick<Admission, "observed" | "look">;
  readonly logger: Pick<Logger, "error" | "warn" | "info">;
}

/** What waits for longer is in the log, once for all that waits, in seconds: as in the alert EventsLagging. */
const laggingSeconds = 30;
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

const backlog: SqlText = { name: "episode_backlog", text: `select ${backlogColumns}` };

const isInLine = "status = 'pending' and waits_for is null and review_time is null and back_order_time is null";

const lineColumns = selectList<Line>({
  atMs: "extract(epoch from statement_timestamp())::float8 * 1000",
  waiting: `count(*) filter (where ${isInLine})::int`,
  gone: `count(*) filter (where not (${isInLine}))::int`,
  oldestMs: `coalesce(extract(epoch from now() - min(coalesce(accept_time, create_time)) filter (where ${isInLine})) * 1000,
    0)::float8`,
});

/** Ids sort by the time of creation. */
const line: SqlText = {
  name: "order_line_up",
  text: `select ${lineColumns} from customer_order where order_id >= $1`,
};

/** Orders that wait for the same: an operator's decision at one step, wherever that is, or a service. */
interface Waiting {
  readonly name: string;
  readonly orders: number;
  /** How long the oldest of them waits. */
  readonly seconds: number;
}

const parked: SqlText = {
  name: "parked_count",
  text: `select split_part(parked_step, ':', 1) as name, count(*)::int as orders,
      extract(epoch from now() - min(park_time))::float8 as seconds
    from customer_order where park_time is not null group by 1`,
};

const waiting: SqlText = {
  name: "waiting_count",
  text: `select waits_for as name, count(*)::int as orders,
      coalesce(extract(epoch from now() - min(wait_time)), 0)::float8 as seconds
    from customer_order where waits_for is not null group by 1`,
};

/** For whom orders may wait: shown also while none does, so that the first one is a rise. */
const awaited = ["inventory", "payments", "gateway", "shipping", "carrier", "orders"];
/** The worker names steps and services; how many names there may be in a metric is not its to say. */
const maxNames = 32;
const otherName = "other";

/** Tells the metrics and the admission of orders what waits. */
export function createEpisodeWatch(options: EpisodeWatchOptions): Relay {
  const { database, metrics, logger } = options;
  const steps = new Set<string>();
  const services = new Set(awaited);
  const watchParked = async () => {
    for (const { name, orders, seconds } of named(await database.query<Waiting>(parked), steps)) {
      metrics.parked.set({ step: name }, orders);
      metrics.oldestParked.set({ step: name }, seconds);
    }
  };
  const watchWaiting = async () => {
    for (const { name, orders, seconds } of named(await database.query<Waiting>(waiting), services)) {
      metrics.waiting.set({ waits_for: name }, orders);
      metrics.oldestWaiting.set({ waits_for: name }, seconds);
    }
  };
  const sayLag = lagLog(logger);
  const watch = async () => {
    await Promise.all([watchBacklog(options, sayLag), watchLine(options), watchParked(), watchWaiting()]);
    return 0;
  };
  return new Relay({ name: "watching episodes", everyMs, log: logger, sweep: watch });
}

/** Tells when orders begin to wait for their episode for too long, and when none does any more. */
function lagLog(logger: Pick<Logger, "warn" | "info">): (seconds: number) => void {
  let lagging = false;
  return (seconds) => {
    if (seconds > laggingSeconds === lagging) return;
    lagging = !lagging;
    if (lagging) logger.warn("orders wait to be carried, and no episode begins");
    else logger.info("no order waits to be carried any more");
  };
}

async function watchBacklog(options: EpisodeWatchOptions, sayLag: (seconds: number) => void): Promise<void> {
  const { database, metrics, admission } = options;
  const [now] = await database.query<Backlog>(backlog);
  if (!now) return;
  const outboxSeconds = Math.max(now.placedSeconds, now.unacknowledgedSeconds, now.legacySeconds);
  metrics.dueEvents.set(now.dueEvents);
  metrics.oldestDueEvent.set(now.dueSeconds);
  metrics.outboxLag.set(outboxSeconds);
  sayLag(Math.max(outboxSeconds, now.dueSeconds));
  admission.observed(now.placedSeconds * 1_000);
}

async function watchLine({ database, admission }: EpisodeWatchOptions): Promise<void> {
  await admission.look(Date.now(), async (sinceMs) => (await database.query<Line>(line, [firstIdAt(sinceMs)]))[0]);
}

/** One figure for each name that is known or new, as long as they are few; nobody waits for one that has no row any more. */
function named(rows: readonly Waiting[], known: Set<string>): Waiting[] {
  for (const { name } of rows) if (!known.has(name)) known.add(known.size < maxNames ? name : otherName);
  const figures = new Map([...known].map((name) => [name, { name, orders: 0, seconds: 0 }]));
  for (const { name: own, orders, seconds } of rows) {
    const name = known.has(own) ? own : otherName;
    const before = figures.get(name);
    figures.set(name, {
      name,
      orders: orders + (before?.orders ?? 0),
      seconds: Math.max(seconds, before?.seconds ?? 0),
    });
  }
  return [...figures.values()];
}
