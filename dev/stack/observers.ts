import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { installTemplates } from "../../deploy/observability/elk/setup/install.ts";
import { services } from "../../services/services.ts";
import { childEnvironment } from "../config.ts";
import { elasticsearchProgram, filebeatProgram, type LogPlan, type Watchable } from "../observers/elk.ts";
import { jaegerProgram } from "../observers/jaeger.ts";
import { mailProgram } from "../observers/mail.ts";
import { natsProgram } from "../observers/nats.ts";
import { localConfiguration, localNamespace } from "../observers/prometheus-configuration.ts";
import { httpProbe } from "../process/readiness.ts";
import { tool } from "../tools/tool.ts";
import { type Blueprint, host } from "./blueprint.ts";
import type { Observer, Ports } from "./layout.ts";
import { common, podLogs } from "./programs.ts";

/** How long an observer may take to answer: Elasticsearch on a slow machine with cold disks. */
export const observerDeadlineMs = 90_000;

/** The base URL of an observer; of NATS, where clients connect to; of mails, where those are shown that came. */
export function observerUrl(observer: Exclude<Observer, "filebeat">, ports: Ports): string {
  if (observer === "mail") return `http://${host}:${ports.observers.mailPage}`;
  return `${observer === "nats" ? "nats" : "http"}://${host}:${ports.observers[observer]}`;
}

/** The program of an observer and how to know that it is ready. @throws ToolError when it is not to be had */
export async function observerProgram(observer: Observer, blueprint: Blueprint): Promise<Watchable> {
  if (observer === "jaeger") return jaegerProgram(common(blueprint, "jaeger"), blueprint.ports.observers);
  if (observer === "prometheus") return prometheusProgram(blueprint);
  if (observer === "mail") return mailProgram(common(blueprint, "mail"), blueprint.ports.observers);
  if (observer === "nats") {
    const directory = join(blueprint.dataDirectory, "nats");
    return natsProgram(common(blueprint, "nats"), { ...blueprint.ports.observers, directory });
  }
  return observer === "filebeat" ? filebeatProgram(logPlan(blueprint)) : elasticsearchProgram(logPlan(blueprint));
}

/** What an observer is told once it answers, before anything reaches it. */
export async function prepareObserver(observer: Observer, { ports }: Blueprint): Promise<void> {
  if (observer === "elasticsearch") await installTemplates({ url: observerUrl(observer, ports) });
}

/** Forgets the lines of an earlier stack and how far Filebeat had read them. */
export function forgetLines(blueprint: Blueprint): void {
  for (const folder of [podLogs(blueprint), join(blueprint.dataDirectory, "filebeat")]) {
    rmSync(folder, { recursive: true, force: true });
  }
}

function logPlan(blueprint: Blueprint): LogPlan {
  return {
    directory: blueprint.dataDirectory,
    elasticsearchPort: blueprint.ports.observers.elasticsearch,
    logs: podLogs(blueprint),
    namespace: localNamespace,
  };
}

/** How much Prometheus keeps of a stack that runs for days. */
const retention = ["--storage.tsdb.retention.time=7d", "--storage.tsdb.retention.size=256MB"];

async function prometheusProgram(blueprint: Blueprint): Promise<Watchable> {
  const { dataDirectory, ports } = blueprint;
  const folder = join(dataDirectory, "prometheus");
  mkdirSync(folder, { recursive: true });
  const address = `${host}:${ports.observers.prometheus}`;
  const targets = services.map((service) => [service, `${host}:${ports.http[service]}`] as const);
  const configuration = join(folder, "prometheus.yml");
  writeFileSync(configuration, localConfiguration({ services: Object.fromEntries(targets), prometheus: address }));
  return {
    spec: {
      ...common(blueprint, "prometheus"),
      command: await tool("prometheus"),
      args: [
        `--config.file=${configuration}`,
        `--storage.tsdb.path=${join(folder, "data")}`,
        ...retention,
        `--web.listen-address=${address}`,
        "--enable-feature=exemplar-storage",
        "--log.level=warn",
      ],
      env: childEnvironment({}),
      stopSignal: "SIGTERM",
      stopOrder: 2,
    },
    probe: httpProbe(`${observerUrl("prometheus", ports)}/-/ready`),
  };
}
