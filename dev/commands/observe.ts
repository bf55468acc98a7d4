// `npm run observe`: runs the stack with everything that watches it, places a mixed load, and shows where each signal is.
import { relative } from "node:path";
import { ConnectError } from "@connectrpc/connect";
import { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import type { Order } from "#gen/shop/orders/v1/order_pb.js";
import { root } from "../../deploy/command/checkout.ts";
import { colour } from "../config.ts";
import { StackError } from "../errors.ts";
import { type Evidence, lookUp, type Sight } from "../observe/evidence.ts";
import { kinds } from "../observe/kinds.ts";
import { MixedLoad, oneOfEach, summary } from "../observe/load.ts";
import { help, type ObserveOptions, parseObserveOptions } from "../observe/options.ts";
import { troubleIn } from "../observe/trouble.ts";
import { fillShelves } from "../shop/catalogue.ts";
import { plainClients } from "../shop/clients.ts";
import { Shopper } from "../shop/shopper.ts";
import { portsFor } from "../stack/free-ports.ts";
import { observers } from "../stack/layout.ts";
import { Stack } from "../stack/stack.ts";
import { Screen } from "../terminal/screen.ts";
import { Wishes } from "../terminal/wishes.ts";

/** How often the progress of the load is told. */
const tellEveryMs = 2_000;
/** Nobody likes to wait for the usual five seconds until a span is sent. */
const spanDelayMs = 500;

async function run(options: ObserveOptions, screen: Screen): Promise<number> {
  const wishes = new Wishes();
  screen.title(`Ordermesh starts with all that watches it, in ${relative(root, options.dataDirectory) || "."}`);
  const stack = await Stack.start({
    dataDirectory: options.dataDirectory,
    ports: await portsFor(options.portOffset),
    observers,
    logLevel: "info",
    environment: { all: { OTEL_BSP_SCHEDULE_DELAY: String(spanDelayMs) } },
    signal: wishes.stop,
    ready: (component, detail, ms) => screen.ready(component, detail, ms),
    say: (sentence) => screen.say(sentence),
    line: (component, line) => {
      const text = options.verbose ? line : troubleIn(component, line);
      if (text) screen.line(component, text);
    },
  });
  try {
    const broken = stack.failed.then((error) => {
      throw error;
    });
    return await Promise.race([broken, show(stack, screen, { options, wishes })]);
  } finally {
    screen.print("Stopping; the data is kept.");
    void wishes.hurry.then(() => stack.stop(0));
    await stack.stop();
  }
}

interface Watch {
  readonly options: ObserveOptions;
  readonly wishes: Wishes;
}

async function show(stack: Stack, screen: Screen, { options, wishes }: Watch): Promise<number> {
  const orders = await placeLoad(stack, screen, { options, wishes });
  screen.print(`  ${summary(orders)}`);
  const found = await showOneOfEach(stack, screen, orders);
  if (!found) screen.say("Something was not found.");
  if (options.exit) return found ? 0 : 1;
  screen.print("\nEverything runs; Ctrl-C stops it and keeps the data.");
  await wishes.stopped;
  return 0;
}

async function placeLoad(stack: Stack, screen: Screen, { options, wishes }: Watch): Promise<readonly Order[]> {
  await fill(stack);
  using shopper = new Shopper(stack);
  const load = new MixedLoad(shopper, wishes.stop);
  screen.print();
  screen.title(`A mixed load of ${options.orders} orders`);
  const timer = setInterval(() => {
    const { placed, ended } = load.progress;
    screen.print(`  ${placed} placed, ${ended} ended`);
  }, tellEveryMs);
  try {
    return await load.run(options.orders);
  } finally {
    clearInterval(timer);
  }
}

async function fill(stack: Stack): Promise<void> {
  const clients = plainClients(stack);
  try {
    await fillShelves(clients.client(InventoryService, stack.address("inventory")));
  } finally {
    clients.close();
  }
}

/** Whether each kind was there and everything of it was found. */
async function showOneOfEach(stack: Stack, screen: Screen, orders: readonly Order[]): Promise<boolean> {
  const chosen = oneOfEach(orders);
  const looks = kinds.map(async (kind) => {
    const order = chosen.get(kind.name);
    return { kind, order, evidence: order && (await lookUp(stack, kind, order)) };
  });
  let all = true;
  for (const { kind, order, evidence } of await Promise.all(looks)) {
    screen.print();
    screen.title(order ? `${kind.name}: ${order.orderId}` : kind.name);
    if (evidence) showEvidence(screen, evidence);
    else screen.say("No order became so.");
    all &&= evidence !== undefined && [evidence.trace, evidence.logs, ...evidence.metrics].every(({ found }) => found);
  }
  return all;
}

function showEvidence(screen: Screen, { trace, logs, metrics }: Evidence): void {
  const sights: [string, Sight][] = [
    ["trace", trace],
    ["logs", logs],
    ...metrics.map((sight): [string, Sight] => ["metric", sight]),
  ];
  for (const [signal, { where, what, found }] of sights) {
    screen.print(`  ${mark(found)} ${signal.padEnd(7)} ${where}`);
    screen.print(`            ${what}`);
  }
}

function mark(found: boolean): string {
  const sign = found ? "✓" : "✗";
  return colour ? `\x1b[${found ? 32 : 31}m${sign}\x1b[0m` : sign;
}

try {
  const options = parseObserveOptions(process.argv.slice(2));
  if (options.help) console.log(help);
  else process.exitCode = await run(options, new Screen(options.verbose));
} catch (error) {
  if (!(error instanceof StackError) && !(error instanceof ConnectError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
process.exit();
