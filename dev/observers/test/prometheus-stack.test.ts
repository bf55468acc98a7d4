import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { until } from "#testing/until.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { dashboards } from "../../../deploy/observability/grafana/dashboards.ts";
import { isAlert } from "../../../deploy/observability/prometheus/alerts/rule.ts";
import { ruleGroups } from "../../../deploy/observability/prometheus/rules.ts";
import { filledIn, usedBy } from "../../../deploy/observability/test/promql.ts";
import { blocksOf } from "../../../deploy/observability/test/runbook-blocks.ts";
import { services } from "../../../services/services.ts";
import { JaegerQuery } from "../jaeger-query.ts";
import { ofTemporal, rowOf } from "../metrics-page.ts";
import { query } from "./monitoring.ts";
import { accounts } from "./prometheus-books.ts";
import { ended, OperatorClients, trade, visible, World } from "./prometheus-world.ts";

const awayAlert = "ServiceAwayForOrders";

let world: World;
before(
  async () => {
    world = await World.start();
    const allUp = async () => (await world.query("up == 1")).length === services.length + 4;
    await until(allUp, "all that Prometheus asks to answer", visible);
    await trade(world.stack);
    await world.verify();
  },
  { timeout: 300_000 },
);
after(() => world?.[Symbol.asyncDispose]());

/** By label value, as both sides give it; what is 0 need not be there. */
function table(rows: readonly (readonly [string, number])[]): Record<string, number> {
  return Object.fromEntries([...rows].filter(([, value]) => value !== 0).sort());
}

describe("the business numbers in Prometheus", () => {
  for (const { what, promql, label, database, sql } of accounts) {
    it(`equal the database's: ${what}`, async () => {
      const rows = await world.ask<{ key: string; value: string }>(database, sql);
      const written = table(rows.map(({ key, value }) => [key, Number(value)] as const));
      const counted = async () => {
        const samples = await world.query(promql);
        return table(samples.map(({ metric, value }) => [metric[label] ?? "", value] as const));
      };
      const isSame = async () => {
        assert.deepEqual(await counted(), written);
        return true;
      };
      await until(isSame, "the numbers of the database", { deadlineMs: 15_000, everyMs: 100 });
    });
  }

  it("come from orders of every kind", async () => {
    const statuses = await world.ask<{ status: string }>("orders", "select distinct status from customer_order");
    assert.deepEqual(statuses.map(({ status }) => status).sort(), ["cancelled", "delivered", "failed", "rejected"]);
    const kinds = await world.ask<{ kind: string }>("payments", "select distinct kind from payment_operation");
    assert.deepEqual(kinds.map(({ kind }) => kind).sort(), ["authorize", "capture", "refund", "void"]);
  });

  it("include what the batch job pushed when it had compared the books", async () => {
    const look = async () => {
      const found = await world.query('{__name__=~"ordermesh_verify_.+"}');
      return found.length >= 5 && found;
    };
    const pushed = await until(look, "what the batch job pushed", visible);
    const values = Object.fromEntries(pushed.map(({ metric, value }) => [metric.__name__ ?? "", value]));
    assert.equal(values.ordermesh_verify_findings, 0);
    assert.ok((values.ordermesh_verify_checks ?? 0) > 5);
    assert.ok(Math.abs(Date.now() / 1000 - (values.ordermesh_verify_last_run_timestamp_seconds ?? 0)) < 300);
  });
});

describe("a step that the gateway refuses for good", () => {
  it("is seen as parked, with the error that its runbook names, until an operator resolves it", async () => {
    using clients = new OperatorClients(world.stack);
    const orderId = await clients.park(world);
    const parked = async () => (await world.query("namespace:parked_steps:sum"))[0]?.value;
    await until(async () => (await parked()) === 1, "the sum of the parked steps", visible);
    const { steps } = await clients.sagas.listParkedSteps({});
    assert.deepEqual(
      steps.map(({ orderId: of, step }) => [of, step]),
      [[orderId, "capture:north"]],
    );
    const runbook = readFileSync(join(root, "docs/runbooks/steps-parked.md"), "utf8");
    const [reason = ""] = /[A-Z]+_[A-Z_]+/.exec(steps[0]?.error ?? "") ?? [];
    assert.ok(reason && runbook.includes(reason), steps[0]?.error);
    const request = { requestId: "resolve-1", orderId, step: "capture:north", note: "paid in cash, case 4711" };
    await clients.sagas.resolveParkedStep(request);
    await until(async () => (await parked()) === 0, "no parked step", visible);
    await ended(clients.shopper, orderId, visible);
  });
});

