import { parser } from "@prometheus-io/lezer-promql";

/** A metric that a query reads, with the labels that it asks for. */
export interface Selected {
  readonly metric: string;
  /** Labels in the braces, with the value where it is compared for equality. */
  readonly matchers: readonly { readonly label: string; readonly equals?: string }[];
}

/** What a query uses. */
export interface Used {
  readonly selected: readonly Selected[];
  /** Labels that it groups or joins by. */
  readonly labels: readonly string[];
}

/** Reads a query by Prometheus's own grammar. @throws Error at the place that is not PromQL */
export function usedBy(expression: string): Used {
  const selected: { metric: string; matchers: { label: string; equals?: string }[] }[] = [];
  const labels: string[] = [];
  const textOf = ({ from, to }: { from: number; to: number }) => expression.slice(from, to);
  parser.parse(expression).iterate({
    enter(node) {
      if (node.type.isError) throw new Error(`not PromQL at ${node.from}: ${expression}`);
      if (node.name === "VectorSelector") {
        const metric = node.node.getChild("Identifier");
        selected.push({ metric: metric ? textOf(metric) : "", matchers: [] });
      }
      if (node.name === "UnquotedLabelMatcher") {
        const [, label = "", operator, value = ""] = /^(\w+)\s*(=~|!~|!=|=)\s*"(.*)"$/s.exec(textOf(node)) ?? [];
        selected.at(-1)?.matchers.push({ label, ...(operator === "=" && { equals: value }) });
      }
      if (node.name === "GroupingLabels") {
        for (const label of node.node.getChildren("LabelName")) labels.push(textOf(label));
      }
    },
  });
  return { selected, labels };
}

/** A dashboard's query as Grafana would send it, with everything chosen. */
export function filledIn(expression: string): string {
  return expression.replaceAll(/"\$\w+"/g, '".*"').replaceAll("$__rate_interval", "5m");
}
