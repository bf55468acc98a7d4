import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { childEnvironment, root } from "./config.ts";
import type { Credentials } from "./credentials.ts";
import type { ProgramSpec } from "./guard-protocol.ts";
import {
  type Component,
  type DatabaseService,
  databaseServices,
  type Ports,
  type Service,
  services,
} from "./layout.ts";
import { type PostgresPlan, serverArguments } from "./postgres.ts";

/** Environment variables for all our processes or for one of them, over the stack's own. */
export type Overrides = Partial<Record<Service | "all", Readonly<Record<string, string>>>>;

/** What the programs of a stack are made from. */
export interface Blueprint {
  readonly dataDirectory: string;
  readonly ports: Ports;
  readonly credentials: Credentials;
  readonly logLevel: string;
  readonly overrides: Overrides;
}

const host = "127.0.0.1";

/** `host:port` of a component, for a client. */
export function addressOf(component: Component, ports: Ports): string {
  if (component === "postgres" || component === "temporal") return `${host}:${ports[component]}`;
  return `${host}:${ports.grpc[component]}`;
}

/** A connection to a database of the stack. */
export function databaseUrl(blueprint: Blueprint, role: string, database: string): string {
  const { credentials, ports } = blueprint;
  const service = databaseServices.find((name) => role === name || role === `${name}_owner`);
  const roles = service && credentials.roles[service];
  const password = roles ? (role === service ? roles.runtime : roles.owner) : credentials.postgres;
  return `postgres://${role}:${password}@${host}:${ports.postgres}/${database}`;
}

function common(blueprint: Blueprint, name: string): Pick<ProgramSpec, "name" | "cwd" | "logFile"> {
  return { name, cwd: root, logFile: join(blueprint.dataDirectory, "log", `${name}.log`) };
}

/** The server that the four databases are on. SIGINT is its fast shutdown: it does not wait for its clients. */
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
    env: childEnvironment({}),
    ...plan.user,
    stopSignal: "SIGINT",
    stopOrder: 3,
  };
}

/** What the worker writes on its workflows so that they are found by it. */
const searchAttributes = ["OrderIds", "CustomerIds", "ParkedOrderIds"];

/** Temporal's development server, which keeps its state in a file. */
export function temporalProgram(blueprint: Blueprint, executable: string): ProgramSpec {
  const { ports, dataDirectory } = blueprint;
  const folder = join(dataDirectory, "temporal");
  mkdirSync(folder, { recursive: true });
  const listen = ["--ip", host, "--port", String(ports.temporal), "--ui-port", String(ports.temporalUi)];
  const attributes = searchAttributes.flatMap((name) => ["--search-attribute", `${name}=KeywordList`]);
  return {
    ...common(blueprint, "temporal"),
    command: executable,
    args: [
      ...["server", "start-dev", "--db-filename", join(folder, "temporal.db"), "--log-level", "error"],
      ...listen,
      ...attributes,
    ],
    env: childEnvironment({}),
    stopSignal: "SIGTERM",
    stopOrder: 2,
  };
}

/** One of our processes, or its migrations when `migrate` is set. */
export function serviceProgram(blueprint: Blueprint, service: Service, migrate = false): ProgramSpec {
  const name = migrate ? `${service}-migrations` : service;
  return {
    ...common(blueprint, name),
    command: process.execPath,
    args: [join("services", service, "src", "main.ts"), ...(migrate ? ["migrate", "up"] : [])],
    env: childEnvironment(serviceEnvironment(blueprint, service)),
    stopSignal: "SIGTERM",
    // The worker drains first, while what its activities call still answers.
    stopOrder: service === "worker" ? 0 : 1,
  };
}

function serviceEnvironment(blueprint: Blueprint, service: Service): Record<string, string> {
  const { ports, overrides } = blueprint;
  const addresses = services.map((name) => [`${name.toUpperCase()}_ADDRESS`, addressOf(name, ports)] as const);
  return {
    LOG_LEVEL: blueprint.logLevel,
    LOG_FORMAT: "pretty",
    LISTEN_HOST: host,
    GRPC_PORT: String(ports.grpc[service]),
    HTTP_PORT: String(ports.http[service]),
    PAGE_TOKEN_SECRET: blueprint.credentials.pageTokenSecret,
    ...Object.fromEntries(addresses),
    ...(service === "worker" ? temporalEnvironment(ports) : databaseEnvironment(blueprint, service)),
    ...overrides.all,
    ...overrides[service],
  };
}

function temporalEnvironment(ports: Ports): Record<string, string> {
  return { TEMPORAL_ADDRESS: addressOf("temporal", ports), TEMPORAL_NAMESPACE: "default" };
}

function databaseEnvironment(blueprint: Blueprint, service: DatabaseService): Record<string, string> {
  return {
    DATABASE_URL: databaseUrl(blueprint, service, service),
    DATABASE_MIGRATION_URL: databaseUrl(blueprint, `${service}_owner`, service),
  };
}