describe("a service that is away", () => {
  it("is seen once, however many orders wait for it, until they have gone on", { timeout: 180_000 }, async () => {
    using clients = new OperatorClients(world.stack);
    const waiting = async () => {
      const samples = await world.query("max by (waits_for) (orders_waiting) > 0");
      return samples.map(({ metric, value }) => [metric.waits_for, value]);
    };
    const sees = async (expected: unknown[]) => {
      const look = async () => {
        assert.deepEqual(await waiting(), expected);
        return true;
      };
      await until(look, `orders to wait for ${JSON.stringify(expected)}`, visible);
    };
    await sees([]);
    world.stack.kill("payments", "SIGSTOP");
    let orderIds: string[];
    try {
      orderIds = await Promise.all(["first", "second", "third"].map((key) => clients.order("tok_approve", key)));
      await sees([["payments", 3]]);
      const away = ruleGroups.flatMap(({ rules }) => rules).find((rule) => isAlert(rule) && rule.alert === awayAlert);
      const alerts = await world.query(away?.expr.replace("> 60", "> 0") ?? "");
      assert.deepEqual(
        alerts.map(({ metric }) => metric),
        [{ namespace: "local", waits_for: "payments", service: "payments" }],
      );
    } finally {
      world.stack.kill("payments", "SIGCONT");
    }
    await sees([]);
    for (const orderId of orderIds) await ended(clients.shopper, orderId, visible);
  });
});

describe("the global Prometheus", () => {
  it("takes what a cluster has summed up, and none of the series of its processes", async () => {
    const url = await world.federation();
    const orders = async () => (await query(url, "namespace:orders_created:increase30m"))[0];
    const sample = await until(orders, "the orders of a namespace", visible);
    const labels = { cluster: "local", namespace: "local", source_cluster: "one" };
    for (const [label, value] of Object.entries(labels)) assert.equal(sample.metric[label], value);
    const names = (await (await fetch(`${url}/api/v1/label/__name__/values`)).json()) as { data: string[] };
    const single = names.data.filter(
      (name) => !name.startsWith("namespace") && !/^(up|scrape_\w+|ALERTS\w*)$/.test(name),
    );
    assert.deepEqual(single, []);
  });
});

describe("docs/metrics.md", () => {
  it("describes every metric of ours as its process does, with all its labels, and none that there is not", async () => {
    const page = readFileSync(join(root, "docs/metrics.md"), "utf8");
    const families = (await world.families()).filter(({ name }) => !ofTemporal.test(name));
    assert.ok(families.length > 60);
    for (const family of families) {
      const row = page.split("\n").find((line) => line.startsWith(`| \`${family.name}\` |`));
      assert.ok(row, `${family.name} is not described: run dev/observers/test/write-metrics-page.ts`);
      const [, , type, labels = "", help] = row.split(/(?<!\\)\|/).map((cell) => cell.trim());
      assert.deepEqual([type, help], [family.type, rowOf(family)[3]], family.name);
      for (const label of family.labels) assert.ok(labels.includes(`\`${label}\``), `${family.name}: ${label}`);
    }
    const [, processes = ""] = /<!-- processes -->(.*)<!-- \/processes -->/s.exec(page) ?? [];
    for (const [, name = ""] of processes.matchAll(/^\| `(\w+)` \|/gm)) {
      assert.ok(
        families.some((family) => family.name === name),
        `there is no ${name} any more`,
      );
    }
  });
});

