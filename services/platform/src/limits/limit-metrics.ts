import { Counter, Gauge, type Registry } from "prom-client";
import { callerKinds, type Decision } from "./decision.ts";
import type { Ledger } from "./ledger.ts";
import { type RateClassName, rateClasses } from "./rate-class.ts";

type Labels = "class" | "by" | "decision";

/** What was decided about calls that are counted for their callers. */
export class LimitMetrics {
  readonly #decisions: Counter<Labels>;
  /** Looked up once: there is a decision for each call. */
  readonly #series = new Map<string, Counter.Internal>();

  /** @param ledger where replicas tell each other what callers have used; undefined when there is none */
  constructor(registry: Registry, ledger: Pick<Ledger, "isThere"> | undefined) {
    new Gauge({
      name: "rpc_server_limits_apart",
      help: "1 while replicas should share their limits by a store that does not answer, so that each keeps its part of them; else 0.",
      registers: [registry],
      collect() {
        this.set(ledger === undefined || ledger.isThere ? 0 : 1);
      },
    });
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
