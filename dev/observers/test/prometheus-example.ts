import {
  type Alert,
  isAlert,
  type RuleGroup,
  runbookOf,
  toPrometheus,
} from "../../../deploy/observability/prometheus/alerts/rule.ts";

/** Series by name and labels, with values as promtool writes them: `start+step x times`, one value a minute. */
export type Series = Readonly<Record<string, string>>;

/** Series under which an alert must fire, and similar ones under which it must not. */
export interface Example {
  readonly alert: string;
  /** When it is asked whether it fires, for example `20m`. */
  readonly at: string;
  readonly fires: Series;
  readonly quiet: Series;
  /** Labels of the one alert that fires, besides the rule's own. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The summary as somebody will read it. */
  readonly summary: string;
  /** Between two values; default a minute. */
  readonly interval?: string;
}

/** A file of rules and a file of tests for `promtool test rules`. */
export interface PromtoolTest {
  readonly rules: object;
  readonly tests: object;
}

/**
 * An example for promtool. Only the alert's own rules are evaluated: all of them over three days take minutes.
 * @param ruleFile where the rules will be
 */
export function promtoolTest(example: Example, groups: readonly RuleGroup[], ruleFile: string): PromtoolTest {
  const all = groups.flatMap(({ rules }) => rules);
  const rule = all.filter(isAlert).find(({ alert }) => alert === example.alert);
  if (!rule) throw new Error(`there is no alert ${example.alert}`);
  const recordings = all.filter((other) => !isAlert(other) && rule.expr.includes(other.record));
  const { interval = "1m" } = example;
  const fires = test(example, example.fires, "fires", [expectation(example, rule)]);
  const quiet = test(example, example.quiet, "quiet", []);
  return {
    rules: { groups: [toPrometheus({ name: "example", rules: [...recordings, rule] })] },
    tests: { rule_files: [ruleFile], evaluation_interval: interval, tests: [fires, quiet] },
  };
}

function test({ alert, at, interval = "1m" }: Example, series: Series, name: string, exp_alerts: readonly object[]) {
  return {
    name: `${alert} ${name}`,
    interval,
    input_series: Object.entries(series).map(([series, values]) => ({ series, values })),
    alert_rule_test: [{ alertname: alert, eval_time: at, exp_alerts }],
  };
}

function expectation({ labels, summary }: Example, rule: Alert): object {
  const { severity, description } = rule;
  return {
    exp_labels: { namespace: "shop", severity, ...rule.labels, ...labels },
    exp_annotations: { summary, description, runbook_url: runbookOf(rule) },
  };
}
