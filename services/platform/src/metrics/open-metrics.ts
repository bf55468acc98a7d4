import type { Registry } from "prom-client";

/** What a scraper of this format accepts and is sent. */
export const openMetricsType = "application/openmetrics-text";
const contentType = `${openMetricsType}; version=1.0.0; charset=utf-8`;

/** A value as the registry gives it; only histograms have what is optional. */
interface Sample {
  readonly value: number;
  readonly labels: Readonly<Record<string, string | number | undefined>>;
  readonly metricName?: string;
  readonly exemplar?: Exemplar | null;
}

interface Exemplar {
  readonly labelSet: Sample["labels"];
  readonly value: number;
  /** Seconds since 1970. */
  readonly timestamp?: number;
}

function textOf(value: number): string {
  if (Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}

function escaped(text: string): string {
  return text.replace(/[\\\n"]/g, (char) => (char === "\n" ? "\\n" : `\\${char}`));
}

function labelsOf(labels: Sample["labels"]): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(String(value))}"`);
  return `{${parts.join(",")}}`;
}

function exemplarOf({ labelSet, value, timestamp }: Exemplar): string {
  return ` # ${labelsOf(labelSet)} ${textOf(value)}${timestamp === undefined ? "" : ` ${timestamp}`}`;
}

/** A counter's family has no suffix, its sample has one. */
function nameOf(name: string, isCounter: boolean): { family: string; sample: string } {
  const family = isCounter ? name.replace(/_total$/, "") : name;
  return { family, sample: isCounter ? `${family}_total` : name };
}

/**
 * The metrics of a registry as OpenMetrics text, the only one that has exemplars. prom-client has a registry for it, which
 * renames every counter for good as soon as it is asked once, so that the usual text would be wrong from then on.
 */
export async function openMetrics(registry: Registry): Promise<{ contentType: string; text: string }> {
  const lines: string[] = [];
  for (const metric of await registry.getMetricsAsJSON()) {
    const type = String(metric.type);
    const isCounter = type === "counter";
    const { family, sample } = nameOf(metric.name, isCounter);
    lines.push(`# HELP ${family} ${escaped(metric.help)}`, `# TYPE ${family} ${type}`);
    for (const { value, labels, metricName, exemplar } of metric.values as Sample[]) {
      const line = `${isCounter ? sample : (metricName ?? sample)}${labelsOf(labels)} ${textOf(value)}`;
      lines.push(exemplar ? line + exemplarOf(exemplar) : line);
    }
  }
  return { contentType, text: `${lines.join("\n")}\n# EOF\n` };
}
