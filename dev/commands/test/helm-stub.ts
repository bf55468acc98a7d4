// Stands in for helm: keeps the revisions of one release in a file, notes what it is told, and fails when it is to.
// The first argument is its folder; `plan.json` in it says what goes wrong.
import { appendFileSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A revision as Helm keeps it. */
export interface StubRevision {
  readonly revision: number;
  readonly status: string;
  /** How its test ended; "" before it ran; none when it has no test. */
  readonly test?: string;
}

/** What goes wrong. */
export interface StubPlan {
  readonly fails?: readonly ("upgrade" | "test" | "rollback")[];
  /** What waits until it is told to end. */
  readonly hangs?: "history" | "upgrade" | "test";
  readonly withoutTest?: boolean;
}

const [folder = "", command = "", ...args] = process.argv.slice(2);
const at = (name: string) => join(folder, name);
const readJson = <T>(name: string, otherwise: T): T =>
  existsSync(at(name)) ? (JSON.parse(readFileSync(at(name), "utf8")) as T) : otherwise;

const plan = readJson<StubPlan>("plan.json", {});
let revisions = readJson<StubRevision[]>("revisions.json", []);
const running = () => revisions.findLast(({ status }) => status === "deployed");

function keep(next: readonly StubRevision[]): void {
  revisions = [...next];
  writeFileSync(at("revisions.json"), JSON.stringify(revisions));
}

function add(test: string | undefined): void {
  const superseded = revisions.map((one) => (one.status === "deployed" ? { ...one, status: "superseded" } : one));
  const revision = (revisions.at(-1)?.revision ?? 0) + 1;
  keep([...superseded, { revision, status: "deployed", ...(test === undefined ? {} : { test }) }]);
}

/** As `--atomic` does it. */
function goBack(): void {
  const before = running();
  if (before) add(before.test);
  else keep([]);
}

function end(code: number, sentence: string): never {
  (code === 0 ? process.stdout : process.stderr).write(`${sentence}\n`);
  process.exit(code);
}

function act(): void {
  const fails = plan.fails?.includes(command as "test") === true;
  if (command === "history") {
    if (revisions.length === 0) end(1, "Error: release: not found");
    end(0, JSON.stringify(revisions.map(({ revision, status }) => ({ revision, status }))));
  }
  if (command === "status") {
    const wanted = Number(args[args.indexOf("--revision") + 1]);
    const { test } = revisions.find(({ revision }) => revision === wanted) ?? {};
    const hooks = test === undefined ? [] : [{ events: ["test"], last_run: { phase: test } }];
    end(0, JSON.stringify({ version: wanted, hooks: [{ events: ["pre-upgrade"] }, ...hooks] }));
  }
  appendFileSync(at("log"), `${[command, ...args].join(" ")}\n`);
  if (fails && command === "upgrade") goBack();
  if (fails) end(1, `Error: ${command} failed as planned`);
  if (command === "upgrade") add(plan.withoutTest ? undefined : "");
  if (command === "test") keep(revisions.map((one) => (one === running() ? { ...one, test: "Succeeded" } : one)));
  if (command === "rollback") add(revisions.find(({ revision }) => revision === Number(args[1]))?.test);
  if (command === "uninstall") keep([]);
}

if (plan.hangs === command) {
  appendFileSync(at("log"), `${command} hangs\n`);
  process.on("SIGTERM", () => {
    if (command === "upgrade") goBack();
    process.exit(1);
  });
  setInterval(() => undefined, 1_000);
} else {
  act();
}
