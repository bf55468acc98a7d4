// `npm run verify`: prints whether stock and money are in balance, of the running stack or of the data it left.
import { existsSync } from "node:fs";
import { join } from "node:path";
import { BooksError } from "../../services/books/src/balance/ask.ts";
import { type Balance, type BooksSources, takeBalance } from "../../services/books/src/balance/balance.ts";
import { describeProgress } from "../../services/books/src/balance/progress.ts";
import type { Rest } from "../../services/books/src/balance/rest.ts";
import { exitCodes } from "../../services/books/src/books.ts";
import { pushVerification, toVerification } from "../../services/books/src/report/push.ts";
import { accountedServices, type DatabaseService } from "../../services/services.ts";
import { colour, pushgatewayUrl } from "../config.ts";
import { StackError } from "../errors.ts";
import { credentialsIn } from "../stack/credentials.ts";
import { freePorts } from "../stack/free-ports.ts";
import { runningPort } from "../stack/running-port.ts";
import { openSimulatedWorld } from "../stack/simulated-world.ts";
import { Stack } from "../stack/stack.ts";
import { help, parseVerifyOptions, type VerifyOptions } from "../terminal/verify-options.ts";

/** What a comparison asks on the data of a stack: its databases, and what its simulated gateway and carrier did. */
async function balanceAt(
  dataDirectory: string,
  port: number,
  options: Parameters<typeof takeBalance>[1],
): Promise<Balance> {
  const { postgres } = credentialsIn(dataDirectory);
  const urlOf = (name: DatabaseService) => `postgres://postgres:${postgres}@127.0.0.1:${port}/${name}`;
  const urls = Object.fromEntries(accountedServices.map((name) => [name, urlOf(name)])) as BooksSources["urls"];
  await using outside = await openSimulatedWorld(urlOf("simulators"));
  return await takeBalance({ urls, gateway: outside.gateway, carrier: outside.carrier }, options);
}

/** How often is told how far a comparison has come, in milliseconds. */
const tellEveryMs = 2_000;

async function balanceOf({ dataDirectory, ids }: VerifyOptions): Promise<Balance> {
  if (!existsSync(join(dataDirectory, "postgres"))) {
    throw new StackError(
      `There is no data in ${dataDirectory}: \`npm start\` makes some, --data names another folder.`,
    );
  }
  let next = performance.now() + tellEveryMs;
  const onProgress = (progress: Parameters<typeof describeProgress>[0]) => {
    if (performance.now() < next) return;
    next = performance.now() + tellEveryMs;
    console.error(`  … ${describeProgress(progress)}`);
  };
  const port = runningPort(dataDirectory);
  if (port !== undefined) return balanceAt(dataDirectory, port, { ids, onProgress });
  await using stack = await Stack.start({
    dataDirectory,
    ports: await freePorts(),
    components: ["postgres"],
  });
  return await balanceAt(dataDirectory, stack.blueprint.ports.postgres, { ids, onProgress });
}

/** A time as people say it, such as `40 s`, `12 min` or `3 h 5 min`. */
function describeSeconds(seconds: number): string {
  if (seconds < 120) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

const restsAs: Readonly<Record<Rest["state"], string>> = {
  carried: "carried by a workflow now",
  due: "about to be carried",
  "again later": "to be carried again later",
  parked: "parked, waiting for an operator",
  review: "under review, waiting for a person",
  stock: "waiting for stock",
  waiting: "resting, waiting for news of a parcel",
  old: "in a workflow of the kind before episodes",
};

function ordersOf(count: number): string {
  return count === 1 ? "1 order" : `${count} orders`;
}

function print(
  { findings, underway, rests, outside, inBalance, isWhole, orders, effort }: Balance,
  seconds: number,
): void {
  const mark = (good: boolean) => (colour ? `\x1b[${good ? 32 : 31}m${good ? "✓" : "✗"}\x1b[0m` : good ? "✓" : "✗");
  for (const { checked, wrong } of findings) {
    console.log(`  ${mark(wrong.length === 0)} ${checked}`);
    for (const sentence of wrong) console.log(`      ${sentence}`);
  }
  const held = underway === 1 ? "is under way; what it holds is its own" : "are under way; what they hold is theirs";
  console.log(`  ${ordersOf(underway)} ${held}.`);
  for (const { status, state, step, orders: count, longestSeconds } of rests) {
    const where = step ? `${restsAs[state]} at ${step}` : restsAs[state];
    console.log(`      ${count} ${status}: ${where}, the longest for ${describeSeconds(longestSeconds)}`);
  }
  if (outside.operations > 0) console.log(`  ${outside.operations} done at the card gateway without us.`);
  for (const sentence of outside.latest) console.log(`      ${sentence}`);
  const read = `at most ${effort.mostRows} rows and ${Math.round(effort.longestMs)} ms at a time`;
  console.log(`  ${ordersOf(orders)} compared in ${seconds.toFixed(1)} s, ${read}.`);
  if (!isWhole) console.log("  Only a part: levels of stock, and what belongs to no parcel, were not compared.");
  const what = isWhole ? "Stock and money are" : "What was compared is";
  console.log(inBalance ? `${what} in balance.` : `${what} NOT in balance.`);
}

/** A result that nobody is told stays a result; that of a part says nothing of the whole. */
async function tell(balance: Balance, seconds: number): Promise<void> {
  if (!pushgatewayUrl || !balance.isWhole) return;
  await pushVerification(pushgatewayUrl, toVerification(balance, seconds)).catch((error: Error) =>
    console.error(`The result could not be pushed to ${pushgatewayUrl}: ${error.message}.`),
  );
}

async function verify(options: VerifyOptions): Promise<number> {
  const start = performance.now();
  const balance = await balanceOf(options);
  const seconds = (performance.now() - start) / 1_000;
  print(balance, seconds);
  await tell(balance, seconds);
  return exitCodes[balance.inBalance ? "balanced" : "unbalanced"];
}

try {
  const options = parseVerifyOptions(process.argv.slice(2));
  if (options.help) console.log(help);
  else process.exitCode = await verify(options);
} catch (error) {
  if (!(error instanceof StackError || error instanceof BooksError)) throw error;
  console.error(error.message);
  process.exitCode = exitCodes.unchecked;
}
