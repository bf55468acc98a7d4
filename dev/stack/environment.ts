import { hash } from "node:crypto";
import { join } from "node:path";
import { programs, publicHalf } from "../../deploy/infrastructure/service-keys.ts";
import { type DatabaseService, hasDatabase, type Service, serviceFacts, services } from "../../services/services.ts";
import { addressFor, addressOf, type Blueprint, databaseUrl, host } from "./blueprint.ts";
import { payloadKeysFile, personalKeysFile } from "./credentials.ts";
import { type ConnectorReplica, connectorPorts, connectorsFor, placeOf, type Replica, replicaPorts } from "./layout.ts";
import { linkTo, type OutsideWorld, type Server } from "./links.ts";

/** What one of our processes finds in its environment, apart from what every program gets. */
export function serviceEnvironment(blueprint: Blueprint, replica: Replica): Record<string, string> {
  const { ports, overrides } = blueprint;
  const { service } = placeOf(replica);
  const addresses = services.map((name) => [`${name.toUpperCase()}_ADDRESS`, addressFor(name, blueprint)] as const);
  return {
    ...processEnvironment(blueprint, replicaPorts(replica, ports)),
    ...Object.fromEntries(addresses),
    ...doorEnvironment(blueprint, service),
    ...(serviceFacts[service].temporal && temporalEnvironment(blueprint, replica)),
    ...(hasDatabase(service) && databaseEnvironment(blueprint, service, replica)),
    ...(service === "identity" && identityEnvironment(blueprint)),
    ...(service === "webhooks" && webhookEnvironment),
    ...(service === "payments" && { GATEWAY_CONNECTOR_ADDRESS: connectorAddress(blueprint, "gateway", replica) }),
    ...(service === "shipping" && shippingEnvironment(blueprint, replica)),
    ...(service === "notifications" && mailEnvironment(blueprint)),
    ...((service === "orders" || service === "shipping" || service === "identity" || service === "webhooks") && {
      PERSONAL_DATA_KEYS_FILE: personalKeysFile(blueprint.dataDirectory),
    }),
    ...overrides.all,
    ...overrides[service],
  };
}

/** What a process of a connector finds, apart from what its program needs of the world behind it. */
export function connectorEnvironment(blueprint: Blueprint, replica: ConnectorReplica): Record<string, string> {
  return {
    ...processEnvironment(blueprint, connectorPorts(replica, blueprint.ports)),
    ...doorEnvironment(blueprint, undefined),
    DATABASE_URL: databaseUrl(blueprint, "stripe", "stripe", portOfLink(blueprint, "postgres", replica)),
  };
}

/** What every process of ours finds. */
function processEnvironment(
  blueprint: Blueprint,
  { grpc, http }: { readonly grpc: number; readonly http: number },
): Record<string, string> {
  return {
    LOG_LEVEL: blueprint.logLevel,
    // Filebeat reads JSON; people read text.
    LOG_FORMAT: blueprint.observers.includes("filebeat") ? "json" : "pretty",
    LISTEN_HOST: host,
    GRPC_PORT: String(grpc),
    HTTP_PORT: String(http),
    PAGE_TOKEN_SECRET: blueprint.credentials.pageTokenSecret,
    ...tracesEnvironment(blueprint),
  };
}

/** The port by which a replica reaches a server, or a world outside; undefined when nothing is between them. */
export function portOfLink(
  { links }: Blueprint,
  server: Server,
  replica: Replica | ConnectorReplica,
): number | undefined {
  return links.find(({ name }) => name === linkTo(server, replica))?.port;
}

function temporalEnvironment(blueprint: Blueprint, replica: Replica): Record<string, string> {
  const port = portOfLink(blueprint, "temporal", replica);
  const address = port === undefined ? addressOf("temporal", blueprint.ports) : `${host}:${port}`;
  const ui = [host, "localhost"].map((name) => `http://${name}:${blueprint.ports.temporalUi}`);
  return {
    TEMPORAL_ADDRESS: address,
    TEMPORAL_NAMESPACE: "default",
    TEMPORAL_CODEC_KEYS_FILE: payloadKeysFile(blueprint.dataDirectory),
    CODEC_TOKENS: `developer ${blueprint.credentials.codecToken} encode`,
    CODEC_UI_ORIGINS: ui.join(","),
  };
}

