import { type Service, type ServiceFacts, serviceFacts, services } from "../../services/services.ts";

/** Everything that a stack consists of, in the order in which it starts. */
export const components = ["postgres", "temporal", ...services] as const;

/** What may watch a stack; it works the same without any of them. */
export const observers = ["jaeger", "prometheus", "elasticsearch", "filebeat"] as const;

export type Component = (typeof components)[number];
export type Observer = (typeof observers)[number];

/** The ports of one stack. */
export interface Ports {
  readonly postgres: number;
  readonly temporal: number;
  readonly temporalUi: number;
  readonly grpc: Readonly<Record<Service, number>>;
  readonly http: Readonly<Record<Service, number>>;
  readonly observers: Readonly<Record<ObserverPort, number>>;
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
} as const;

export type ObserverPort = keyof typeof observerPorts;

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
    observers: byObserverPort((_, usual) => usual + offset),
  };
}

function byObserverPort(port: (index: number, usual: number) => number): Ports["observers"] {
  const entries = Object.entries(observerPorts).map(([name, usual], index) => [name, port(index, usual)] as const);
  return Object.fromEntries(entries) as Ports["observers"];
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
};

/** Whether it only watches. */
export function isObserver(name: string): name is Observer {
  return observers.some((observer) => observer === name);
}

/** Every port of a stack, with what it is for. */
export function allPorts(ports: Ports): { port: number; use: string }[] {
  return [...components, ...observers].flatMap((component) => portsOf(component, ports));
}

/** The ports of one stack in a row, from the first on. */
export function portsFrom(first: number): Ports {
  return {
    postgres: first,
    temporal: first + 1,
    temporalUi: first + 2,
    grpc: byService((index) => first + 3 + index),
    http: byService((index) => first + 3 + services.length + index),
    observers: byObserverPort((index) => first + 3 + 2 * services.length + index),
  };
}
