import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { parse, parseAllDocuments, stringify } from "yaml";
import { root } from "../../../deploy/command/checkout.ts";
import { run } from "../../../deploy/command/run.ts";
import { isAlert } from "../../../deploy/observability/prometheus/alerts/rule.ts";
import { generatedFiles } from "../../../deploy/observability/prometheus/resources.ts";
import { alerts, ruleGroups } from "../../../deploy/observability/prometheus/rules.ts";
import { tool } from "../../tools/tool.ts";
import { fillIn, staticSections } from "../metrics-page.ts";
import { localConfiguration, ruleFile } from "../prometheus-configuration.ts";
import { causeExamples } from "./prometheus-cause-examples.ts";
import { customerExamples } from "./prometheus-customer-examples.ts";
import { type Example, promtoolTest } from "./prometheus-example.ts";

const home = join(root, "deploy/observability/prometheus");
const examples = [...customerExamples, ...causeExamples];
const federationRules = join(home, "federation-rules.yaml");
const options = { timeoutMs: 300_000, keepOutput: true };

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "ordermesh-rules-"));
});
after(() => rm(folder, { recursive: true, force: true }));

/** Lets promtool judge examples. */
async function judge(list: readonly Example[]): Promise<string> {
  const place = await mkdtemp(join(folder, "judged-"));
  const files = await Promise.all(
    list.map(async (example) => {
      const file = join(place, `${example.alert}.yaml`);
      const ruleFile = join(place, `${example.alert}.rules.yaml`);
      const { rules, tests } = promtoolTest(example, ruleGroups, ruleFile);
      await writeFile(ruleFile, stringify(rules));
      await writeFile(file, stringify(tests));
      return file;
    }),
  );
  return run(await tool("promtool"), ["test", "rules", ...files], options);
}

describe("the rules", () => {
  for (const [path, text] of Object.entries(generatedFiles)) {
    it(`are in ${path} as their source makes them`, async () => {
      assert.equal(await readFile(join(home, path), "utf8"), text, "run deploy/observability/prometheus/generate.ts");
    });
  }

  it("are the same for the operator as for a Prometheus without one", async () => {
    const own = parse(await readFile(ruleFile, "utf8")) as { groups: unknown };
    const resource = parse(await readFile(join(home, "kubernetes/prometheus-rule.yaml"), "utf8")) as {
      spec: { groups: unknown };
    };
    assert.deepEqual(resource.spec.groups, own.groups);
  });

  it("are ones that Prometheus takes, without a warning", async () => {
    const said = await run(await tool("promtool"), ["check", "rules", "--lint=all", "--lint-fatal", ruleFile], options);
    assert.match(said, /SUCCESS/);
  });

  it("are told in docs/metrics.md as they are", async () => {
    const page = await readFile(join(root, "docs/metrics.md"), "utf8");
    assert.equal(fillIn(page, staticSections()), page, "run dev/observers/test/write-metrics-page.ts");
  });

  it("record each series once, and use none that nobody records", () => {
    const rules = ruleGroups.flatMap(({ rules }) => rules);
    const recorded = rules.flatMap((rule) => (isAlert(rule) ? [] : [rule.record]));
    assert.equal(new Set(recorded).size, recorded.length);
    const used = rules.flatMap(({ expr }) => [...expr.matchAll(/namespace\w*:\w+(?::\w+)?/g)].map(([name]) => name));
    assert.deepEqual(
      used.filter((name) => !recorded.includes(name)),
      [],
    );
  });
});

