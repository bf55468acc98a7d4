// Completes package-lock.json. npm writes no entry for an optional dependency that its registry does not serve at that moment, as happens in
// the first hours of a release of many platform packages, and `npm ci` then refuses the whole file, on every machine. Nor does npm
// ever add the hash to an entry that was written without it. So what has none is asked for anew, and what npm leaves out is added.
// `--check` only reports.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../deploy/command/checkout.ts";
import { run } from "../../deploy/command/run.ts";
import { fullEnvironment } from "../config.ts";
import { type Lock, lockFaults, missingFrom, withoutUnhashed } from "../supply/lock-file.ts";

const file = join(root, "package-lock.json");

function read(): Lock {
  return JSON.parse(readFileSync(file, "utf8")) as Lock;
}

function write(lock: Lock): void {
  writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
}

/** Has npm write what the lock file lacks, without addresses, and without a script of anybody. */
async function askRegistry(): Promise<void> {
  write(withoutUnhashed(read()));
  const how = [
    "--package-lock-only",
    "--omit-lockfile-registry-resolved",
    "--ignore-scripts",
    "--no-audit",
    "--no-fund",
  ];
  await run("npm", ["install", ...how], { cwd: root, env: fullEnvironment(), timeoutMs: 5 * 60_000, keepOutput: true });
}

/** Adds what is still missing, so that the file is whole, with the hash to come. */
function addMissing(): void {
  const lock = read();
  const missing = missingFrom(lock);
  if (missing.length === 0) return;
  const { "": project, ...packages } = lock.packages;
  const sorted = Object.entries({ ...packages, ...Object.fromEntries(missing) }).sort(([a], [b]) => (a < b ? -1 : 1));
  write({ ...lock, packages: { ...(project && { "": project }), ...Object.fromEntries(sorted) } });
}

/** Completes the file, and leaves it as it was when that fails. */
async function complete(): Promise<void> {
  const before = readFileSync(file);
  try {
    await askRegistry();
    addMissing();
  } catch (error) {
    writeFileSync(file, before);
    throw error;
  }
}

function judge(cure: string): void {
  const faults = lockFaults(read());
  if (faults.length === 0) return;
  console.error(`${faults.join("\n")}\n${cure}`);
  process.exitCode = 1;
}

const [wish, ...more] = process.argv.slice(2);
if (more.length > 0 || !["--check", undefined].includes(wish)) {
  console.log(`Completes package-lock.json: platform packages that \`npm install\` left out, and hashes that it did not write.

  npm run lock               has npm ask the registry for them
  npm run lock -- --check    only says which are missing, and ends with 1 when some are`);
  process.exitCode = wish === "--help" ? 0 : 2;
} else if (wish === "--check") {
  judge("`npm run lock` completes package-lock.json.");
} else {
  await complete();
  judge("The registry does not serve these yet: run this again later, or where another one is asked.");
}
