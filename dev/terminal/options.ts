import { resolve } from "node:path";
import { parseArgs } from "node:util";
import { databaseServices, hasDatabase, type Service, services } from "../../services/services.ts";
import { defaultDataDirectory } from "../config.ts";
import { StackError } from "../errors.ts";
import type { PortOffset } from "../stack/free-ports.ts";
import { type Component, components, maxPortOffset, portsAt, portsOf } from "../stack/layout.ts";
import { usageError } from "./usage.ts";

/** What `npm start` was asked for. */
export interface StartOptions {
  readonly help: boolean;
  readonly exit: boolean;
  readonly reset: boolean;
  readonly verbose: boolean;
  readonly demo: boolean;
  /** Whether a Jaeger is started when there is one. */
  readonly traces: boolean;
  readonly portOffset: PortOffset;
  readonly dataDirectory: string;
  /** Which components to start; all when not given. */
  readonly only?: readonly Component[];
}

const inWords = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
/** How many services have a database, as people write it. */
const countInWords = inWords[databaseServices.length] ?? databaseServices.length;

/** The usual ports, those of the services without a database beside those of what they all need. */
function describePorts(): string {
  const usual = portsAt(0);
  const describe = (names: readonly Service[]) =>
    names.map((name) => `${name} ${usual.grpc[name]}/${usual.http[name]}`).join(", ");
  const others = services.filter((service) => !hasDatabase(service));
  const jaeger = portsOf("jaeger", usual).map(({ port }) => port);
  const nats = portsOf("nats", usual).map(({ port }) => port);
  const mail = portsOf("mail", usual).map(({ port }) => port);
  return `Ports (gRPC / HTTP): ${describe(databaseServices)},
${describe(others)}; PostgreSQL ${usual.postgres}; Temporal ${usual.temporal}, its UI ${usual.temporalUi}; Jaeger, if there is one, ${jaeger.join(", ")};
NATS, if there is one, ${nats.join(", ")}, and then mails ${mail.join(", ")}.`;
}

/** The answer to `npm start -- --help`. */
export const help = `Runs all of Ordermesh on this machine: PostgreSQL, Temporal, ${countInWords} services and the worker.
Then places one order as a client would and shows how it goes on, until Ctrl-C.

  npm start                       start, and stay until Ctrl-C; data is kept in .data/
  npm start -- --exit             end with 0 once the order is delivered, with 1 when it is not within two minutes
  npm start -- --reset            forget all data first
  npm start -- --no-demo          place no order
  npm start -- --no-traces        start no Jaeger and make no spans
  npm start -- --verbose          show everything that the components log
  npm start -- --port-offset 100  add 100 to every port, to run beside another stack
  npm start -- --port-offset free take any ports that are free
  npm start -- --data <folder>    keep the data elsewhere
  npm start -- --only postgres,temporal,orders
                                  start only these, place no order

${describePorts()}
Logs: .data/log/<component>.log. Tools that npm does not install are kept in ~/.cache/ordermesh (ORDERMESH_CACHE).

  npm test            everything: checks and tests      npm run verify   stock and money of the data in .data/
  npm run check       format, lint, types, protos       npm run tools    temporal, grpcurl, jaeger …
  npm run campaign    faults of all kinds under orders that come by themselves
  npm run observe     the same with Jaeger, Prometheus, Elasticsearch and Filebeat, under a mixed load`;

/** Reads the command line. @throws StackError for what it does not know */
export function parseOptions(args: readonly string[]): StartOptions {
  try {
    const { values } = parseArgs({
      args: [...args],
      allowNegative: true,
      options: {
        help: { type: "boolean", short: "h", default: false },
        exit: { type: "boolean", default: false },
        reset: { type: "boolean", default: false },
        verbose: { type: "boolean", short: "v", default: false },
        demo: { type: "boolean", default: true },
        traces: { type: "boolean", default: true },
        "port-offset": { type: "string", default: "0" },
        data: { type: "string", default: defaultDataDirectory },
        only: { type: "string" },
      },
    });
    const { "port-offset": portOffset, data, only, ...flags } = values;
    const options = { ...flags, portOffset: parseOffset(portOffset), dataDirectory: resolve(data) };
    return only === undefined ? options : { ...options, demo: false, traces: false, only: parseComponents(only) };
  } catch (error) {
    throw usageError(error);
  }
}

/** Reads a port offset. */
export function parseOffset(text: string): PortOffset {
  if (text === "free") return text;
  const offset = Number(text);
  if (Number.isInteger(offset) && offset >= 0 && offset <= maxPortOffset) return offset;
  throw new StackError(`--port-offset is a whole number from 0 to ${maxPortOffset}, or "free", not "${text}".`);
}

function parseComponents(text: string): Component[] {
  const names = text.split(",");
  const unknown = names.filter((name) => !components.some((component) => component === name));
  if (unknown.length > 0) {
    throw new StackError(`There is no component ${unknown.join(", ")}; there are ${components.join(", ")}.`);
  }
  return components.filter((component) => names.includes(component));
}
