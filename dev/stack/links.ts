import { databaseServices, type Service, serviceFacts, services } from "../../services/services.ts";
import {
  type ConnectorReplica,
  connectorPorts,
  connectorsFor,
  type Gateway,
  type Ports,
  placeOf,
  type Replica,
  replicaPorts,
  replicasOf,
  sparePort,
  worldPort,
} from "./layout.ts";

/** A way that connections take, by a proxy of its own. */
export interface Link {
  /** `payments-2`: whatever goes to that process; `orders.postgres`: from that process to its database. */
  readonly name: string;
  /** Where callers connect, and where it leads to. */
  readonly port: number;
  readonly to: number;
}

/** The worlds outside, and whose they are, each behind a connector: that of the simulators, unless there is another; the warehouse is where the carrier is. */
const outsideWorlds = { gateway: "payments", carrier: "shipping" } as const;

/** A world outside. */
export type OutsideWorld = keyof typeof outsideWorlds;

/** What a link can lead to besides a replica: `world` is what a connector has behind it. */
export type Server = "postgres" | "temporal" | "world" | OutsideWorld;

/** What decides which links a stack has. */
export interface LinkPlan {
  readonly ports: Ports;
  /** Processes of each service. */
  readonly replicas: number;
  readonly gateway: Gateway;
}

/** The name of a link to what all replicas share. */
export function linkTo(server: Server, from: Replica | ConnectorReplica): string {
  return `${from}.${server}`;
}

/** All links of a stack. */
export function linksOf({ ports, replicas, gateway }: LinkPlan): Link[] {
  const of = (names: readonly Service[]) => names.flatMap((name) => replicasOf(name, replicas));
  const toServer = (server: Server, names: readonly Service[]) =>
    of(names).map((from) => ({ name: linkTo(server, from), to: portOf(server, from, { ports, gateway }) }));
  const connectors = connectorsFor(gateway).flatMap((connector) => replicasOf(connector, replicas));
  const links = [
    ...of(services).map((replica) => ({ name: replica, to: replicaPorts(replica, ports).grpc })),
    ...toServer("postgres", databaseServices),
    ...toServer(
      "temporal",
      services.filter((name) => serviceFacts[name].temporal),
    ),
    ...Object.entries(outsideWorlds).flatMap(([world, name]) => toServer(world as Server, [name])),
    ...connectors.flatMap((from) => [
      { name: linkTo("postgres", from), to: ports.postgres },
      { name: linkTo("world", from), to: worldPort(ports) },
    ]),
  ];
  return links.map((link, index) => ({ ...link, port: sparePort(ports, apiIndex(replicas) + 1 + index) }));
}

/** Each process has a connector of its own: the one with its number. */
function portOf(server: Server, from: Replica, { ports, gateway }: Omit<LinkPlan, "replicas">): number {
  if (server === "temporal") return ports.temporal;
  if (server === "postgres") return ports.postgres;
  const { service } = placeOf(from);
  const [connector] = server === "gateway" ? connectorsFor(gateway) : [];
  if (connector) return connectorPorts(from.replace(service, connector) as ConnectorReplica, ports).grpc;
  return replicaPorts(from.replace(service, "simulators") as Replica, ports).grpc;
}

/** Behind the ports of the other replicas. */
function apiIndex(replicas: number): number {
  return 2 * (replicas - 1) * services.length;
}

/** Where the proxies are told what to do. */
export function controlPort(ports: Ports, replicas: number): number {
  return sparePort(ports, apiIndex(replicas));
}
