import { Counter, Gauge, type Registry } from "prom-client";
import type { ReviewDecision } from "../order/review-state.ts";
import { type Finding, reasons, verdicts } from "./rules.ts";

const decisions = ["released", "refused", "expired"] as const satisfies readonly ReviewDecision[];

/** What is counted of screening and of reviews. */
export class ScreeningMetrics {
  readonly reviews: Gauge;
  readonly oldestReview: Gauge;
  readonly #screened: Counter<"verdict">;
  readonly #hits: Counter<"rule" | "verdict">;
  readonly #decided: Counter<"decision">;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#screened = new Counter({
      name: "orders_screened_total",
      help: "Orders, and what orders were to become, that were screened for fraud, by verdict: pass, review, refuse.",
      labelNames: ["verdict"],
      registers,
    });
    this.#hits = new Counter({
      name: "orders_screening_hits_total",
      help: "What rules of screening said of orders, by rule and verdict; an order counts for each rule that says something.",
      labelNames: ["rule", "verdict"],
      registers,
    });
    this.#decided = new Counter({
      name: "orders_reviews_decided_total",
      help: "Orders under review about which was decided: released, refused, or expired because nobody did in time.",
      labelNames: ["decision"],
      registers,
    });
    this.reviews = new Gauge({
      name: "orders_in_review",
      help: "Orders that wait for a person to decide whether they go on.",
      registers,
    });
    this.oldestReview = new Gauge({
      name: "orders_oldest_review_seconds",
      help: "How long the oldest order waits for a person to decide whether it goes on; 0 when there is none.",
      registers,
    });
    for (const verdict of verdicts) this.#screened.inc({ verdict }, 0);
    for (const rule of reasons) for (const verdict of ["review", "refuse"]) this.#hits.inc({ rule, verdict }, 0);
    for (const decision of decisions) this.#decided.inc({ decision }, 0);
  }

  /** An order was screened. */
  screened({ verdict, hits }: Finding): void {
    this.#screened.inc({ verdict });
    for (const { reason: rule, verdict: said } of hits) this.#hits.inc({ rule, verdict: said });
  }

  /** Somebody decided about an order, or nobody in time. */
  decided(decision: ReviewDecision, count: number): void {
    this.#decided.inc({ decision }, count);
  }
}
