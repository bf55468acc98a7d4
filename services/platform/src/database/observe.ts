import { type Attributes, type Span, SpanKind, type SpanOptions } from "@opentelemetry/api";
import { statements } from "#platform/metrics/process-metrics.ts";
import { activeSpan, endSpan, startSpan } from "#platform/trace/spans.ts";
import type { SqlText } from "./sql-text.ts";

/** How much of a statement stands on its span, in characters. */
const longestText = 2_000;

/** What is the same for all runs of a statement. */
interface KnownStatement {
  readonly span: { readonly name: string; readonly options: SpanOptions };
  readonly ok: { observe(seconds: number): void };
  readonly failed: { observe(seconds: number): void };
}

const known = new Map<string, KnownStatement>();

function recorders(statement: string): Pick<KnownStatement, "ok" | "failed"> {
  const ok = statements.labels({ statement, outcome: "ok" });
  return { ok, failed: statements.labels({ statement, outcome: "failed" }) };
}

const unnamed = recorders("unnamed");

/** The first word, and the first table behind it: as much as a statement without a name says about itself. */
function summaryOf(text: string): { operation: string; summary: string } {
  const operation = text.match(/^\s*(\w+)/)?.[1]?.toUpperCase() ?? "SQL";
  const table = text.match(/\b(?:from|into|update|join)\s+"?([a-z_][\w.]{0,62})/i)?.[1];
  return { operation, summary: table ? `${operation} ${table}` : operation };
}

/** The span of a statement, as OpenTelemetry's semantic conventions for databases have it. Never has values. */
function spanOf(text: string, name?: string): KnownStatement["span"] {
  const { operation, summary } = summaryOf(text);
  const short = text.replace(/\s+/g, " ").trim().slice(0, longestText);
  const attributes: Attributes = {
    "db.system.name": "postgresql",
    "db.operation.name": operation,
    "db.query.summary": name ?? summary,
    "db.query.text": short,
  };
  return { name: name ?? summary, options: { kind: SpanKind.CLIENT, attributes } };
}

/** Names come from code, so their number is bounded. */
function knownStatement({ name, text }: SqlText): KnownStatement {
  const found = known.get(name);
  if (found) return found;
  const made = { span: spanOf(text, name), ...recorders(name) };
  known.set(name, made);
  return made;
}

/** One statement that runs. */
export class RunningStatement {
  readonly #known: Pick<KnownStatement, "ok" | "failed">;
  readonly #span: Span | undefined;
  readonly #since = performance.now();

  /** Begins a span when the work that asks for the statement is in a trace that is kept. */
  constructor(sql: SqlText | string, namespace: string | undefined) {
    const named = typeof sql === "string" ? undefined : knownStatement(sql);
    this.#known = named ?? unnamed;
    if (!activeSpan()) return;
    const { name, options } = named?.span ?? spanOf(String(sql));
    this.#span = startSpan(name, options);
    if (namespace) this.#span?.setAttribute("db.namespace", namespace);
  }

  /** To be called once, when the statement has ended. */
  end(error?: unknown): void {
    const seconds = (performance.now() - this.#since) / 1_000;
    (error === undefined ? this.#known.ok : this.#known.failed).observe(seconds);
    endSpan(this.#span, error);
  }
}

/** A statement of MikroORM, which tells about it when it has ended. */
export interface EndedStatement {
  readonly query: string;
  /** Milliseconds; undefined for what is no statement of its own, such as `begin`. */
  readonly took?: number;
  readonly level?: string;
}

/** Notes a statement that has ended. */
export function noteStatement({ query, took, level }: EndedStatement, namespace: string): void {
  if (took === undefined) return;
  const failed = level === "error";
  (failed ? unnamed.failed : unnamed.ok).observe(took / 1_000);
  if (!activeSpan()) return;
  const { name, options } = spanOf(query);
  const attributes = { ...options.attributes, "db.namespace": namespace };
  const span = startSpan(name, { ...options, attributes, startTime: Date.now() - took });
  endSpan(span, failed ? new Error("the statement failed") : undefined);
}
