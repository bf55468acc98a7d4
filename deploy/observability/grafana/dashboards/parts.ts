import type { Builder } from "@grafana/grafana-foundation-sdk/cog";
import {
  LegendDisplayMode,
  LegendPlacement,
  TooltipDisplayMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from "@grafana/grafana-foundation-sdk/common";
import {
  DashboardBuilder,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  type Panel,
  QueryVariableBuilder,
  RowBuilder,
  TextBoxVariableBuilder,
  ThresholdsConfigBuilder,
  ThresholdsMode,
  VariableRefresh,
} from "@grafana/grafana-foundation-sdk/dashboard";
import { DataqueryBuilder } from "@grafana/grafana-foundation-sdk/prometheus";
import { PanelBuilder as StatBuilder } from "@grafana/grafana-foundation-sdk/stat";
import { PanelBuilder as TimeseriesBuilder } from "@grafana/grafana-foundation-sdk/timeseries";

/** Only what the chosen namespaces have; inside the braces of a selector. */
export const scope = 'namespace=~"$namespace"';
/** Only what the chosen services have. */
export const serviceScope = `${scope}, service=~"$service"`;

/** One or more lines of a panel: the query, and how its series are called. */
export type Query = readonly [expression: string, legend: string];

/** What a panel shows. */
export interface PanelPlan {
  readonly title: string;
  /** What it means, and what is good or bad about it. */
  readonly description: string;
  /** Grafana's name of the unit: `s`, `reqps`, `percentunit`, `short`, `bytes` … */
  readonly unit: string;
  readonly queries: readonly Query[];
  /** Shows exemplars, which lead to traces; only for histograms that have them. */
  readonly exemplars?: boolean;
  /** A step from which on it is bad. */
  readonly bad?: number;
}

/** A variable of Grafana's; so spelled it cannot be taken for one of ours. */
const given = (name: string) => `$\{${name}}`;

const datasource = { type: "prometheus", uid: given("datasource") };

/** The index makes its name: A, B, C. */
const target = ([expression, legend]: Query, index: number) =>
  new DataqueryBuilder()
    .expr(expression)
    .legendFormat(legend)
    .refId(String.fromCharCode(65 + index));

const service = given("__field.labels.service");

/** From a panel to the traces and the log lines of the same service at the same time. */
const links = [
  new DashboardLinkBuilder(`Traces of ${service} in Jaeger`)
    .url(`${given("jaeger")}/search?service=${service}&start=${given("__from")}000&end=${given("__to")}000`)
    .targetBlank(true),
  new DashboardLinkBuilder(`Log lines of ${service} in Kibana`)
    .url(
      `${given("kibana")}/app/discover#/?_g=(time:(from:'${given("__from:date:iso")}',to:'${given("__to:date:iso")}'))` +
        `&_a=(query:(language:kuery,query:'service.name : "${service}"'))`,
    )
    .targetBlank(true),
];

function thresholds(bad: number | undefined): ThresholdsConfigBuilder {
  const steps = [{ value: null, color: "green" }, ...(bad === undefined ? [] : [{ value: bad, color: "red" }])];
  return new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps);
}

/** Lines over time. Twelve of the grid's 24 columns wide. */
export function lines({ title, description, unit, queries, exemplars = false, bad }: PanelPlan): Builder<Panel> {
  const panel = new TimeseriesBuilder().title(title).description(description).datasource(datasource).unit(unit).min(0);
  panel.fillOpacity(8).span(12).height(8).thresholds(thresholds(bad));
  panel.legend(
    new VizLegendOptionsBuilder()
      .displayMode(LegendDisplayMode.List)
      .placement(LegendPlacement.Bottom)
      .showLegend(true)
      .calcs([]),
  );
  panel.tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi));
  // A series without a service has no log lines or traces of its own.
  if (queries.some(([, legend]) => legend.includes("{{service}}"))) panel.dataLinks(links);
  for (const [index, query] of queries.entries()) panel.withTarget(target(query, index).exemplar(exemplars).range());
  return panel;
}

/** The present value, large. Six columns wide. */
export function figure({ title, description, unit, queries, bad }: PanelPlan): Builder<Panel> {
  const panel = new StatBuilder().title(title).description(description).datasource(datasource).unit(unit);
  panel.span(6).height(4).thresholds(thresholds(bad));
  for (const [index, query] of queries.entries()) panel.withTarget(target(query, index).instant());
  return panel;
}

/** What a dashboard is made of: rows of panels. */
export interface DashboardPlan {
  /** Part of its address, never changed. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly rows: readonly { readonly title: string; readonly panels: readonly Builder<Panel>[] }[];
}

const labelValues = (name: string, query: string) =>
  new QueryVariableBuilder(name)
    .label(name)
    .datasource(datasource)
    .query(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .includeAll(true)
    .multi(true)
    .current({ text: "All", value: "$__all", selected: true });

/** The queries that fill the variables of every dashboard. */
export const variableQueries = {
  namespace: "label_values(orders_created_total, namespace)",
  service: 'label_values(up{job=~".*ordermesh", namespace=~"$namespace"}, service)',
} as const;

/** A dashboard with the variables and links that all of ours have. */
export function dashboard({ uid, title, description, rows }: DashboardPlan): DashboardBuilder {
  const builder = new DashboardBuilder(title).uid(uid).description(description).tags(["ordermesh"]);
  builder.refresh("30s").time({ from: "now-1h", to: "now" }).timezone("browser").readonly();
  builder
    .withVariable(new DatasourceVariableBuilder("datasource").label("Prometheus").type("prometheus"))
    .withVariable(labelValues("namespace", variableQueries.namespace))
    .withVariable(labelValues("service", variableQueries.service))
    .withVariable(new TextBoxVariableBuilder("jaeger").label("Jaeger").defaultValue("http://localhost:16686"))
    .withVariable(new TextBoxVariableBuilder("kibana").label("Kibana").defaultValue("http://localhost:5601"))
    .link(
      new DashboardLinkBuilder("Ordermesh")
        .type(DashboardLinkType.Dashboards)
        .tags(["ordermesh"])
        .asDropdown(true)
        .keepTime(true)
        .includeVars(true),
    );
  for (const row of rows) {
    builder.withRow(new RowBuilder(row.title));
    for (const panel of row.panels) builder.withPanel(panel);
  }
  return builder;
}