describe("each alert", () => {
  it("has an example of its own", () => {
    assert.deepEqual(examples.map(({ alert }) => alert).sort(), alerts.map(({ alert }) => alert).sort());
  });

  it("fires when it should, says what is wrong, and is silent otherwise", async () => {
    assert.match(await judge(examples), /SUCCESS/);
  });

  it("would be seen to fail that", async () => {
    const [first] = causeExamples;
    assert.ok(first);
    await assert.rejects(judge([{ ...first, fires: first.quiet }]), /FAILED/);
    await assert.rejects(judge([{ ...first, quiet: first.fires }]), /FAILED/);
  });

  it("wakes somebody only when customers are hurt", () => {
    const pages = alerts.filter(({ severity }) => severity === "page").map(({ alert }) => alert);
    assert.deepEqual(pages, [
      "OrderConfirmationBurnsFast",
      "AvailabilityBurnsFast",
      "OrdersUnreachable",
      "OrderRateCollapsed",
      "PaymentsMostlyRefused",
      "ManyStepsParked",
    ]);
    for (const { alert, severity, description } of alerts) {
      if (severity === "page") assert.match(description, /customers|orders/i, alert);
      assert.doesNotMatch(description, /\{\{/, `${alert}: what it means does not change`);
    }
  });
});

describe("the global Prometheus", () => {
  it("has a configuration that Prometheus takes", async () => {
    const file = join(folder, "global.yaml");
    const text = await readFile(join(home, "federation.yaml"), "utf8");
    await writeFile(file, text.replace("/etc/prometheus/federation-rules.yaml", federationRules));
    assert.match(await run(await tool("promtool"), ["check", "config", file], options), /SUCCESS/);
  });

  it("wakes somebody when a cluster is silent, and lets a short silence pass", async () => {
    const labels = { severity: "page", service: "prometheus", job: "federate", source_cluster: "one" };
    const { groups } = parse(await readFile(federationRules, "utf8")) as Federation;
    const annotations = groups[0]?.rules[0]?.annotations;
    const summary = "The Prometheus of one does not answer";
    const test = (values: string, exp_alerts: object[]) => ({
      interval: "1m",
      input_series: [{ series: 'up{job="federate", source_cluster="one"}', values }],
      alert_rule_test: [{ alertname: "ClusterSilent", eval_time: "12m", exp_alerts }],
    });
    const fires = test("1x5 0x10", [{ exp_labels: labels, exp_annotations: { ...annotations, summary } }]);
    const tests = [fires, test("1x5 0x3 1x10", [])];
    const file = join(folder, "silent.yaml");
    await writeFile(file, stringify({ rule_files: [federationRules], evaluation_interval: "1m", tests }));
    assert.match(await run(await tool("promtool"), ["test", "rules", file], options), /SUCCESS/);
  });
});

describe("the scrape configuration", () => {
  it("beside the stack is one that Prometheus takes", async () => {
    const file = join(folder, "local.yaml");
    const targets = { services: { orders: "127.0.0.1:8081" }, postgresExporter: "127.0.0.1:9187" };
    const monitoring = { pushgateway: "127.0.0.1:9091", alertmanager: "127.0.0.1:9093", prometheus: "127.0.0.1:9090" };
    await writeFile(file, localConfiguration({ ...targets, ...monitoring }));
    assert.match(await run(await tool("promtool"), ["check", "config", file], options), /SUCCESS/);
  });

  it("in the cluster is one that Prometheus takes", async () => {
    const configuration = parse(generatedFiles["prometheus.yaml"] ?? "") as Record<string, unknown> & {
      alerting: { alertmanagers: Record<string, unknown>[] };
      scrape_configs: Record<string, unknown>[];
    };
    // Distributions build Prometheus without the discovery of Kubernetes; all but that is checked here.
    const fixed = ({ kubernetes_sd_configs: discovery, ...rest }: Record<string, unknown>) => {
      assert.ok(discovery);
      return { ...rest, static_configs: [{ targets: ["127.0.0.1:1"] }] };
    };
    const file = join(folder, "cluster.yaml");
    const { alerting, scrape_configs, ...rest } = configuration;
    const replaced = {
      alerting: { alertmanagers: alerting.alertmanagers.map(fixed) },
      scrape_configs: scrape_configs.map(fixed),
    };
    await writeFile(file, stringify({ ...rest, ...replaced }));
    assert.match(await run(await tool("promtool"), ["check", "config", file], options), /SUCCESS/);
  });

  it("finds the same targets by resources as by discovery", () => {
    const documents = parseAllDocuments(generatedFiles["kubernetes/monitors.yaml"] ?? "").map(
      (document) => document.toJS() as { metadata: { name: string }; spec: { sampleLimit?: number } & Endpoints },
    );
    const jobs = (parse(generatedFiles["prometheus.yaml"] ?? "") as { scrape_configs: Job[] }).scrape_configs;
    for (const { metadata, spec } of documents) {
      const job = jobs.find(({ job_name }) => job_name === metadata.name);
      const [endpoint] = spec.podMetricsEndpoints ?? spec.endpoints ?? [];
      const ports = job?.relabel_configs.filter(({ source_labels }) => source_labels?.[0]?.endsWith("port_name"));
      assert.deepEqual(
        ports?.map(({ regex }) => regex),
        [endpoint?.port],
        metadata.name,
      );
      assert.equal(endpoint?.honorLabels ?? false, job?.honor_labels ?? false);
      assert.equal(endpoint?.metricRelabelings?.length ?? 0, job?.metric_relabel_configs?.length ?? 0);
    }
  });
});

interface Federation {
  readonly groups: readonly { readonly rules: readonly { readonly annotations: Readonly<Record<string, string>> }[] }[];
}

interface Endpoint {
  readonly port: string;
  readonly honorLabels?: boolean;
  readonly metricRelabelings?: readonly unknown[];
}

interface Endpoints {
  readonly podMetricsEndpoints?: readonly Endpoint[];
  readonly endpoints?: readonly Endpoint[];
}

interface Job {
  readonly job_name: string;
  readonly honor_labels?: boolean;
  readonly relabel_configs: readonly { source_labels?: string[]; regex?: string }[];
  readonly metric_relabel_configs?: readonly unknown[];
}
