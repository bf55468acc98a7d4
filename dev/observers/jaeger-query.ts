import { within } from "../process/within.ts";

/** One span as Jaeger's query API gives it, of what is used here. */
export interface JaegerSpan {
  readonly traceID: string;
  readonly spanID: string;
  readonly operationName: string;
  /** The process that made it: a key of the trace's `processes`. */
  readonly processID: string;
  /** Its parent is the CHILD_OF of its own trace; links are the others. */
  readonly references: readonly { readonly refType: string; readonly traceID: string; readonly spanID: string }[];
  /** Microseconds since 1970, and microseconds. */
  readonly startTime: number;
  readonly duration: number;
  readonly tags: readonly { readonly key: string; readonly value: unknown }[];
}

/** One trace as Jaeger's query API gives it. */
export interface JaegerTrace {
  readonly traceID: string;
  readonly spans: readonly JaegerSpan[];
  readonly processes: Readonly<Record<string, { readonly serviceName: string }>>;
}

/** How long Jaeger may take to answer. */
const answerWithinMs = 10_000;
/** So many traces are asked for at most. */
const limit = 200;

/** Asks a Jaeger what it knows (https://www.jaegertracing.io/docs/1.62/apis/: its JSON API for the UI). */
export class JaegerQuery {
  readonly url: string;

  /** @param url for example `http://127.0.0.1:16686` */
  constructor(url: string) {
    this.url = url;
  }

  /** A trace by its id; undefined when Jaeger does not know it (yet). */
  async trace(traceId: string): Promise<JaegerTrace | undefined> {
    const [trace] = await this.#ask(`/api/traces/${traceId}`);
    return trace;
  }

  /** The traces in which a span of this service has these attributes. */
  find(service: string, attributes: Readonly<Record<string, string>>): Promise<JaegerTrace[]> {
    const query = new URLSearchParams({ service, tags: JSON.stringify(attributes), limit: String(limit) });
    return this.#ask(`/api/traces?${query}`);
  }

  /** The latest traces in which a service takes part, up to 200. */
  latest(service: string): Promise<JaegerTrace[]> {
    return this.#ask(`/api/traces?${new URLSearchParams({ service, limit: String(limit) })}`);
  }

  /**
   * The trace of one order: the one in which it was created, or else its root in the orders service. Undefined while Jaeger
   * has none. A repeated call to create it has a trace of its own, with little more than the answer in it.
   */
  async orderTrace(orderId: string): Promise<JaegerTrace | undefined> {
    const about = { "order.id": orderId };
    // Asked for by itself: whoever watches an order leaves more traces than Jaeger is asked for at once.
    const created = await this.find("orders", { ...about, "rpc.method": "CreateOrder" });
    const traces = created.length > 0 ? created : await this.find("orders", about);
    return traces.toSorted((a, b) => b.spans.length - a.spans.length)[0];
  }

  async #ask(path: string): Promise<JaegerTrace[]> {
    const answer = await fetch(`${this.url}${path}`, { signal: AbortSignal.timeout(answerWithinMs) });
    const body = (await answer.json()) as { data: JaegerTrace[] | null };
    // A trace that it does not know is a 404 with an empty list.
    if (!answer.ok && answer.status !== 404) throw new Error(`Jaeger answered ${answer.status} to ${path}`);
    return body.data ?? [];
  }
}

/** The value of an attribute. */
export function tagOf({ tags }: JaegerSpan, key: string): unknown {
  return tags.find((tag) => tag.key === key)?.value;
}

/** The service that made a span. */
export function serviceOf({ processes }: JaegerTrace, { processID }: JaegerSpan): string {
  return processes[processID]?.serviceName ?? "";
}

/** The parent of a span within its trace, if Jaeger has it. */
export function parentOf({ spans, traceID }: JaegerTrace, span: JaegerSpan): JaegerSpan | undefined {
  const parent = span.references.find(({ refType, traceID: of }) => refType === "CHILD_OF" && of === traceID);
  return parent && spans.find(({ spanID }) => spanID === parent.spanID);
}

/** The spans of other traces that a span is linked to. */
export function linksOf({ traceID, references }: JaegerSpan): { traceID: string; spanID: string }[] {
  return references
    .filter((reference) => reference.traceID !== traceID)
    .map(({ traceID: of, spanID }) => ({ traceID: of, spanID }));
}

/** Which service called which within a trace, as `orders → worker`, sorted, each once. */
export function edgesOf(trace: JaegerTrace): string[] {
  const edges = trace.spans.flatMap((span) => {
    const parent = parentOf(trace, span);
    const [from, to] = [parent && serviceOf(trace, parent), serviceOf(trace, span)];
    return from === undefined || from === to ? [] : [`${from} → ${to}`];
  });
  return [...new Set(edges)].sort();
}

/** Asks until there is an answer that satisfies. @throws Error with the last answer, shortened, after the deadline */
export async function untilSeen<T>(
  ask: () => Promise<T | undefined>,
  satisfies: (answer: T) => boolean,
  deadlineMs: number,
): Promise<T> {
  let last: T | undefined;
  const look = async () => {
    last = await ask();
    return last !== undefined && satisfies(last);
  };
  if ((await within(deadlineMs, look, 200)) && last !== undefined) return last;
  throw new Error(`not within ${deadlineMs} ms; the last answer was ${JSON.stringify(last)?.slice(0, 2_000)}`);
}