function databaseEnvironment(blueprint: Blueprint, service: DatabaseService, replica: Replica): Record<string, string> {
  const url = (port: number | undefined) => databaseUrl(blueprint, service, service, port);
  const { observers, ports } = blueprint;
  return {
    ...(observers.includes("nats") && { EVENTS_NATS_URL: `nats://${host}:${ports.observers.nats}` }),
    DATABASE_URL: url(portOfLink(blueprint, "postgres", replica)),
  };
}

/** One way leads to the simulated carrier and to the simulated warehouse. */
function shippingEnvironment(blueprint: Blueprint, replica: Replica): Record<string, string> {
  const address = connectorAddress(blueprint, "carrier", replica);
  return { CARRIER_CONNECTOR_ADDRESS: address, WAREHOUSE: "connector", WAREHOUSE_CONNECTOR_ADDRESS: address };
}

/** Where a replica finds the connector of a world outside. */
function connectorAddress(blueprint: Blueprint, world: OutsideWorld, replica: Replica): string {
  const port = portOfLink(blueprint, world, replica);
  if (port !== undefined) return `${host}:${port}`;
  const [connector = "simulators"] = world === "gateway" ? connectorsFor(blueprint.gateway) : [];
  return addressFor(connector, blueprint);
}

/** Whose word a service takes on who calls, and what it shows to others, if it calls any. */
function doorEnvironment(blueprint: Blueprint, service: Service | undefined): Record<string, string> {
  if (!blueprint.asksCallers) return { TOKEN_ISSUERS: "none" };
  const { serviceKeys } = blueprint.credentials;
  const keys = services.map((name) => publicHalf(serviceKeys[name], name, programs[name]));
  return {
    TOKEN_ISSUERS: JSON.stringify([{ issuer: tokenIssuer(blueprint), audience: "ordermesh" }]),
    ...(service && { SERVICE_KEY: JSON.stringify(serviceKeys[service]) }),
    SERVICE_KEYS: JSON.stringify({ keys }),
  };
}

/** How the stack's identity calls itself: where its keys are found. */
function tokenIssuer({ ports }: Blueprint): string {
  return `http://${host}:${ports.http.identity}`;
}

/** Who develops has a key with every role; mails are files beside the data. */
function identityEnvironment(blueprint: Blueprint): Record<string, string> {
  const { credentials, dataDirectory } = blueprint;
  return {
    TOKEN_ISSUER: tokenIssuer(blueprint),
    MAIL_FOLDER: join(dataDirectory, "mail"),
    BOOTSTRAP_KEY_SHA256: hash("sha256", credentials.developmentKey),
    BOOTSTRAP_KEY_ROLES: "customer,agent,warehouse,finance,operator,auditor,admin",
  };
}

/** Mails go to the stack's own mail server, which delivers none. */
function mailEnvironment({ observers, ports }: Blueprint): Record<string, string> {
  if (!observers.includes("mail")) return {};
  return {
    MAIL_SERVER_URL: `smtp://${host}:${ports.observers.mail}`,
    MAIL_TLS: "none",
    MAIL_FROM: "orders@shop.example",
    MAIL_SHOP_NAME: "The coffee shop",
  };
}

/** Who develops has endpoints of his own, on any port of this machine that servers usually have, without TLS. */
const webhookEnvironment = {
  WEBHOOK_PLAIN_HTTP: "true",
  WEBHOOK_NETWORKS: "127.0.0.0/8",
  WEBHOOK_PORTS: "443,3000,8000,8443,9999",
};

/** Every way in which the stack's Jaeger takes spans, so that another exporter needs only be named. */
function tracesEnvironment({ observers, ports }: Blueprint): Record<string, string> {
  if (!observers.includes("jaeger")) return { OTEL_TRACES_EXPORTER: "none" };
  const { jaegerThrift, jaegerOtlp, jaegerZipkin } = ports.observers;
  return {
    OTEL_TRACES_EXPORTER: "jaeger",
    OTEL_EXPORTER_JAEGER_ENDPOINT: `http://${host}:${jaegerThrift}/api/traces`,
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://${host}:${jaegerOtlp}`,
    OTEL_EXPORTER_ZIPKIN_ENDPOINT: `http://${host}:${jaegerZipkin}/api/v2/spans`,
  };
}
