import { stackVersion } from "../../deploy/observability/elk/version.ts";
import { sourceVersion } from "./source-version.ts";

/**
 * The versions of the tools that are fetched or built when they are not on PATH. The only place that names them, but for
 * what is deployed as well.
 */
export const versions = {
  /** github.com/temporalio/cli: the CLI with the development server (Temporal Server 1.29.1 and its UI). */
  temporal: "v1.5.1",
  /** go.temporal.io/server: the server that keeps its state in PostgreSQL, as production does. */
  "temporal-server": "v1.32.0",
  /** The same module: the tool that makes and upgrades the server's tables. */
  "temporal-sql-tool": "v1.32.0",
  /** github.com/fullstorydev/grpcurl. */
  grpcurl: "v1.9.4",
  /** io.temporal:temporal-test-server on Maven Central: the server that skips time in workflow tests. */
  "temporal-test-server": "1.31.0",
  /** org.elasticsearch:elasticsearch on Maven Central, in the version that is deployed. */
  elasticsearch: stackVersion,
  /** github.com/elastic/beats/v7: the last release that can be built from the Go proxy. */
  filebeat: "v7.17.29",
  /** github.com/breml/logstash-config: checks the syntax of Logstash pipelines. */
  mustache: "v0.5.3",
  /** github.com/jaegertracing/jaeger: the last major version whose collector takes Jaeger's own Thrift over HTTP. */
  jaeger: "v1.62.0",
  /** Prometheus and what belongs to it come in the version that the distribution has; what is used of them is old. */
  prometheus: "distribution",
  promtool: "distribution",
  amtool: "distribution",
  pushgateway: "distribution",
  postgres_exporter: "distribution",
  /** github.com/prometheus/alertmanager. */
  alertmanager: "v0.27.0",
  /** helm.sh/helm/v3. */
  helm: "v3.22.0",
  /** github.com/helm-unittest/helm-unittest. */
  "helm-unittest": "v1.1.2",
  /** github.com/yannh/kubeconform. */
  kubeconform: "v0.8.0",
  /** github.com/GoogleContainerTools/skaffold/v2. */
  skaffold: "v2.16.1",
  /** github.com/google/go-containerregistry: a registry of images in memory, for tests. */
  registry: "v0.20.3",
  /** github.com/sigstore/cosign/v2: signs images; the last major version that writes what every admission controller reads. */
  cosign: "v2.6.5",
  /** github.com/Shopify/toxiproxy/v2: delays and cuts connections. */
  toxiproxy: "v2.5.0",
  /** github.com/nats-io/nats-server/v2: the broker that keeps events; in the version that is deployed. */
  "nats-server": "v2.15.2",
  /** github.com/axllent/mailpit: a mail server that delivers nothing; in the version that is deployed on a developer's cluster. */
  mailpit: "v1.33.1",
  /** Hands out connections of PostgreSQL by transaction. */
  pgbouncer: "distribution",
  /** Keeps keys and values in memory; Valkey speaks the same protocol. */
  "redis-server": "distribution",
  /** A library, loaded before libc, that shows a process another time of the day. */
  libfaketime: "distribution",
  /** PyPI: calls what an OpenAPI document says, and compares the answers with it. */
  schemathesis: "4.32.5",
  /** go.starlark.net: executes the Tiltfile in its test. */
  starlark: "v0.0.0-20260908191801-89a6a09411d5",
  /** The connector in Go of examples/, as it is in this checkout. */
  "gateway-go": sourceVersion(
    "examples/gateway-go/*.{go,mod,sum,yaml}",
    "proto/ordermesh/connectors/v1/gateway_*.proto",
  ),
} as const;

/**
 * Releases that are downloaded when temporal.download can be reached; they cannot all be built from the Go proxy.
 * Temporal CLI 1.9.1 is Server 1.32.0 with modernc.org/sqlite 1.51.
 */
export const downloads = { temporal: "v1.9.1", "temporal-test-server": "v1.31.0" } as const;

/** What sets our build of a version apart from its authors'; part of its place in the cache. */
export const builds: { readonly [name in ToolName]?: string } = { temporal: "sqlite-1.44.3", helm: "kubernetes-1.34" };

/** A program that the stack or its tests start and that npm does not install. */
export type ToolName = keyof typeof versions;

/** What the stack and the tests of the product need; other tools are had by those who ask for them. */
export const baseTools = ["temporal", "grpcurl", "temporal-test-server"] as const satisfies readonly ToolName[];

/** What `npm run tools` has ready when nothing is named: last what the stack does without. */
export const usualTools = [...baseTools, "nats-server", "jaeger"] as const satisfies readonly ToolName[];

/** What some tests need besides; those say what is missing and fail when it cannot be had. */
export const testTools = [
  "temporal-server",
  "temporal-sql-tool",
  "jaeger",
  "prometheus",
  "promtool",
  "amtool",
  "alertmanager",
  "pushgateway",
  "postgres_exporter",
  "elasticsearch",
  "filebeat",
  "mustache",
  "helm",
  "helm-unittest",
  "kubeconform",
  "starlark",
  "schemathesis",
  "toxiproxy",
  "libfaketime",
  "pgbouncer",
  "redis-server",
  "nats-server",
  "mailpit",
  "gateway-go",
] as const satisfies readonly ToolName[];

/** What a program on PATH is called when it has not the tool's name. */
export const namesOnPath: { readonly [name in ToolName]?: readonly string[] } = {
  // What is called so elsewhere takes other arguments.
  registry: [],
  "gateway-go": [],
  // One that is called jaeger is Jaeger 2, which takes its ports from a file.
  jaeger: ["jaeger-all-in-one"],
  alertmanager: ["alertmanager", "prometheus-alertmanager"],
  "redis-server": ["redis-server", "valkey-server"],
  toxiproxy: ["toxiproxy-server"],
  pushgateway: ["pushgateway", "prometheus-pushgateway"],
  postgres_exporter: ["postgres_exporter", "prometheus-postgres-exporter"],
};
