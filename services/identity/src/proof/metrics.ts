import { Counter, type Registry } from "prom-client";
import { type MailKind, type MailOutcome, mailKinds, mailOutcomes } from "../mail/mail.ts";

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
  readonly #mails: Counter<"kind" | "outcome">;

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
    this.#mails = new Counter({
      name: "identity_mails_total",
      help: "Mails to people who log in, by kind and outcome; deferred: the mail server did not take it, and it is tried again.",
      labelNames: ["kind", "outcome"],
      registers: [registry],
    });
    for (const kind of mailKinds) for (const outcome of mailOutcomes) this.#mails.inc({ kind, outcome }, 0);
  }

  /** Counts a mail that was sent or failed, or an attempt that was put off. */
  mailed(kind: MailKind, outcome: MailOutcome): void {
    this.#mails.inc({ kind, outcome });
  }

  /** Counts something that was shown. */
  proved<Kind extends ProofKind>(kind: Kind, outcome: (typeof outcomes)[Kind][number]): void {
    this.#proofs.inc({ kind, outcome });
  }
}
