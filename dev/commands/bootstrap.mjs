// The way in for every npm script: plain JavaScript for the Node that happens to be installed (20 or newer). Installs the
// dependencies when they are missing or not those of package-lock.json, then hands over to the Node 24 among them.
import { spawn, spawnSync } from "node:child_process";
import { existsSync, lstatSync, readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "../..");
const modules = join(root, "node_modules");
const node24 = join(modules, "node", "bin", process.platform === "win32" ? "node.exe" : "node");
/** Where Node keeps what it made of our sources: a stack is a dozen processes, each of which would compile the same files. */
const compiled = { NODE_COMPILE_CACHE: join(modules, ".cache", "ordermesh-compiled") };
/** What runs so many processes; figures of benchmarks come without. */
const compiling = new Set(["start", "test", "verify", "campaign", "observe"]);
/** What each npm script runs in Node 24. */
const scripts = {
  start: ["dev/commands/start.ts"],
  test: ["dev/commands/test.ts"],
  check: ["dev/commands/check.ts"],
  fix: ["dev/commands/check.ts", "--fix"],
  generate: ["dev/commands/check.ts", "--generate"],
  verify: ["dev/commands/verify.ts"],
  import: ["dev/commands/import.ts"],
  example: ["dev/commands/example.ts"],
  campaign: ["dev/commands/campaign.ts"],
  conformance: ["dev/commands/conformance.ts"],
  observe: ["dev/commands/observe.ts"],
  bench: ["bench/main.ts"],
  tools: ["dev/commands/tools.ts"],
  image: ["deploy/image/build.ts"],
  cluster: ["dev/commands/cluster.ts"],
  "cluster:test": ["dev/commands/cluster-test.ts"],
  infrastructure: ["deploy/infrastructure/install.ts"],
  rollout: ["dev/commands/rollout.ts"],
  lock: ["dev/commands/lock.ts"],
};

/** One sentence, and the end. */
function fail(sentence) {
  console.error(sentence);
  process.exit(1);
}

/** Whether node_modules holds exactly what package-lock.json names, apart from other platforms' packages. */
function isInstalled() {
  const hidden = join(modules, ".package-lock.json");
  if (!existsSync(hidden)) return false;
  const wanted = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")).packages;
  const present = JSON.parse(readFileSync(hidden, "utf8")).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) => path === "" || (present[path] ? present[path].version === version : optional),
  );
}

/** npm by the file that runs this script, else by name. */
function npm(args, options) {
  const file = process.env.npm_execpath;
  const command = file?.endsWith(".js") ? [process.execPath, file] : ["npm"];
  return spawnSync(command[0], [...command.slice(1), ...args], { cwd: root, stdio: "inherit", ...options });
}

function requireMachine() {
  const [major] = process.versions.node.split(".");
  if (Number(major) < 20)
    fail(
      `Ordermesh needs Node 20 or newer to begin with; this is ${process.version}: install one from https://nodejs.org.`,
    );
  if (!["linux", "darwin"].includes(process.platform)) fail("Ordermesh runs on Linux and macOS; on Windows use WSL 2.");
}

function requirePrograms() {
  for (const [command, where] of [
    ["npm", "it comes with Node"],
    ["git", "https://git-scm.com"],
  ]) {
    if (spawnSync(command, ["--version"], { stdio: "ignore" }).error)
      fail(`${command} is not on PATH: install it (${where}).`);
  }
}

/** npm empties the folder that a link leads to, whoever else works with it. */
function refuseLink() {
  if (!lstatSync(modules, { throwIfNoEntry: false })?.isSymbolicLink()) return;
  const target = existsSync(modules) ? realpathSync(modules) : "a folder that is not there";
  fail(
    `node_modules is a link to ${target}, which is not what package-lock.json names, and \`npm ci\` would empty it for whoever else uses it: remove the link (\`rm node_modules\`) and run this again, or install there.`,
  );
}

function install() {
  const start = Date.now();
  console.error("Installing the dependencies with `npm ci`; about a minute, the first time only.");
  const { status } = npm(["ci", "--no-audit", "--no-fund", "--loglevel=error"]);
  if (status !== 0)
    fail(
      "`npm ci` failed for the reason above; the dependencies come from the npm registry, so check that it can be reached.",
    );
  console.error(`Dependencies installed after ${Math.round((Date.now() - start) / 1000)} s.`);
}

/** Whether Node 24 runs; its package fetches the program in an install script, which npm may have left out. */
function runsNode24() {
  return spawnSync(node24, ["--version"], { stdio: "ignore" }).status === 0;
}

function installNode24() {
  const { status } = spawnSync(process.execPath, ["installArchSpecificPackage.js"], {
    cwd: join(modules, "node"),
    stdio: "inherit",
  });
  if (status !== 0 || !runsNode24())
    fail(
      "Node 24 could not be put into node_modules: run `npm ci` with install scripts allowed for the package `node`.",
    );
}

/** Runs the script in Node 24 in this process's stead: same terminal, signals passed on, same end. */
function handOver(script, args) {
  const file = join(root, script);
  if (!existsSync(file)) fail(`${script} is missing from this checkout.`);
  const PATH = `${join(modules, ".bin")}:${process.env.PATH}`;
  const env = { ...(compiling.has(command) && compiled), ...process.env, PATH };
  const child = spawn(node24, [file, ...args], { stdio: "inherit", env });
  // A terminal signals the whole group; what is sent to this process alone must reach the child as well.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("exit", (code, signal) => process.exit(signal ? 1 : code));
}

const [command, ...args] = process.argv.slice(2);
const script = scripts[command];
if (!script) fail(`There is no command ${command}; there are ${Object.keys(scripts).join(", ")}.`);
requireMachine();
if (!isInstalled()) {
  requirePrograms();
  refuseLink();
  install();
}
if (!runsNode24()) installNode24();
handOver(script[0], [...script.slice(1), ...args]);
