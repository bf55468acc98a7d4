import { Counter, type Registry } from "prom-client";

/** What is shown as a proof, and how it ended. */
const outcomes = {
  password: ["accepted", "refused", "delayed"],
  code: ["accepted", "refused", "delayed"],
  recovery_code: ["accepted", "refused"],
  refresh: ["accepted", "refused"],
  api_key: ["accepted", "refused"],
} as const;

/** What somebody shows. */
export type ProofKind = keyof typeof outcomes;

/** What the identity service counts. */
export class IdentityMetrics {
  readonly #proofs: Counter<"kind" | "outcome">;

  constructor(registry: Registry) {
    this.#proofs = new Counter({
      name: "identity_proofs_total",
      help: "Passwords, codes, refresh tokens and API keys that were shown, by outcome; delayed: too many were tried before.",
      labelNames: ["kind", "outcome"],
      registers: [registry],
    });
    for (const [kind, all] of Object.entries(outcomes)) {
      for (const outcome of all) this.#proofs.inc({ kind, outcome }, 0);
    }
  }

  /** Counts something that was shown. */
  proved<Kind extends ProofKind>(kind: Kind, outcome: (typeof outcomes)[Kind][number]): void {
    this.#proofs.inc({ kind, outcome });
  }
}
