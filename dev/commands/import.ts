// `npm run import -- orders.ndjson`: has each service take what is its own of a file of another shop, one after the other, into the
// databases of the stack that runs. docs/import.md shows the file.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../../deploy/command/checkout.ts";
import { recordKinds } from "../../services/platform/src/import/import-record.ts";
import { childEnvironment, defaultDataDirectory } from "../config.ts";
import { StackError } from "../errors.ts";
import { credentialsIn, personalKeysFile } from "../stack/credentials.ts";
import { runningPort } from "../stack/running-port.ts";
import { usageError } from "../terminal/usage.ts";

/** In the order in which each finds what it needs of the one before. */
const importers = [...new Set(Object.values(recordKinds))];
type ImporterName = (typeof importers)[number];

const help = `Imports the customers, ended orders, payments and stock of another shop, from a file of one JSON object a line. It may be
compressed by gzip. What was imported before is not imported again: repeat the command as often as you like, also after Ctrl-C.
Ends with 0 when all is imported, with 2 when lines were refused: a report beside the file says which, and why.

  npm run import -- orders.ndjson                  into the databases of the stack that runs
  npm run import -- orders.ndjson --check          only looks at the file, and says what would be refused of it
  npm run import -- orders.ndjson --source oldshop what the other shop is called, when there are several ("import" by default)
  npm run import -- - --only orders                from standard input, which only one of ${importers.join(", ")} can read
  npm run import -- orders.ndjson --data <folder>  into other data`;

interface Wanted {
  readonly help: boolean;
  readonly file: string;
  readonly only: readonly ImporterName[];
  readonly dataDirectory: string;
  readonly check: boolean;
  /** What each service is called with besides. */
  readonly rest: readonly string[];
}

function read(args: readonly string[]): Wanted {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        help: { type: "boolean", short: "h", default: false },
        source: { type: "string" },
        only: { type: "string" },
        check: { type: "boolean", default: false },
        data: { type: "string", default: defaultDataDirectory },
      },
    });
    const { source, check, data, help: isHelp } = values;
    const [file = "", ...more] = positionals;
    if (!isHelp && (file === "" || more.length > 0)) throw new StackError("Name one file to import.");
    const only = values.only === undefined ? importers : [importerOf(values.only)];
    if (file === "-" && only.length > 1)
      throw new StackError("Standard input can be read once: say by whom, with --only.");
    const rest = [...(source === undefined ? [] : ["--source", source]), ...(check ? ["--check"] : [])];
    return { help: isHelp, file: file === "-" ? file : resolve(file), only, dataDirectory: resolve(data), check, rest };
  } catch (error) {
    throw usageError(error);
  }
}

function importerOf(name: string): ImporterName {
  const found = importers.find((each) => each === name);
  if (!found) throw new StackError(`--only wants one of ${importers.join(", ")}, not "${name}".`);
  return found;
}

function environmentOf(name: ImporterName, { dataDirectory, check }: Wanted): Record<string, string> {
  if (check) return {};
  const port = runningPort(dataDirectory);
  if (port === undefined)
    throw new StackError(`No stack runs on ${dataDirectory}: \`npm start\` runs one, --data names another folder.`);
  const { roles } = credentialsIn(dataDirectory);
  const url = (role: string, password: string, database: string) =>
    `postgres://${role}:${password}@127.0.0.1:${port}/${database}`;
  return {
    DATABASE_URL: url(name, roles[name].runtime, name),
    ...(name === "orders" && { PERSONAL_DATA_KEYS_FILE: personalKeysFile(dataDirectory) }),
    ...(name === "payments" && { ORDERS_DATABASE_URL: url("orders_reader", roles.orders.reader, "orders") }),
  };
}

/** What it ends with; 0: all was imported, 2: lines were refused. */
async function importInto(name: ImporterName, wanted: Wanted): Promise<number> {
  const main = join(root, "services", name, "src", "main.ts");
  const env = childEnvironment(environmentOf(name, wanted));
  const child = spawn(process.execPath, [main, "import", wanted.file, ...wanted.rest], { stdio: "inherit", env });
  for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, () => child.kill(signal));
  const [code] = await once(child, "close");
  return typeof code === "number" ? code : 1;
}

async function run(wanted: Wanted): Promise<number> {
  let worst = 0;
  for (const name of wanted.only) {
    const code = await importInto(name, wanted);
    worst = Math.max(worst, code);
    // The next one would want what this one did not come to.
    if (code !== 0 && code !== 2) break;
  }
  return worst;
}

// A terminal tells the whole group: the service ends its chunk, and this waits for it.
process.on("SIGINT", () => undefined);
try {
  const wanted = read(process.argv.slice(2));
  if (wanted.help) console.log(help);
  else process.exitCode = await run(wanted);
} catch (error) {
  if (!(error instanceof StackError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
