import { Counter, Gauge, Histogram, type Registry } from "prom-client";

/** How long the core may take to tell its metrics, in milliseconds. */
const timeoutMs = 1_000;
/** A scrape asks for every family; within this time they share one answer. Milliseconds. */
const sharedMs = 500;

type Values = Awaited<ReturnType<Histogram["get"]>>["values"];

/** Metrics of one name, as the core's exporter writes them. */
export interface FamilyText {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly values: Values;
}

const plain = { name: "unused", help: "unused", registers: [] };
/** The types as prom-client writes them; its declarations have other values. */
const types = {
  counter: new Counter(plain).get(),
  gauge: new Gauge(plain).get(),
  histogram: new Histogram(plain).get(),
} as const;

// biome-ignore lint/plugin/regex: the two alternatives begin with different characters
const labelPattern = /(\w+)="((?:[^"\\]|\\.)*)"/g;
const samplePattern = /^([\w:]+)(?:\{(.*)\})? (\S+)/;

/** Reads Prometheus' text format, as far as the core uses it. */
export function parseMetrics(text: string): FamilyText[] {
  const families: (FamilyText & { values: Values })[] = [];
  let help = "";
  for (const line of text.split("\n")) {
    const [, keyword, name = "", rest = ""] = line.match(/^# (HELP|TYPE) ([\w:]+) (.*)$/) ?? [];
    if (keyword === "HELP") help = rest;
    else if (keyword === "TYPE" && (rest === "counter" || rest === "gauge" || rest === "histogram")) {
      families.push({ name, help, type: rest, values: [] });
    } else if (!line.startsWith("#")) addSample(families.at(-1), line);
  }
  return families;
}

function addSample(family: (FamilyText & { values: Values }) | undefined, line: string): void {
  const [, metricName, inner = "", value] = line.match(samplePattern) ?? [];
  if (!family || !metricName?.startsWith(family.name)) return;
  const labels: Record<string, string> = {};
  for (const [, label = "", text = ""] of inner.matchAll(labelPattern)) labels[label] = text.replace(/\\(.)/g, "$1");
  family.values.push({ metricName, labels, value: Number(value) });
}

/** One of the core's families in our registry. */
class CoreFamily extends Gauge {
  readonly #read: () => Promise<FamilyText | undefined>;
  readonly #type: FamilyText["type"];

  constructor({ name, help, type }: FamilyText, read: () => Promise<FamilyText | undefined>) {
    super({ name, help: help || name, registers: [] });
    this.#type = type;
    this.#read = read;
  }

  override async get() {
    const [own, { type }, family] = await Promise.all([super.get(), types[this.#type], this.#read()]);
    return { ...own, type, values: family?.values ?? [] };
  }
}

/**
 * Shows in our registry what Temporal's SDK and its native core measure; the core tells it on a port of the loopback
 * alone. A family that is new is shown from the next scrape on.
 *
 * @param url where the core's exporter answers
 */
export function showCoreMetrics(registry: Registry, url: string): void {
  let asked = Number.NEGATIVE_INFINITY;
  let answer: Promise<ReadonlyMap<string, FamilyText>> = Promise.resolve(new Map());
  const families = () => {
    if (performance.now() - asked > sharedMs) {
      asked = performance.now();
      answer = fetchFamilies(url);
    }
    return answer;
  };
  new Gauge({
    name: "temporal_core_metrics_up",
    help: "Whether the SDK's core told its metrics: 1 or 0.",
    registers: [registry],
    async collect() {
      const known = await families();
      this.set(known.size > 0 ? 1 : 0);
      for (const family of known.values()) {
        if (registry.getSingleMetric(family.name)) continue;
        registry.registerMetric(new CoreFamily(family, async () => (await families()).get(family.name)));
      }
    },
  });
}

/** A core that does not answer must not cost the other metrics. */
async function fetchFamilies(url: string): Promise<ReadonlyMap<string, FamilyText>> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeoutMs), redirect: "error" });
    return new Map(parseMetrics(await response.text()).map((family) => [family.name, family]));
  } catch {
    return new Map();
  }
}
