/** A series that is computed from others ahead of time. */
export interface Recording {
  readonly record: string;
  readonly expr: string;
}

/** Whom an alert reaches: `page` wakes somebody, and only because customers are hurt; `ticket` is for working hours. */
export type Severity = "page" | "ticket";

/** Something that somebody should know about. */
export interface Alert {
  readonly alert: string;
  readonly severity: Severity;
  readonly expr: string;
  /** How long it must last. */
  readonly lasts: string;
  /** One line for the message: what is wrong, with the figure. May use Prometheus's templates. */
  readonly summary: string;
  /** What it means for customers, in one or two sentences without templates. */
  readonly description: string;
  /** Labels for all of its instances, where the expression has none: what grouping and inhibition go by. */
  readonly labels?: Readonly<Record<string, string>>;
}

/** Rules that are evaluated one after the other. */
export interface RuleGroup {
  readonly name: string;
  /** How often; default as the Prometheus's configuration says. */
  readonly interval?: string;
  readonly rules: readonly (Recording | Alert)[];
}

/** Whether a rule is an alert. */
export function isAlert(rule: Recording | Alert): rule is Alert {
  return "alert" in rule;
}

/** The alert's runbook: its name in kebab case. */
export function runbookOf({ alert }: Pick<Alert, "alert">): string {
  return `docs/runbooks/${alert.replaceAll(/(?<=[a-z0-9])(?=[A-Z])/g, "-").toLowerCase()}.md`;
}

/** A group as Prometheus reads it. */
export function toPrometheus(group: RuleGroup): object {
  const { name, interval, rules } = group;
  return { name, ...(interval && { interval }), rules: rules.map(toRule) };
}

function toRule(rule: Recording | Alert): object {
  if (!isAlert(rule)) return { record: rule.record, expr: oneSpaced(rule.expr) };
  const { alert, severity, expr, lasts, summary, description, labels } = rule;
  return {
    alert,
    expr: oneSpaced(expr),
    for: lasts,
    labels: { severity, ...labels },
    annotations: { summary, description, runbook_url: runbookOf(rule) },
  };
}

/** An expression without the line breaks and indents of its source. */
export function oneSpaced(expression: string): string {
  return expression.trim().replaceAll(/\s+/g, " ");
}
