import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "../../deploy/command/checkout.ts";
import { childEnvironment } from "../config.ts";
import type { ProgramSpec } from "../process/guard-protocol.ts";
import { httpProbe } from "../process/readiness.ts";
import { tool } from "../tools/tool.ts";
import type { Watchable } from "./elk.ts";

/** What every program of a stack is given. */
type Common = Pick<ProgramSpec, "name" | "cwd" | "logFile">;

/** Where a program listens and keeps its files. */
export interface Place {
  /** Exists or is made. */
  readonly folder: string;
  /** `host:port`. */
  readonly address: string;
}

/** How much a Prometheus keeps of a stack that runs for days. */
const retention = ["--storage.tsdb.retention.time=7d", "--storage.tsdb.retention.size=256MB"];

/** Stops after our processes, so that it sees them end. */
const observer = { env: childEnvironment({}), stopSignal: "SIGTERM", stopOrder: 2 } as const;

/** A Prometheus that keeps exemplars. @param configuration the text of its configuration */
export async function prometheusProgram(common: Common, place: Place, configuration: string): Promise<Watchable> {
  const { folder, address } = place;
  const file = fileIn(folder, "prometheus.yml", configuration);
  const storage = [`--storage.tsdb.path=${join(folder, "data")}`, ...retention];
  const args = [`--config.file=${file}`, ...storage, `--web.listen-address=${address}`];
  return {
    spec: {
      ...common,
      ...observer,
      command: await tool("prometheus"),
      args: [...args, "--enable-feature=exemplar-storage", "--log.level=warn"],
    },
    probe: httpProbe(`http://${address}/-/ready`),
  };
}

/** An Alertmanager of its own, without others. @param configuration the text of its configuration */
export async function alertmanagerProgram(common: Common, place: Place, configuration: string): Promise<Watchable> {
  const { folder, address } = place;
  const file = fileIn(folder, "alertmanager.yml", configuration);
  const args = [`--config.file=${file}`, `--storage.path=${join(folder, "data")}`, `--web.listen-address=${address}`];
  return {
    spec: {
      ...common,
      ...observer,
      command: await tool("alertmanager"),
      args: [...args, "--cluster.listen-address=", "--log.level=warn"],
    },
    probe: httpProbe(`http://${address}/-/ready`),
  };
}

/** What batch jobs push to, kept in memory. */
export async function pushgatewayProgram(common: Common, address: string): Promise<Watchable> {
  const args = [`--web.listen-address=${address}`, "--log.level=warn"];
  return {
    spec: { ...common, ...observer, command: await tool("pushgateway"), args },
    probe: httpProbe(`http://${address}/-/ready`),
  };
}

/** What a PostgreSQL server is asked, and by whom. */
export const exporterQueries = join(root, "deploy/observability/prometheus/postgres-exporter/queries.yaml");

/** The exporter's flags, in the cluster as here. */
export const exporterFlags = [
  "--disable-default-metrics",
  "--disable-settings-metrics",
  "--no-collector.database",
  "--no-collector.bgwriter",
  "--auto-discover-databases",
] as const;

/** The exporter of a PostgreSQL server. @param url as the role of `postgres-exporter/role.sql` */
export async function postgresExporterProgram(common: Common, address: string, url: string): Promise<Watchable> {
  const args = [...exporterFlags, `--extend.query-path=${exporterQueries}`, `--web.listen-address=${address}`];
  return {
    spec: {
      ...common,
      ...observer,
      command: await tool("postgres_exporter"),
      args: [...args, "--log.level=warn"],
      // It finds the other databases only when the scheme is spelled out.
      env: childEnvironment({ DATA_SOURCE_NAME: url.replace(/^postgres:/, "postgresql:") }),
    },
    probe: httpProbe(`http://${address}/metrics`),
  };
}

function fileIn(folder: string, name: string, text: string): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}
