import { databaseServices, type Service } from "../../services/services.ts";
import type { Credentials } from "./credentials.ts";
import type { Component, Observer, Ports } from "./layout.ts";

/** Environment variables for all our processes or for one of them, over the stack's own. */
export type Overrides = Partial<Record<Service | "all", Readonly<Record<string, string>>>>;

/** What the programs of a stack are made from. */
export interface Blueprint {
  readonly dataDirectory: string;
  readonly ports: Ports;
  readonly credentials: Credentials;
  readonly logLevel: string;
  readonly overrides: Overrides;
  /** What watches the stack. */
  readonly observers: readonly Observer[];
}

/** Where everything listens. */
export const host = "127.0.0.1";

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
