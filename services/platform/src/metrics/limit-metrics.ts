import { Counter, type Registry } from "prom-client";
import { callerKinds, type Decision } from "#platform/limits/decision.ts";
import { type RateClassName, rateClasses } from "#platform/limits/rate-class.ts";

type Labels = "class" | "by" | "decision";

/** What was decided about calls that are counted for their callers. */
export class LimitMetrics {
  readonly #decisions: Counter<Labels>;
  /** Looked up once: there is a decision for each call. */
  readonly #series = new Map<string, Counter.Internal>();

  constructor(registry: Registry) {
    this.#decisions = new Counter({
      name: "rpc_server_limit_decisions_total",
      help: "Calls that were counted for their callers: by their class, by what the caller is known (its credential, or its address), and whether they passed or were refused because it had called too often.",
      labelNames: ["class", "by", "decision"],
      registers: [registry],
    });
    for (const name of rateClasses) {
      for (const by of callerKinds) for (const refused of [false, true]) this.#add({ class: name, by, refused });
    }
  }

  /** Notes a decision. */
  decided(decision: Decision): void {
    this.#series.get(keyOf(decision))?.inc();
  }

  #add(decision: Decision): void {
    const { class: name, by, refused } = decision;
    const series = this.#decisions.labels({ class: name, by, decision: refused ? "refused" : "passed" });
    series.inc(0);
    this.#series.set(keyOf(decision), series);
  }
}

function keyOf({ class: name, by, refused }: { class: RateClassName } & Omit<Decision, "class">): string {
  return `${name} ${by} ${refused}`;
}
