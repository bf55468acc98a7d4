import { mkdirSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { root } from "../../deploy/command/checkout.ts";
import { childEnvironment } from "../config.ts";
import type { ProgramSpec } from "../process/guard-protocol.ts";
import type { Probe } from "../process/readiness.ts";
import type { Supervisor } from "../process/supervisor.ts";
import { tool } from "../tools/tool.ts";

/** A program and how to know that it is ready. */
export interface Watchable {
  readonly spec: ProgramSpec;
  readonly probe: Probe;
}

/** Where one Elasticsearch and one Filebeat keep what they need, and what they have to do with each other. */
export interface LogPlan {
  /** For the data and the logs of both. */
  readonly directory: string;
  readonly elasticsearchPort: number;
  /** Stands for /var/log/pods: written by {@link import("../../deploy/observability/elk/container-log.ts").ContainerLog}. */
  readonly logs: string;
  readonly namespace: string;
}

/** How long Elasticsearch may take to answer, on a slow machine with cold disks. */
const elasticsearchDeadlineMs = 90_000;

function common(plan: LogPlan, name: string): Pick<ProgramSpec, "name" | "cwd" | "logFile"> {
  mkdirSync(join(plan.directory, name), { recursive: true });
  return { name, cwd: plan.directory, logFile: join(plan.directory, "log", `${name}.log`) };
}

/** One node without security, on this machine only. */
export async function elasticsearchProgram(plan: LogPlan): Promise<Watchable> {
  const url = `http://127.0.0.1:${plan.elasticsearchPort}`;
  const folder = join(plan.directory, "elasticsearch");
  const settings = {
    "http.port": plan.elasticsearchPort,
    "path.data": join(folder, "data"),
    "path.logs": join(folder, "logs"),
    // Development machines are full; a node that turns read-only at 95 % helps nobody there.
    "cluster.routing.allocation.disk.threshold_enabled": false,
  };
  const spec: ProgramSpec = {
    ...common(plan, "elasticsearch"),
    command: await tool("elasticsearch"),
    args: Object.entries(settings).map(([name, value]) => `-E${name}=${value}`),
    env: childEnvironment({}),
    stopSignal: "SIGTERM",
    stopOrder: 3,
  };
  const probe = async () => {
    const answer = await fetch(`${url}/_cluster/health`, { signal: AbortSignal.timeout(2000) });
    await answer.text();
    if (!answer.ok) throw new Error(`it answers ${answer.status}`);
  };
  return { spec, probe };
}

/** Reads container logs with the cluster's own inputs and sends them to Elasticsearch without Logstash between. */
export async function filebeatProgram(plan: LogPlan): Promise<Watchable> {
  const folder = join(plan.directory, "filebeat");
  const settings = {
    "path.data": join(folder, "data"),
    "path.logs": join(folder, "logs"),
    name: "local",
    "output.elasticsearch.hosts": `["http://127.0.0.1:${plan.elasticsearchPort}"]`,
    "output.elasticsearch.index": "logs-%{[@metadata.stream]}-%{[orchestrator.namespace]}",
    "output.elasticsearch.backoff.max": "2s",
  };
  const spec: ProgramSpec = {
    ...common(plan, "filebeat"),
    command: await tool("filebeat"),
    args: [
      "--strict.perms=false",
      ...["-c", join(root, "deploy/observability/elk/filebeat/inputs.yml")],
      ...Object.entries(settings).flatMap(([name, value]) => ["-E", `${name}=${value}`]),
    ],
    env: childEnvironment({ LOGS_PATH: plan.logs, LOGS_NAMESPACE: plan.namespace }),
    stopSignal: "SIGTERM",
    stopOrder: 2,
  };
  // It says nothing when it is ready; that its lines arrive is what counts, and that is asked of Elasticsearch.
  return { spec, probe: async () => undefined };
}

/** Starts Elasticsearch and waits until it answers. */
export async function startElasticsearch(supervisor: Supervisor, plan: LogPlan): Promise<void> {
  const { spec, probe } = await elasticsearchProgram(plan);
  await supervisor.start(spec, { probe, deadlineMs: elasticsearchDeadlineMs });
}

/** Starts Filebeat. */
export async function startFilebeat(supervisor: Supervisor, plan: LogPlan): Promise<void> {
  const { spec, probe } = await filebeatProgram(plan);
  await supervisor.start(spec, { probe, deadlineMs: 10_000 });
}

/**
 * A port that nothing listens on just now. Not one of those that the system gives to outgoing connections (from 32768
 * on Linux): one of them would be taken while a slow program starts, or is down for a while.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = 20_000 + Math.floor(Math.random() * 10_000);
    const server = createServer();
    const free = await new Promise<boolean>((resolve) =>
      server.once("error", () => resolve(false)).listen(port, "127.0.0.1", () => resolve(true)),
    );
    await new Promise((resolve) => server.close(resolve));
    if (free) return port;
  }
  throw new Error("no free port between 20000 and 30000");
}
