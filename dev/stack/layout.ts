import { type Service, type ServiceFacts, serviceFacts, services } from "../../services/services.ts";
import { StackError } from "../errors.ts";

/** Everything that a stack consists of, in the order in which it starts. */
export const components = ["postgres", "temporal", ...services] as const;

/** What may watch a stack, or be told of what happens in it; it works the same without any of them. */
export const observers = ["jaeger", "prometheus", "elasticsearch", "filebeat", "nats", "mail"] as const;

/** What Temporal runs as: its development server, or its server with its state in a PostgreSQL of its own, as in production. */
export const temporalKinds = ["dev", "postgres"] as const;

/** The connectors of the image: programs beside the services, each with a database, that a stack has only when it sells by them. */
export const connectors = ["stripe"] as const;

/** What the card gateway of a stack is: simulated, or behind a connector of the image that has a fake of its world behind it. */
export const gateways = ["simulated", ...connectors] as const;

export type Component = (typeof components)[number];
export type Observer = (typeof observers)[number];
export type Connector = (typeof connectors)[number];
export type Gateway = (typeof gateways)[number];
/** One process of a service of ours: the first has the service's name, the second is `<service>-2`. */
export type Replica = Service | `${Service}-${number}`;
/** The same of a connector. */
export type ConnectorReplica = Connector | `${Connector}-${number}`;
/** A program that a stack cannot do without: a component, or one replica of it. */
export type Member = Component | Replica | ConnectorReplica;
export type TemporalKind = (typeof temporalKinds)[number];

/** The ports of one stack. */
export interface Ports {
  readonly postgres: number;
  readonly temporal: number;
  readonly temporalUi: number;
  readonly grpc: Readonly<Record<Service, number>>;
  readonly http: Readonly<Record<Service, number>>;
  readonly observers: Readonly<Record<ObserverPort, number>>;
  /** For what few stacks have: more replicas, and proxies between them. */
  readonly spare: readonly number[];
  readonly temporalServer: Readonly<Record<TemporalServerPort, number>>;
}

/** What observers listen on, each with its usual port. */
const observerPorts = {
  /** Jaeger's pages and query API. */
  jaeger: 16686,
  /** Where Jaeger takes spans as Thrift over HTTP, OTLP over HTTP, and Zipkin's JSON. */
  jaegerThrift: 14268,
  jaegerOtlp: 4318,
  jaegerZipkin: 9411,
  /** Jaeger's own health and metrics. */
  jaegerAdmin: 14269,
  prometheus: 9090,
  elasticsearch: 9200,
  nats: 4222,
  /** Its health and figures. */
  natsMonitor: 8222,
  /** Where mails are taken, by SMTP. */
  mail: 1025,
  /** And shown. */
  mailPage: 8025,
} as const;

export type ObserverPort = keyof typeof observerPorts;

/** What Temporal's server listens on besides, each with its usual port: its parts talk with each other by network. */
const temporalServerPorts = {
  /** The PostgreSQL that keeps its state. */
  store: 55433,
  http: 7243,
  history: 7234,
  matching: 7235,
  worker: 7239,
  frontendMembership: 6933,
  historyMembership: 6934,
  matchingMembership: 6935,
  workerMembership: 6939,
} as const;

export type TemporalServerPort = keyof typeof temporalServerPorts;

/** The largest offset that keeps every port below 65536. */
export const maxPortOffset = 10_000;

/** The default ports, each moved by an offset. */
export function portsAt(offset: number): Ports {
  return {
    postgres: 55432 + offset,
    temporal: 7233 + offset,
    temporalUi: 8233 + offset,
    grpc: byService((_, { grpc }) => grpc + offset),
    http: byService((_, { http }) => http + offset),
    observers: byName(observerPorts, (_, usual) => usual + offset),
    spare: [],
    temporalServer: byName(temporalServerPorts, (_, usual) => usual + offset),
  };
}

function byName<Name extends string>(
  usual: Readonly<Record<Name, number>>,
  port: (index: number, usual: number) => number,
): Record<Name, number> {
  const entries = Object.entries<number>(usual).map(([name, number], index) => [name, port(index, number)] as const);
  return Object.fromEntries(entries) as Record<Name, number>;
}

function byService(port: (index: number, facts: ServiceFacts) => number): Record<Service, number> {
  const entries = services.map((service, index) => [service, port(index, serviceFacts[service])] as const);
  return Object.fromEntries(entries) as Record<Service, number>;
}

/** The ports that a component listens on, each with what it is for. */
export function portsOf(component: Component | Observer, ports: Ports): { port: number; use: string }[] {
  if (isObserver(component)) return observerPortsOf(component, ports);
  if (component === "postgres") return [{ port: ports.postgres, use: "PostgreSQL" }];
  if (component === "temporal") {
    return [
      { port: ports.temporal, use: "Temporal" },
      { port: ports.temporalUi, use: "the Temporal UI" },
    ];
  }
  return [
    { port: ports.grpc[component], use: `${component}, gRPC` },
    { port: ports.http[component], use: `${component}, HTTP` },
  ];
}

