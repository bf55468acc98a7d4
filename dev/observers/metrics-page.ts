import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { type Alert, isAlert, runbookOf } from "../../deploy/observability/prometheus/alerts/rule.ts";
import { ruleGroups } from "../../deploy/observability/prometheus/rules.ts";
import { verificationHelp } from "../../services/books/src/report/push.ts";
import { exporterQueries } from "./prometheus.ts";

/** A metric as a process of ours describes it. */
export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  /** Its own, without those that a target gives to all of its series. */
  readonly labels: readonly string[];
}

/** How the page groups our metrics: a heading and how their names begin. */
const groups: readonly (readonly [heading: string, begins: RegExp])[] = [
  ["Orders", /^orders_/],
  ["Payments", /^payments_/],
  ["Stock", /^inventory_/],
  ["Parcels", /^shipping_/],
  ["Sagas", /^saga_/],
  ["Schedules", /^worker_schedule_/],
  ["People and keys", /^identity_/],
  ["Audit", /^audit_/],
  ["Events", /^events_/],
  ["Notifications", /^notifications_/],
  ["Webhooks", /^webhooks_/],
  ["Calls", /^(rpc|tls)_/],
  ["Calls to what is outside", /^connector_/],
  ["Database", /^(database|batcher|relay)_/],
  ["Telemetry", /^(telemetry|log)_/],
  ["Feature flags", /^feature_flag_/],
  ["Processes", /^(build|process|nodejs|temporal_core)_/],
];

/** What the page leaves to Temporal's own documentation: which of them there are depends on what has happened. */
export const ofTemporal = /^temporal_(?!core_metrics_up)/;

/** The families in what a process answers to a scrape, in Prometheus's text format or OpenMetrics. */
export function familiesIn(text: string): Family[] {
  const families = new Map<string, { type: string; help: string; labels: Set<string> }>();
  for (const [, name = "", help = ""] of text.matchAll(/^# HELP (\S+) (.*)$/gm)) {
    families.set(name, { type: "untyped", help, labels: new Set() });
  }
  for (const [, name = "", type = ""] of text.matchAll(/^# TYPE (\S+) (\w+)$/gm)) {
    const family = families.get(name);
    if (family) family.type = type;
  }
  for (const [, sample = "", labels = ""] of text.matchAll(/^([a-z]\w*)\{([^}]*)\} /gm)) {
    const name = [sample, sample.replace(/_(?:bucket|sum|count|total)$/, "")].find((known) => families.has(known));
    for (const [, label = ""] of labels.matchAll(/(\w+)="/g)) families.get(name ?? "")?.labels.add(label);
  }
  return [...families].map(([name, { type, help, labels }]) => ({
    // OpenMetrics names a counter without its ending.
    name: type === "counter" && !name.endsWith("_total") ? `${name}_total` : name,
    type,
    help,
    labels: [...labels].filter((label) => label !== "service" && label !== "le").sort(),
  }));
}

function table(head: string, rows: readonly (readonly string[])[]): string {
  const columns = head.split("|").length;
  return [`| ${head} |`, `|${"---|".repeat(columns)}`, ...rows.map((cells) => `| ${cells.join(" | ")} |`)].join("\n");
}

const code = (text: string) => `\`${text}\``;

/** A metric's line of the page. */
export function rowOf({ name, type, help, labels }: Family): string[] {
  return [code(name), type, labels.map(code).join(", "), help.replaceAll("|", "\\|")];
}

/** The part of the page on what processes measure. @throws Error for a metric that belongs to no group */
export function familySections(families: readonly Family[]): string {
  const own = families.filter(({ name }) => !ofTemporal.test(name));
  const stray = own.find(({ name }) => !groups.some(([, begins]) => begins.test(name)));
  if (stray) throw new Error(`${stray.name} belongs to no group of docs/metrics.md`);
  const sections = groups.map(([heading, begins]) => {
    const rows = own.filter(({ name }) => begins.test(name)).map(rowOf);
    return `### ${heading}\n\n${table("metric | type | labels | what", rows.sort())}`;
  });
  return sections.join("\n\n");
}

/** The parts of the page that are known without running anything, by the name of their place in it. */
export function staticSections(): Record<"exporter" | "batch" | "recordings" | "alerts", string> {
  const rules = ruleGroups.flatMap(({ rules }) => rules);
  const recordings = rules.flatMap((rule) =>
    isAlert(rule) ? [] : [[code(rule.record), code(rule.expr.replaceAll(/\s+/g, " ").trim().replaceAll("|", "\\|"))]],
  );
  return {
    exporter: table("metric | type | labels | what", exporterRows()),
    batch: table(
      "metric | what",
      Object.values(verificationHelp).map(({ name, help }) => [code(name), help]),
    ),
    recordings: table("series | is", recordings),
    alerts: table("alert | severity | means", rules.filter(isAlert).map(alertRow)),
  };
}

function alertRow(alert: Alert): string[] {
  const link = `[${alert.alert}](${runbookOf(alert).replace("docs/", "")})`;
  return [link, alert.severity, alert.description];
}

function exporterRows(): string[][] {
  const queries = parse(readFileSync(exporterQueries, "utf8")) as Record<
    string,
    { metrics: Record<string, { usage: string; description: string }>[] }
  >;
  return Object.entries(queries).flatMap(([prefix, { metrics }]) => {
    const columns = metrics.flatMap((metric) => Object.entries(metric));
    const labels = columns.filter(([, { usage }]) => usage === "LABEL").map(([name]) => code(name));
    return columns
      .filter(([, { usage }]) => usage !== "LABEL")
      .map(([name, { usage, description }]) => {
        return [code(`${prefix}_${name}`), usage.toLowerCase(), labels.join(", "), description];
      });
  });
}

/** The page with what belongs at its marks, `<!-- name -->` to `<!-- /name -->`. @throws Error when a mark is missing */
export function fillIn(page: string, sections: Readonly<Record<string, string>>): string {
  return Object.entries(sections).reduce((text, [name, section]) => {
    const place = new RegExp(`(<!-- ${name} -->\\n).*?(<!-- /${name} -->)`, "s");
    if (!place.test(text)) throw new Error(`docs/metrics.md has no place for ${name}`);
    return text.replace(place, (_, begin: string, end: string) => `${begin}\n${section}\n\n${end}`);
  }, page);
}