describe("the rules and dashboards", () => {
  /** Series that begin with something that a healthy run does not have. */
  const onlyInTrouble = [
    "temporal_workflow_failed_total",
    "temporal_workflow_task_execution_failed_total",
    "temporal_request_failure_total",
    // The task of an episode comes with the answer to its start, while a worker has a place for it.
    "temporal_workflow_task_schedule_to_start_latency_seconds_bucket",
    // Of processes with TLS.
    "tls_certificate_validity_timestamp_seconds",
  ];
  /** What Prometheus itself makes; with the labels of the alert. */
  const ofPrometheus = ["ALERTS"];

  const expressions = [
    ...ruleGroups.flatMap(({ rules }) => rules.map(({ expr }) => expr)),
    ...dashboards.flatMap(({ panels = [] }) =>
      panels.flatMap((panel) => ((panel as { targets?: { expr: string }[] }).targets ?? []).map(({ expr }) => expr)),
    ),
    ...globSync("docs/runbooks/*.md", { cwd: root }).flatMap((path) =>
      blocksOf(readFileSync(join(root, path), "utf8")).flatMap(({ language, text }) =>
        language === "promql" ? [text] : [],
      ),
    ),
  ];

  it("use only metrics and labels that there are", async () => {
    const used = new Map<string, Set<string>>();
    for (const expression of expressions) {
      const { selected, labels } = usedBy(filledIn(expression));
      for (const { metric, matchers } of selected) {
        const all = used.get(metric) ?? new Set();
        used.set(metric, all);
        for (const { label } of matchers) all.add(label);
        // A label that a query of one metric groups by belongs to that metric.
        if (selected.length === 1) for (const label of labels) all.add(label);
      }
    }
    const wrong: string[] = [];
    for (const [metric, labels] of used) {
      if (onlyInTrouble.includes(metric) || ofPrometheus.includes(metric)) continue;
      const patience = { deadlineMs: metric.includes(":") ? 20_000 : 2_000, everyMs: 100 };
      const found = await until(() => labelsOf(metric), metric, patience).catch(() => undefined);
      if (!found) wrong.push(`there is no ${metric}`);
      else
        for (const label of labels) if (!found.has(label) && label !== "pod") wrong.push(`${metric} has no ${label}`);
    }
    assert.deepEqual(wrong, []);
    assert.ok(used.size > 60, `${used.size} metrics`);
  });

  it("are ones that Prometheus evaluates without an error", async () => {
    for (const expression of expressions) await world.query(filledIn(expression));
    assert.deepEqual(await world.query("prometheus_rule_evaluation_failures_total > 0"), []);
  });

  it("do not cry in a healthy run", async () => {
    // How long things take here says something about the machine that the tests share, not about the rules.
    const slow = "OrderConfirmation.*|ServiceSlow|EventLoopBlocked|WorkerSaturated|DatabasePoolExhausted";
    console.log(
      JSON.stringify(
        await world.query(
          'orders_processing_seconds_bucket{le="5"} or orders_created_total or orders_processing_seconds_count',
        ),
      ),
    );
    const firing = await world.query(`ALERTS{alertstate="firing", alertname!~"${slow}"}`);
    assert.deepEqual(
      firing.map(({ metric }) => metric.alertname),
      [],
    );
  });

  it("lead from a point of a panel to its trace", async () => {
    const parameters = new URLSearchParams({
      query: 'rpc_server_duration_seconds_bucket{service="orders"}',
      start: String(Date.now() / 1000 - 600),
      end: String(Date.now() / 1000),
    });
    const answer = (await (await fetch(`${world.url}/api/v1/query_exemplars?${parameters}`)).json()) as {
      data: { exemplars: { labels: { trace_id?: string } }[] }[];
    };
    const ids = answer.data.flatMap(({ exemplars }) => exemplars.flatMap(({ labels }) => labels.trace_id ?? []));
    assert.ok(ids.length > 0, "exemplars");
    const jaeger = new JaegerQuery(world.stack.observerUrl("jaeger"));
    const trace = await until(() => jaeger.trace(ids.at(-1) ?? ""), "the trace", visible);
    assert.ok(trace.spans.length > 0);
  });

  it("and runbooks ask databases what they can answer", async () => {
    for (const path of globSync("docs/runbooks/*.md", { cwd: root })) {
      for (const { language, text } of blocksOf(readFileSync(join(root, path), "utf8"))) {
        if (language !== "sql") continue;
        const [, database = ""] = /^-- (\w+)/.exec(text) ?? [];
        await world.ask(database, text).catch((error: Error) => assert.fail(`${path}: ${error.message}\n${text}`));
      }
    }
  });
});

/** The labels that series of a metric have, together; undefined when there is none. */
async function labelsOf(metric: string): Promise<Set<string> | undefined> {
  const parameters = new URLSearchParams({ "match[]": metric });
  const answer = (await (await fetch(`${world.url}/api/v1/series?${parameters}`)).json()) as {
    data: Record<string, string>[];
  };
  return answer.data.length > 0 ? new Set(answer.data.flatMap((series) => Object.keys(series))) : undefined;
}
