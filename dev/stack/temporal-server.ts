// Temporal's server with its state in a PostgreSQL of its own, as production has it: for measurements.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { run } from "../../deploy/command/run.ts";
import { childEnvironment } from "../config.ts";
import { StackError } from "../errors.ts";
import type { ProgramSpec } from "../process/guard-protocol.ts";
import { databaseProbe, healthProbe } from "../process/readiness.ts";
import type { Supervisor } from "../process/supervisor.ts";
import { within } from "../process/within.ts";
import { type Say, tool } from "../tools/tool.ts";
import { addressOf, type Blueprint, host } from "./blueprint.ts";
import { type PostgresPlan, preparePostgres, serverArguments } from "./postgres.ts";
import { common, postgresProgram, searchAttributes } from "./programs.ts";

/** What the supervisor calls the PostgreSQL that keeps Temporal's state. */
export const temporalStore = "temporal-postgres";

/** Each database with its schema in the server's module. */
const databases = {
  temporal: "postgresql/v12/temporal",
  temporal_visibility: "postgresql/v12/visibility",
} as const;
const plugin = "postgres12_pgx";
const namespace = "default";
const commandTimeoutMs = 60_000;

/** How the server is started. */
export interface TemporalServerOptions {
  /** How long each part may take to be ready, in milliseconds. */
  readonly deadlineMs: number;
  readonly say: Say;
}

/** The folder in which Temporal keeps what is its own. */
export function temporalFolder({ dataDirectory }: Pick<Blueprint, "dataDirectory">): string {
  return join(dataDirectory, "temporal");
}

/**
 * Starts the server and its PostgreSQL, with a namespace that knows our search attributes.
 *
 * @throws ToolError when the server is not to be had, StackError when it does not come up
 */
export async function startTemporalServer(
  supervisor: Supervisor,
  blueprint: Blueprint,
  { deadlineMs, say }: TemporalServerOptions,
): Promise<void> {
  const server = await tool("temporal-server", say);
  const schemaTool = await tool("temporal-sql-tool", say);
  const client = await tool("temporal", say);
  const folder = temporalFolder(blueprint);
  mkdirSync(folder, { recursive: true });
  const plan = await preparePostgres(folder, blueprint.credentials.postgres);
  const probe = databaseProbe(temporalStoreUrl(blueprint, "postgres"));
  await supervisor.start(storeProgram(blueprint, plan), { probe, deadlineMs });
  for (const [database, schema] of Object.entries(databases))
    await migrate(blueprint, schemaTool, { database, schema });
  const address = addressOf("temporal", blueprint.ports);
  await supervisor.start(serverProgram(blueprint, server), { probe: healthProbe(address), deadlineMs });
  await prepareNamespace(client, address, deadlineMs);
}

/** A connection to a database of the server's PostgreSQL, as its superuser. */
export function temporalStoreUrl({ ports, credentials }: Blueprint, database: string): string {
  return `postgres://postgres:${credentials.postgres}@${host}:${ports.temporalServer.store}/${database}`;
}

function storeProgram(blueprint: Blueprint, plan: PostgresPlan): ProgramSpec {
  const { name, logFile } = common(blueprint, temporalStore);
  const args = serverArguments(plan, blueprint.ports.temporalServer.store, []);
  return { ...postgresProgram(blueprint, plan), name, logFile, args };
}

/** Each of the three is content with what is there already. */
async function migrate(
  { ports, credentials }: Blueprint,
  schemaTool: string,
  { database, schema }: { readonly database: string; readonly schema: string },
): Promise<void> {
  const env = childEnvironment({
    SQL_PLUGIN: plugin,
    SQL_HOST: host,
    SQL_PORT: String(ports.temporalServer.store),
    SQL_USER: "postgres",
    SQL_PASSWORD: credentials.postgres,
    SQL_DATABASE: database,
  });
  for (const command of [
    ["create-database"],
    ["setup-schema", "--version", "0.0"],
    ["update-schema", "--schema-name", schema],
  ]) {
    await run(schemaTool, command, { env, timeoutMs: commandTimeoutMs });
  }
}

/** All four parts in one process, configured by the template that the server carries. */
function serverProgram(blueprint: Blueprint, executable: string): ProgramSpec {
  const { ports, credentials } = blueprint;
  const dynamic = join(temporalFolder(blueprint), "dynamic-config.yaml");
  writeFileSync(dynamic, "{}\n");
  const parts = ["history", "matching", "worker"] as const;
  const members = ["frontend", ...parts] as const;
  const { temporalServer } = ports;
  const listen = {
    FRONTEND_GRPC_PORT: ports.temporal,
    FRONTEND_HTTP_PORT: temporalServer.http,
    ...Object.fromEntries(parts.map((part) => [`${part.toUpperCase()}_GRPC_PORT`, temporalServer[part]])),
    ...Object.fromEntries(
      members.map((part) => [`${part.toUpperCase()}_MEMBERSHIP_PORT`, temporalServer[`${part}Membership`]]),
    ),
  };
  return {
    ...common(blueprint, "temporal"),
    command: executable,
    args: ["--allow-no-auth", "start"],
    env: childEnvironment({
      DB: plugin,
      POSTGRES_SEEDS: host,
      DB_PORT: String(temporalServer.store),
      POSTGRES_USER: "postgres",
      POSTGRES_PWD: credentials.postgres,
      BIND_ON_IP: host,
      LOG_LEVEL: "error",
      DYNAMIC_CONFIG_FILE_PATH: dynamic,
      ...Object.fromEntries(Object.entries(listen).map(([name, port]) => [name, String(port)])),
    }),
    stopSignal: "SIGTERM",
    stopOrder: 2,
  };
}

/** The server answers before all of its parts have found each other, and knows new attributes after some seconds. */
async function prepareNamespace(client: string, address: string, deadlineMs: number): Promise<void> {
  const temporal = (...args: readonly string[]) => {
    const options = { env: childEnvironment({}), timeoutMs: commandTimeoutMs };
    return run(client, [...args, "--address", address, "--namespace", namespace], options);
  };
  const attributes = searchAttributes.flatMap((name) => ["--name", name, "--type", "KeywordList"]);
  const query = searchAttributes.map((name) => `${name} = 'none'`).join(" or ");
  let trouble: unknown;
  const look = async () => {
    try {
      return await temporal("workflow", "count", "--query", query);
    } catch (error) {
      trouble = error;
    }
    // Either fails when it is there already.
    await temporal("operator", "namespace", "create", "--retention", "72h").catch(() => undefined);
    await temporal("operator", "search-attribute", "create", ...attributes).catch(() => undefined);
    return undefined;
  };
  if ((await within(deadlineMs, look, 500)) !== undefined) return;
  throw new StackError(
    `Temporal's server has no namespace after ${deadlineMs / 1_000} s: ${(trouble as Error).message}`,
  );
}
