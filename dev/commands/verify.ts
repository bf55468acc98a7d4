// `npm run verify`: prints whether stock and money are in balance, of the running stack or of the data it left.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { BooksError } from "../../services/books/src/balance/ask.ts";
import { type Balance, takeBalance } from "../../services/books/src/balance/balance.ts";
import { exitCodes } from "../../services/books/src/books.ts";
import { pushVerification, toVerification } from "../../services/books/src/report/push.ts";
import { type DatabaseService, databaseServices } from "../../services/services.ts";
import { colour, defaultDataDirectory, pushgatewayUrl } from "../config.ts";
import { StackError } from "../errors.ts";
import { ancestryOf } from "../process/identity.ts";
import { credentialsIn } from "../stack/credentials.ts";
import { freePorts } from "../stack/free-ports.ts";
import { Stack } from "../stack/stack.ts";

/** The port of the server that runs on this data, if one does: the fourth line of its pid file. */
function runningPort(dataDirectory: string): number | undefined {
  const file = join(dataDirectory, "postgres", "postmaster.pid");
  if (!existsSync(file)) return undefined;
  const [pid, , , port] = readFileSync(file, "utf8").split("\n");
  return ancestryOf(Number(pid)) ? Number(port) : undefined;
}

function urlsAt(dataDirectory: string, port: number): Record<DatabaseService, string> {
  const { postgres } = credentialsIn(dataDirectory);
  const urls = databaseServices.map(
    (name) => [name, `postgres://postgres:${postgres}@127.0.0.1:${port}/${name}`] as const,
  );
  return Object.fromEntries(urls) as Record<DatabaseService, string>;
}

async function balanceOf(dataDirectory: string): Promise<Balance> {
  if (!existsSync(join(dataDirectory, "postgres"))) {
    throw new StackError(`There is no data in ${dataDirectory}: \`npm start\` makes some.`);
  }
  const port = runningPort(dataDirectory);
  if (port !== undefined) return takeBalance(urlsAt(dataDirectory, port));
  await using stack = await Stack.start({
    dataDirectory,
    ports: await freePorts(),
    components: ["postgres"],
  });
  return await takeBalance(urlsAt(dataDirectory, stack.blueprint.ports.postgres));
}

function print({ findings, underway, rests, inBalance }: Balance): void {
  const mark = (good: boolean) => (colour ? `\x1b[${good ? 32 : 31}m${good ? "✓" : "✗"}\x1b[0m` : good ? "✓" : "✗");
  for (const { checked, wrong } of findings) {
    console.log(`  ${mark(wrong.length === 0)} ${checked}`);
    for (const sentence of wrong) console.log(`      ${sentence}`);
  }
  console.log(`  ${underway} orders are under way; what they hold is theirs.`);
  for (const { status, state, orders, longestSeconds } of rests) {
    console.log(`      ${orders} ${status}, ${state}: one of them for ${longestSeconds} s`);
  }
  console.log(inBalance ? "Stock and money are in balance." : "Stock and money are NOT in balance.");
}

/** A result that nobody is told stays a result. */
async function tell(balance: Balance, seconds: number): Promise<void> {
  if (!pushgatewayUrl) return;
  await pushVerification(pushgatewayUrl, toVerification(balance, seconds)).catch((error: Error) =>
    console.error(`The result could not be pushed to ${pushgatewayUrl}: ${error.message}.`),
  );
}

try {
  const start = performance.now();
  const { values } = parseArgs({ options: { data: { type: "string", default: defaultDataDirectory } } });
  const balance = await balanceOf(resolve(values.data));
  print(balance);
  await tell(balance, (performance.now() - start) / 1_000);
  process.exitCode = exitCodes[balance.inBalance ? "balanced" : "unbalanced"];
} catch (error) {
  if (!(error instanceof StackError || error instanceof BooksError)) throw error;
  console.error(error.message);
  process.exitCode = exitCodes.unchecked;
}
