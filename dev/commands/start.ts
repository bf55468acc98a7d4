// `npm start`: runs the stack for a person, shows what becomes of orders, and stays until Ctrl-C.
import { join, relative } from "node:path";
import { ConnectError } from "@connectrpc/connect";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { root } from "../../deploy/command/checkout.ts";
import { StackError } from "../errors.ts";
import { claim } from "../process/leftovers.ts";
import { demonstrate } from "../shop/demo.ts";
import { portsFor } from "../stack/free-ports.ts";
import { type Observer, type Ports, portsOf } from "../stack/layout.ts";
import { isFree } from "../stack/ports.ts";
import { removeData } from "../stack/postgres.ts";
import { Stack } from "../stack/stack.ts";
import { help, parseOptions, type StartOptions } from "../terminal/options.ts";
import { Screen } from "../terminal/screen.ts";
import { Wishes } from "../terminal/wishes.ts";
import { findTool } from "../tools/tool.ts";
import { printExamples } from "./examples.ts";

async function reset(options: StartOptions): Promise<void> {
  await claim(options.dataDirectory);
  removeData(options.dataDirectory);
}

/** What is used when there is one, and never built here, with what there is without it. */
const usual = {
  jaeger: { tool: "jaeger", without: "No traces: Jaeger's port" },
  nats: { tool: "nats-server", without: "No events: NATS's port" },
} as const;

/** Those that there are, and why there is none of those that could be. */
async function chooseObservers(traces: boolean, ports: Ports): Promise<{ observers: Observer[]; why: string[] }> {
  const observers: Observer[] = [];
  const why: string[] = [];
  for (const name of ["jaeger", "nats"] as const) {
    const { tool, without } = usual[name];
    if ((name === "jaeger" && !traces) || !(await findTool(tool))) continue;
    const taken = await takenOf(name, ports);
    if (taken === "") observers.push(name);
    else why.push(`${without} ${taken} is in use; --port-offset 100 moves every port.`);
  }
  // Customers are told of what is told by events.
  if (observers.includes("nats")) {
    const taken = await takenOf("mail", ports);
    if (taken === "") observers.push("mail");
    else why.push(`No mails: their port ${taken} is in use; --port-offset 100 moves every port.`);
  }
  return { observers, why };
}

/** The ports of an observer that somebody else has, with commas between. */
async function takenOf(name: Observer, ports: Ports): Promise<string> {
  const wanted = portsOf(name, ports);
  const free = await Promise.all(wanted.map(({ port }) => isFree(port)));
  return wanted.flatMap(({ port }, index) => (free[index] ? [] : [port])).join(", ");
}

async function run(options: StartOptions, screen: Screen): Promise<number> {
  const wishes = new Wishes();
  const begin = performance.now();
  screen.title(`Ordermesh starts in ${relative(root, options.dataDirectory) || "."}`);
  if (options.reset) await reset(options);
  const ports = await portsFor(options.portOffset);
  const { observers, why } = await chooseObservers(options.traces, ports);
  const stack = await Stack.start({
    dataDirectory: options.dataDirectory,
    ports,
    observers,
    environment: { orders: { FLAGS_FILE: join(root, "deploy/flags.json") } },
    ...(options.only && { components: options.only }),
    logLevel: options.verbose ? "info" : "warn",
    signal: wishes.stop,
    ready: (component, detail, ms) => screen.ready(component, detail, ms),
    say: (sentence) => screen.say(sentence),
    line: (component, line) => screen.line(component, line),
  });
  screen.print(`Everything is ready after ${((performance.now() - begin) / 1000).toFixed(1)} s.`);
  // Only now: who starts a second stack by mistake is told that, and not of a port.
  for (const sentence of why) screen.say(sentence);
  try {
    return await serve(stack, screen, options, wishes);
  } finally {
    screen.print("Stopping; the data is kept.");
    void wishes.hurry.then(() => stack.stop(0));
    await stack.stop();
  }
}

/** Places the order, then serves until somebody wants it to stop or it cannot go on. */
async function serve(stack: Stack, screen: Screen, options: StartOptions, wishes: Wishes): Promise<number> {
  const broken = stack.failed.then((error) => {
    throw error;
  });
  const work = async () => {
    const { demo, exit } = options;
    const delivered = demo ? await demonstrateAndExplain(stack, screen, { exit, stop: wishes.stop }) : true;
    if (exit) return delivered ? 0 : 1;
    screen.print("\nEverything runs; Ctrl-C stops it and keeps the data.");
    await wishes.stopped;
    return 0;
  };
  return Promise.race([broken, work()]);
}

/** Explains only what is there to be tried: with --exit all of it is gone a moment later. */
async function demonstrateAndExplain(
  stack: Stack,
  screen: Screen,
  { exit, stop }: { readonly exit: boolean; readonly stop: AbortSignal },
): Promise<boolean> {
  try {
    const demonstration = await demonstrate(stack, screen, stop);
    if (stop.aborted) return false;
    if (!exit) await printExamples(stack, screen, demonstration);
    return demonstration.order.status === OrderStatus.DELIVERED;
  } catch (error) {
    if (!(error instanceof StackError) && !(error instanceof ConnectError)) throw error;
    screen.say(error.message);
    return false;
  }
}

try {
  const options = parseOptions(process.argv.slice(2));
  if (options.help) console.log(help);
  else process.exitCode = await run(options, new Screen(options.verbose));
} catch (error) {
  if (!(error instanceof StackError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
process.exit();
