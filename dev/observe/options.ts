import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { defaultDataDirectory } from "../config.ts";
import { StackError } from "../errors.ts";
import type { PortOffset } from "../stack/free-ports.ts";
import { parseOffset } from "../terminal/options.ts";
import { usageError } from "../terminal/usage.ts";

/** What `npm run observe` was asked for. */
export interface ObserveOptions {
  readonly help: boolean;
  readonly exit: boolean;
  readonly verbose: boolean;
  /** How many orders are placed. */
  readonly orders: number;
  readonly portOffset: PortOffset;
  readonly dataDirectory: string;
}

/** Fewer would not be one of each kind; more is a benchmark. */
const fewest = 5;
const most = 10_000;

/** The answer to `npm run observe -- --help`. */
export const help = `Runs all of Ordermesh on this machine with Jaeger, Prometheus, Elasticsearch and Filebeat beside it, places orders of
every kind (delivered, declined, out of stock, shipment failed, cancelled), and shows for one of each where its trace, its
log lines and its metrics are. Stays until Ctrl-C.

  npm run observe                       a hundred orders, then stay
  npm run observe -- --exit             end once everything was looked up: with 0 when all of it was found, else with 1
  npm run observe -- --orders 500       another number of orders, from ${fewest} to ${most}
  npm run observe -- --verbose          show everything that the components log
  npm run observe -- --port-offset 100  add 100 to every port, to run beside another stack
  npm run observe -- --port-offset free take any ports that are free
  npm run observe -- --data <folder>    keep the data elsewhere than in .data/observe

Ports: those of npm start; Jaeger 16686, Prometheus 9090, Elasticsearch 9200.
What is not on PATH is had by itself, once: Jaeger and Filebeat are built with Go, Elasticsearch is put together with Maven and
a JDK (17 or newer), Prometheus comes from the distribution's package; all together some minutes.
How to read what it shows: docs/traces.md, docs/logs.md, docs/metrics.md.`;

/** Reads the command line. @throws StackError for what it does not know */
export function parseObserveOptions(args: readonly string[]): ObserveOptions {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        help: { type: "boolean", short: "h", default: false },
        exit: { type: "boolean", default: false },
        verbose: { type: "boolean", short: "v", default: false },
        orders: { type: "string", default: "100" },
        "port-offset": { type: "string", default: "0" },
        data: { type: "string", default: join(defaultDataDirectory, "observe") },
      },
    });
    const { "port-offset": portOffset, data, orders, ...flags } = values;
    return {
      ...flags,
      orders: parseOrders(orders),
      portOffset: parseOffset(portOffset),
      dataDirectory: resolve(data),
    };
  } catch (error) {
    throw usageError(error);
  }
}

function parseOrders(text: string): number {
  const orders = Number(text);
  if (Number.isInteger(orders) && orders >= fewest && orders <= most) return orders;
  throw new StackError(`--orders is a whole number from ${fewest} to ${most}, not "${text}".`);
}
