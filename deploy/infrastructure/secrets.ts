import { randomBytes } from "node:crypto";
import { connectors, databaseServices, services } from "../../services/services.ts";
import { newServiceKeys } from "./service-keys.ts";

/** A secret as it is applied, its values in plain text. */
export interface Secret {
  readonly apiVersion: "v1";
  readonly kind: "Secret";
  readonly type: "Opaque" | "kubernetes.io/basic-auth";
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels?: Record<string, string> };
  readonly stringData: Readonly<Record<string, string>>;
}

/** A secret to be made, and where else it is needed. */
export interface WantedSecret {
  readonly secret: Secret;
  readonly alsoIn?: string;
}

/** 192 bits, of characters that need no quoting in a URL, a shell or YAML. */
function password(): string {
  return randomBytes(24).toString("hex");
}

/** A key of AES-256 by today's date, as the worker wants it to encrypt what Temporal keeps, and others to seal personal data. */
function keyOfToday(): string {
  return `${new Date().toISOString().slice(0, 10)} ${randomBytes(32).toString("base64")}\n`;
}

function basicAuth(name: string, username: string): Secret {
  return {
    apiVersion: "v1",
    kind: "Secret",
    type: "kubernetes.io/basic-auth",
    // The operator sets the role's password again when such a secret changes.
    metadata: { name, namespace: "databases", labels: { "cnpg.io/reload": "true" } },
    stringData: { username, password: password() },
  };
}

function opaque(name: string, namespace: string, stringData: Record<string, string>): WantedSecret {
  return { secret: { apiVersion: "v1", kind: "Secret", type: "Opaque", metadata: { name, namespace }, stringData } };
}

/** What the services may ask of the broker's streams: to see theirs, and to make it. */
const streamCalls = ["INFO", "STREAM.INFO.ordermesh", "STREAM.CREATE.ordermesh"].map((call) => `$JS.API.${call}`);

/** What whoever listens may besides: to have consumers made, and to read by them. */
const consumerCalls = ["CREATE", "INFO", "MSG.NEXT"].map((call) => `$JS.API.CONSUMER.${call}.ordermesh.>`);

function brokerUser(user: string, secret: string, publish: readonly string[]): string {
  const rights = `publish: ${JSON.stringify(publish)}, subscribe: ["_INBOX.>"]`;
  return `{ user: "${user}", password: "${secret}", permissions: { ${rights} } }`;
}

/**
 * As whom the services tell of events: they may make their stream and write to it, and read nothing. And as whom those listen that tell others by
 * mail and by HTTP, who write nothing.
 */
function eventsUsers(): WantedSecret[] {
  const teller = { username: "ordermesh", password: password() };
  const listener = { username: "ordermesh-listener", password: password() };
  const users = [
    brokerUser(teller.username, teller.password, ["ordermesh.>", ...streamCalls]),
    brokerUser(listener.username, listener.password, [...streamCalls, ...consumerCalls]),
  ];
  return [
    opaque("ordermesh-events", "events", { ...teller, "users.conf": `users: [${users.join(", ")}]\n` }),
    opaque("ordermesh-events-listener", "events", listener),
  ];
}

/** Every secret that the installation needs, or a connector of the image that is installed some day, each with fresh random values. Those that exist are kept as they are. */
export function wantedSecrets(): WantedSecret[] {
  const role = (secret: string, username: string) => ({ secret: basicAuth(secret, username), alsoIn: "ordermesh" });
  const both = (name: string) => [
    role(`ordermesh-${name}-database`, name),
    role(`ordermesh-${name}-database-owner`, `${name}_owner`),
  ];
  const databases = [
    ...databaseServices.flatMap((name) => [...both(name), role(`ordermesh-${name}-database-reader`, `${name}_reader`)]),
    ...connectors.flatMap(both),
  ];
  const tokens = [...services, ...connectors].map((service) =>
    opaque(`ordermesh-${service}`, "ordermesh", { "page-token-secret": password() }),
  );
  return [
    ...databases,
    { secret: basicAuth("temporal-database", "temporal"), alsoIn: "temporal" },
    { secret: basicAuth("ordermesh-metrics-database", "metrics"), alsoIn: "ordermesh" },
    ...tokens,
    opaque("ordermesh-worker-payload-keys", "ordermesh", { keys: keyOfToday() }),
    opaque("ordermesh-personal-keys", "ordermesh", { keys: keyOfToday() }),
    opaque("ordermesh-service-keys", "ordermesh", newServiceKeys()),
    opaque("valkey-users", "cache", { "users.acl": `user default on >${password()} ~* &* +@all -@dangerous\n` }),
    ...eventsUsers().map((user) => ({ ...user, alsoIn: "ordermesh" })),
    opaque("grafana-admin", "monitoring", { username: "admin", password: password() }),
  ];
}
