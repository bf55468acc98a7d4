import { databaseServices, isService, type Service } from "../../services/services.ts";
import type { Clocks } from "./clock.ts";
import type { Credentials } from "./credentials.ts";
import {
  type Component,
  type Connector,
  connectorPorts,
  connectors,
  type Gateway,
  isConnector,
  type Observer,
  type Ports,
  type Replica,
  replicaPorts,
  replicasOf,
} from "./layout.ts";
import type { Link } from "./links.ts";

/** Environment variables for all our processes or for one of them, over the stack's own. */
export type Overrides = Partial<Record<Service | Connector | "all", Readonly<Record<string, string>>>>;

/** What the programs of a stack are made from. */
export interface Blueprint {
  readonly dataDirectory: string;
  readonly ports: Ports;
  readonly credentials: Credentials;
  /** Whether its services ask their callers who they are: where there is no identity, nobody could prove it. */
  readonly asksCallers: boolean;
  readonly logLevel: string;
  readonly overrides: Overrides;
  /** What watches the stack. */
  readonly observers: readonly Observer[];
  /** Processes of each service. */
  readonly replicas: number;
  readonly gateway: Gateway;
  /** The proxies that its connections pass; none when they are direct. */
  readonly links: readonly Link[];
  /** Undefined when its programs have the machine's clock. */
  readonly clocks: Clocks | undefined;
}

/** Where everything listens. */
export const host = "127.0.0.1";

/** `host:port` of a program itself. */
export function addressOf(member: Component | Replica, ports: Ports): string {
  if (member === "postgres" || member === "temporal") return `${host}:${ports[member]}`;
  return `${host}:${replicaPorts(member, ports).grpc}`;
}

/** Where callers find a component, or a connector: at all its replicas, among which their clients choose, as in a cluster. */
export function addressFor(component: Component | Connector, { ports, replicas, links }: Blueprint): string {
  if (isConnector(component)) {
    return target(replicasOf(component, replicas).map((replica) => `${host}:${connectorPorts(replica, ports).grpc}`));
  }
  if (!isService(component)) return addressOf(component, ports);
  const addresses = replicasOf(component, replicas).map((replica) => {
    const link = links.find(({ name }) => name === replica);
    return link ? `${host}:${link.port}` : addressOf(replica, ports);
  });
  return target(addresses);
}

/** One target of gRPC for all of them. */
function target(addresses: readonly string[]): string {
  return addresses.length === 1 ? (addresses[0] ?? "") : `ipv4:${addresses.join(",")}`;
}

/** A connection to a database of the stack. */
export function databaseUrl(blueprint: Blueprint, role: string, database: string, port?: number): string {
  const { credentials, ports } = blueprint;
  const service = [...databaseServices, ...connectors].find((name) => role === name || role === `${name}_owner`);
  const roles = service && credentials.roles[service];
  const password = roles ? (role === service ? roles.runtime : roles.owner) : credentials.postgres;
  return `postgres://${role}:${password}@${host}:${port ?? ports.postgres}/${database}`;
}