/** The ports that Temporal's server listens on besides, and the PostgreSQL that keeps its state. */
export function temporalServerPortsOf({ temporalServer }: Ports): { port: number; use: string }[] {
  return Object.entries(temporalServer).map(([part, port]) => ({ port, use: `Temporal's server, ${part}` }));
}

/** Filebeat listens on nothing. */
function observerPortsOf(observer: Observer, ports: Ports): { port: number; use: string }[] {
  const names = Object.keys(observerPorts) as ObserverPort[];
  return names
    .filter((name) => name.startsWith(observer))
    .map((name) => ({ port: ports.observers[name], use: usesOfObserverPorts[name] }));
}

const usesOfObserverPorts: Readonly<Record<ObserverPort, string>> = {
  jaeger: "Jaeger",
  jaegerThrift: "Jaeger, Thrift",
  jaegerOtlp: "Jaeger, OTLP",
  jaegerZipkin: "Jaeger, Zipkin",
  jaegerAdmin: "Jaeger, health",
  prometheus: "Prometheus",
  elasticsearch: "Elasticsearch",
  nats: "NATS",
  natsMonitor: "NATS, health",
  mail: "mails, SMTP",
  mailPage: "mails that came",
};

/** Whether it only watches. */
export function isObserver(name: string): name is Observer {
  return observers.some((observer) => observer === name);
}

/** Every port of a stack, with what it is for. */
export function allPorts(ports: Ports): { port: number; use: string }[] {
  const all = [...components, ...observers].flatMap((component) => portsOf(component, ports));
  return [...all, ...temporalServerPortsOf(ports)];
}

/** The processes of a service, or of a connector. */
export function replicasOf<P extends Service | Connector>(program: P, count: number): (P | `${P}-${number}`)[] {
  return Array.from({ length: count }, (_, index) => (index === 0 ? program : (`${program}-${index + 1}` as const)));
}

/** The connectors that a stack with this gateway has. */
export function connectorsFor(gateway: Gateway): Connector[] {
  return connectors.filter((connector) => connector === gateway);
}

/** Whether this is the name of a connector. */
export function isConnector(name: string): name is Connector {
  return connectors.some((connector) => connector === name);
}

/** The folder of the sources of a service, or of a connector, from the root on. */
export function sourcesOf(program: string): string {
  return isConnector(program) ? `services/connectors/src/${program}` : `services/${program}/src`;
}

/** What a process of a connector listens on: the last of the spare ports, but for the very last. */
export function connectorPorts(replica: ConnectorReplica, ports: Ports): { grpc: number; http: number } {
  const [, number = "1"] = replica.split("-");
  const at = ports.spare.length - 2 * Number(number) - 1;
  return { grpc: sparePort(ports, at), http: sparePort(ports, at + 1) };
}

/** What the world behind a connector listens on. */
export function worldPort(ports: Ports): number {
  return sparePort(ports, ports.spare.length - 1);
}

/** Whose replica it is, and which, from 0 on. */
export function placeOf(replica: Replica): { service: Service; index: number } {
  const [name, number = "1"] = replica.split("-");
  const service = services.find((candidate) => candidate === name);
  if (!service) throw new Error(`${replica} is no replica of a service`);
  return { service, index: Number(number) - 1 };
}

/** What a replica listens on; those after the first one have spare ports. */
export function replicaPorts(replica: Replica, ports: Ports): { grpc: number; http: number } {
  const { service, index } = placeOf(replica);
  if (index === 0) return { grpc: ports.grpc[service], http: ports.http[service] };
  const at = 2 * ((index - 1) * services.length + services.indexOf(service));
  return { grpc: sparePort(ports, at), http: sparePort(ports, at + 1) };
}

/** @throws StackError for a stack on the usual ports, which has none to spare */
export function sparePort({ spare }: Ports, index: number): number {
  const port = spare[index];
  if (port === undefined) throw new StackError("More replicas, or proxies, need a stack on free ports.");
  return port;
}

/** How many ports stacks have, and may have besides. */
const usualCount =
  3 + 2 * services.length + Object.keys(observerPorts).length + Object.keys(temporalServerPorts).length;
/** Two replicas of each service with a proxy before each of them and on each of their ways out need most of these. */
const spareCount = 10 * services.length;

/** The ports of one stack in a row, from the first on. */
export function portsFrom(first: number): Ports {
  const afterServices = first + 3 + 2 * services.length;
  const afterObservers = afterServices + Object.keys(observerPorts).length;
  return {
    spare: Array.from({ length: spareCount }, (_, index) => first + usualCount + index),
    postgres: first,
    temporal: first + 1,
    temporalUi: first + 2,
    grpc: byService((index) => first + 3 + index),
    http: byService((index) => first + 3 + services.length + index),
    observers: byName(observerPorts, (index) => afterServices + index),
    temporalServer: byName(temporalServerPorts, (index) => afterObservers + index),
  };
}
