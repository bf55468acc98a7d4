import { type DatabaseService, hasDatabase, type Service, serviceFacts, services } from "../../services/services.ts";
import { addressOf, type Blueprint, databaseUrl, host } from "./blueprint.ts";
import type { Ports } from "./layout.ts";

/** What one of our processes finds in its environment, apart from what every program gets. */
export function serviceEnvironment(blueprint: Blueprint, service: Service): Record<string, string> {
  const { ports, overrides } = blueprint;
  const addresses = services.map((name) => [`${name.toUpperCase()}_ADDRESS`, addressOf(name, ports)] as const);
  return {
    LOG_LEVEL: blueprint.logLevel,
    // Filebeat reads JSON; people read text.
    LOG_FORMAT: blueprint.observers.includes("filebeat") ? "json" : "pretty",
    LISTEN_HOST: host,
    GRPC_PORT: String(ports.grpc[service]),
    HTTP_PORT: String(ports.http[service]),
    PAGE_TOKEN_SECRET: blueprint.credentials.pageTokenSecret,
    ...Object.fromEntries(addresses),
    ...tracesEnvironment(blueprint),
    ...(serviceFacts[service].temporal && temporalEnvironment(ports)),
    ...(hasDatabase(service) && databaseEnvironment(blueprint, service)),
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
