import { join } from "node:path";
import { stringify } from "yaml";
import { root } from "../../deploy/command/checkout.ts";
import { ownLabels, type ScrapeJob, seriesLimit } from "../../deploy/observability/prometheus/scrape.ts";

/** Where everything listens that a Prometheus beside the embedded stack asks: `host:port` each. */
export interface LocalTargets {
  /** Our processes by name, the port of their HTTP face. */
  readonly services: Readonly<Record<string, string>>;
  readonly postgresExporter?: string;
  readonly pushgateway?: string;
  readonly alertmanager?: string;
  /** Itself. */
  readonly prometheus?: string;
}

/** The namespace that series of one machine have. */
export const localNamespace = "local";

/** The rules, as every Prometheus of ours reads them. */
export const ruleFile = join(root, "deploy/observability/prometheus/rules.yaml");

/**
 * The configuration of a Prometheus beside the embedded stack, as YAML.
 * @param targets what it asks
 * @param everySeconds between two scrapes and two evaluations of the rules; default 5, as nobody likes to wait at a desk
 */
export function localConfiguration(targets: LocalTargets, everySeconds = 5): string {
  const interval = `${everySeconds}s`;
  return stringify({
    global: {
      scrape_interval: interval,
      scrape_timeout: interval,
      evaluation_interval: interval,
      external_labels: { cluster: localNamespace },
    },
    rule_files: [ruleFile],
    ...(targets.alertmanager && {
      alerting: { alertmanagers: [{ static_configs: [{ targets: [targets.alertmanager] }] }] },
    }),
    scrape_configs: localJobs(targets),
  });
}

function localJobs({ services, postgresExporter, pushgateway, alertmanager, prometheus }: LocalTargets): ScrapeJob[] {
  const one = (service: string, target: string) => ({
    targets: [target],
    labels: { namespace: localNamespace, service },
  });
  const ours = Object.entries(services).map(([service, target]) => one(service, target));
  const monitoring = Object.entries({ alertmanager, prometheus }).flatMap(([name, target]) =>
    target === undefined ? [] : [one(name, target)],
  );
  const jobs: ScrapeJob[] = [
    { job_name: "ordermesh", sample_limit: seriesLimit, static_configs: ours, metric_relabel_configs: ownLabels },
  ];
  if (postgresExporter) {
    jobs.push({ job_name: "postgres-exporter", static_configs: [one("postgres-exporter", postgresExporter)] });
  }
  if (pushgateway) {
    jobs.push({ job_name: "pushgateway", honor_labels: true, static_configs: [one("pushgateway", pushgateway)] });
  }
  if (monitoring.length > 0) jobs.push({ job_name: "monitoring", static_configs: monitoring });
  return jobs;
}
