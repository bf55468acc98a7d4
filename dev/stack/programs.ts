import { randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../deploy/command/checkout.ts";
import { type DatabaseService, serviceFacts } from "../../services/services.ts";
import { childEnvironment } from "../config.ts";
import { localNamespace } from "../observers/prometheus-configuration.ts";
import type { ProgramSpec } from "../process/guard-protocol.ts";
import { type Blueprint, databaseUrl, host } from "./blueprint.ts";
import { serviceEnvironment } from "./environment.ts";
import { type Connector, placeOf, type Replica, sourcesOf } from "./layout.ts";
import { type PostgresPlan, serverArguments } from "./postgres.ts";

/** Where lines lie for Filebeat: stands for /var/log/pods. */
export function podLogs({ dataDirectory }: Pick<Blueprint, "dataDirectory">): string {
  return join(dataDirectory, "pods");
}

/** What every program of a stack has. */
export function common(blueprint: Blueprint, name: string): Pick<ProgramSpec, "name" | "cwd" | "logFile"> {
  return { name, cwd: root, logFile: join(blueprint.dataDirectory, "log", `${name}.log`) };
}

/** The server that the databases are on. SIGINT is its fast shutdown: it does not wait for its clients. */
export function postgresProgram(
  blueprint: Blueprint,
  plan: PostgresPlan,
  settings: readonly string[] = [],
): ProgramSpec {
  return {
    ...common(blueprint, "postgres"),
    command: join(plan.binaries, "postgres"),
    args: serverArguments(plan, blueprint.ports.postgres, settings),
    cwd: "/",
    env: childEnvironment(blueprint.clocks?.environment("postgres") ?? {}),
    ...plan.user,
    stopSignal: "SIGINT",
    stopOrder: 3,
  };
}

/** What the worker writes on its workflows so that they are found by it. */
export const searchAttributes = ["OrderIds", "CustomerIds", "ParkedOrderIds"];

/** Temporal's development server, which keeps its state in a file. */
export function temporalProgram(blueprint: Blueprint, executable: string): ProgramSpec {
  const { ports, dataDirectory } = blueprint;
  const folder = join(dataDirectory, "temporal");
  mkdirSync(folder, { recursive: true });
  const listen = ["--ip", host, "--port", String(ports.temporal), "--ui-port", String(ports.temporalUi)];
  const { codecToken } = blueprint.credentials;
  const codec = `http://${host}:${ports.http.worker}/codec/${codecToken}`;
  const attributes = searchAttributes.flatMap((name) => ["--search-attribute", `${name}=KeywordList`]);
  // A log beside the file is written once for a commit, the file itself twice.
  const pragmas = ["journal_mode=wal", "synchronous=normal"].flatMap((each) => ["--sqlite-pragma", each]);
  return {
    ...common(blueprint, "temporal"),
    command: executable,
    args: [
      "server",
      "start-dev",
      "--db-filename",
      join(folder, "temporal.db"),
      ...pragmas,
      "--log-level",
      "error",
      ...listen,
      ...attributes,
      // Browsers ask the worker what is in the payloads.
      "--ui-codec-endpoint",
      codec,
    ],
    env: childEnvironment({}),
    stopSignal: "SIGTERM",
    stopOrder: 2,
  };
}

/** What brings the databases of some services up to date, and ends. */
export function migrationsProgram(blueprint: Blueprint, wanted: readonly (DatabaseService | Connector)[]): ProgramSpec {
  const urls = wanted.map((service) => [service, databaseUrl(blueprint, `${service}_owner`, service)]);
  return {
    ...common(blueprint, "migrations"),
    command: process.execPath,
    args: ["dev/stack/migrate.ts"],
    env: childEnvironment({ MIGRATION_URLS: JSON.stringify(Object.fromEntries(urls)) }),
    stopSignal: "SIGTERM",
    stopOrder: 1,
  };
}

/** One of our processes. */
export function serviceProgram(blueprint: Blueprint, replica: Replica): ProgramSpec {
  const { service } = placeOf(replica);
  const clock = blueprint.clocks?.environment(replica);
  return {
    ...common(blueprint, replica),
    command: process.execPath,
    args: [join(sourcesOf(service), "main.ts")],
    env: childEnvironment({ ...serviceEnvironment(blueprint, replica), ...clock }),
    stopSignal: "SIGTERM",
    // A worker drains first, while what its activities call still answers.
    stopOrder: serviceFacts[service].temporal ? 0 : 1,
    ...(blueprint.observers.includes("filebeat") && {
      podLog: {
        root: podLogs(blueprint),
        namespace: localNamespace,
        pod: `${replica}-0`,
        uid: randomUUID(),
        container: service,
      },
    }),
  };
}
