import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { root } from "../../command/checkout.ts";
import { variableQueries } from "../grafana/dashboards/parts.ts";
import { dashboardFiles, dashboards } from "../grafana/dashboards.ts";
import { isAlert } from "../prometheus/alerts/rule.ts";
import { recordingGroups } from "../prometheus/recordings.ts";
import { sloGroups } from "../prometheus/slo.ts";
import { filledIn, usedBy } from "./promql.ts";

const home = join(import.meta.dirname, "../grafana");

/** What the tests look at of a panel. */
interface Panel {
  readonly type: string;
  readonly title?: string;
  readonly description?: string;
  readonly gridPos?: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly fieldConfig?: { readonly defaults: { readonly unit?: string; readonly links?: readonly { url: string }[] } };
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string; readonly refId: string }[];
}

const recorded = [...recordingGroups, ...sloGroups].flatMap(({ rules }) =>
  rules.flatMap((rule) => (isAlert(rule) ? [] : [rule.record])),
);

describe("the dashboards", () => {
  it("are in the files that Grafana reads, and nothing else is", () => {
    for (const [path, text] of Object.entries(dashboardFiles)) {
      assert.equal(readFileSync(join(home, path), "utf8"), text, "run deploy/observability/grafana/generate.ts");
    }
    assert.deepEqual(globSync("json/*", { cwd: home }).sort(), Object.keys(dashboardFiles).sort());
    const { configMapGenerator } = parse(readFileSync(join(home, "kustomization.yaml"), "utf8")) as {
      configMapGenerator: { name: string; files: string[] }[];
    };
    assert.deepEqual(configMapGenerator[0]?.files, Object.keys(dashboardFiles).sort());
  });

  it("have addresses of their own", () => {
    assert.equal(new Set(dashboards.map(({ uid }) => uid)).size, dashboards.length);
  });

  for (const dashboard of dashboards) {
    const panels = (dashboard.panels ?? []) as readonly Panel[];
    const shown = panels.filter(({ type }) => type !== "row");
    const variables = dashboard.templating?.list?.map(({ name }) => name) ?? [];

    it(`${dashboard.uid}: each panel says what it shows, in which unit, and lies on no other`, () => {
      assert.ok(shown.length > 3);
      for (const panel of shown) {
        assert.ok(panel.title && panel.description && panel.fieldConfig?.defaults.unit, panel.title);
        const { x = 0, y = 0, w = 0, h = 0 } = panel.gridPos ?? {};
        assert.ok(w > 0 && h > 0 && x + w <= 24, panel.title);
        const under = shown.filter(({ gridPos: other }) => {
          return other && other.x < x + w && x < other.x + other.w && other.y < y + h && y < other.y + other.h;
        });
        assert.deepEqual(
          under.map(({ title }) => title),
          [panel.title],
        );
      }
    });

    it(`${dashboard.uid}: uses only variables that it has, and all that it should`, () => {
      const text = JSON.stringify(dashboard.panels);
      for (const [, name = ""] of text.matchAll(/\$\{?(?!__)(\w+)/g)) assert.ok(variables.includes(name), name);
      for (const { expr } of shown.flatMap(({ targets = [] }) => targets)) {
        assert.match(expr, /namespace=~"\$namespace"/, `${expr}: of which namespace?`);
      }
    });

    it(`${dashboard.uid}: asks in PromQL, for recorded series that are recorded, and names lines by labels that are there`, () => {
      for (const panel of shown) {
        assert.ok(panel.targets?.length, panel.title);
        for (const { expr, legendFormat } of panel.targets) {
          const { selected, labels } = usedBy(filledIn(expr));
          for (const { metric } of selected) if (metric.includes(":")) assert.ok(recorded.includes(metric), metric);
          if (!/\b(?:sum|max|count) by/.test(expr)) continue;
          for (const [, label = ""] of legendFormat.matchAll(/\{\{(\w+)\}\}/g)) assert.ok(labels.includes(label), expr);
        }
      }
    });

    it(`${dashboard.uid}: leads from each service's line to its traces and log lines, and to runbooks that exist`, () => {
      for (const { title, targets = [], fieldConfig, type, description = "" } of shown) {
        const byService =
          type === "timeseries" && targets.some(({ legendFormat }) => legendFormat.includes("{{service}}"));
        const urls = fieldConfig?.defaults.links?.map(({ url }) => url.slice(2, 8)) ?? [];
        assert.deepEqual(urls, byService ? ["jaeger", "kibana"] : [], title);
        for (const [, name = ""] of description.matchAll(/(?:Runbooks?: |, )([a-z]+(?:-[a-z]+)+)/g)) {
          assert.ok(existsSync(join(root, "docs/runbooks", `${name}.md`)), name);
        }
      }
    });
  }
});

describe("Grafana's data sources", () => {
  it("lead from a call to its trace and from the trace to its log lines", () => {
    const { datasources } = parse(readFileSync(join(home, "provisioning/datasources.yaml"), "utf8")) as {
      datasources: { uid: string; type: string; jsonData: Record<string, unknown> }[];
    };
    const references = JSON.stringify(datasources.map(({ jsonData }) => jsonData)).matchAll(/"datasourceUid":"(\w+)"/g);
    const uids = datasources.map(({ uid }) => uid);
    const targets = [...references].map(([, uid = ""]) => uid);
    assert.deepEqual([...new Set(targets)].sort(), [...uids].sort(), "each is led to from another");
  });

  it("fill the variables with queries that Prometheus can answer", () => {
    for (const query of Object.values(variableQueries)) {
      const [, selector = ""] = /^label_values\((.+), \w+\)$/.exec(query) ?? [];
      assert.equal(usedBy(filledIn(selector)).selected.length, 1, query);
    }
  });
});
