import { IdentityErrorReason } from "#gen/shop/identity/v1/identity_error_reason_pb.js";
import type { Database } from "#platform/database/database.ts";
import type { Postman } from "../mail/mail.ts";
import type { Person } from "../person/person.ts";
import { codeRefused, IdentityError } from "../proof/errors.ts";
import { audited, effects } from "../proof/identity-audit.ts";
import type { IdentityMetrics } from "../proof/metrics.ts";
import { stepOf } from "./one-time-code.ts";
import type { Attempt, FactorState, SecondFactorRepository } from "./second-factor.repository.ts";

/** What codes are compared with, and where it is written down. */
export interface CodeProofOptions {
  readonly database: Database;
  readonly factors: SecondFactorRepository;
  readonly metrics: IdentityMetrics;
  readonly postman: Postman;
  /** After so many wrong codes in a row the person is told. */
  readonly tellAfter: number;
}

/** What an app shows; anything else may be for recovery. */
const ofApp = /^[0-9]{6}$/;

/** Compares codes that are shown. Those of an app are counted before, and are good once; those for recovery cannot be guessed. */
export class CodeProof {
  readonly #options: CodeProofOptions;

  constructor(options: CodeProofOptions) {
    this.#options = options;
  }

  /** A code of somebody whose second factor counts. @throws CODE_REFUSED, TOO_MANY_ATTEMPTS, SECOND_FACTOR_MISSING */
  async prove(person: Person, code: string): Promise<void> {
    const { factors } = this.#options;
    const bare = code.trim();
    if (!ofApp.test(bare)) return this.#recover(person, bare);
    const { step, attempts } = await this.#compare(person, bare, "confirmed");
    if (step !== undefined && (await factors.take(person.personId, step))) {
      this.#options.metrics.proved("code", "accepted");
      return;
    }
    return this.#refuse(person, attempts);
  }

  /** The first code of one that waits for it. @returns its step @throws CODE_REFUSED, TOO_MANY_ATTEMPTS, SECOND_FACTOR_MISSING */
  async first(person: Person, code: string): Promise<number> {
    const { step, attempts } = await this.#compare(person, code.trim(), "waiting");
    if (step === undefined) return this.#refuse(person, attempts);
    this.#options.metrics.proved("code", "accepted");
    return step;
  }

  async #compare(
    { personId }: Person,
    code: string,
    state: FactorState,
  ): Promise<{ step: number | undefined; attempts: number }> {
    const { secret, nowMs, attempts } = await this.#attempt(personId, state);
    return { step: secret === undefined ? undefined : stepOf(secret, code, nowMs), attempts };
  }

  async #attempt(personId: string, state: FactorState): Promise<Attempt> {
    try {
      return await this.#options.factors.attempt(personId, state);
    } catch (error) {
      const isDelayed = error instanceof IdentityError && error.reason === IdentityErrorReason.TOO_MANY_ATTEMPTS;
      if (isDelayed) this.#options.metrics.proved("code", "delayed");
      throw error;
    }
  }

  async #recover(person: Person, code: string): Promise<void> {
    const { factors, metrics, postman, database } = this.#options;
    const left = await factors.useRecoveryCode(person.personId, code);
    metrics.proved("recovery_code", left === undefined ? "refused" : "accepted");
    if (left !== undefined) return postman.tell("recovery_code_used", person.email);
    await database.query(audited, [effects({ action: "code.refused", subject: person.personId })]);
    throw codeRefused();
  }

  async #refuse({ personId, email }: Person, attempts: number): Promise<never> {
    const { metrics, postman, database, tellAfter } = this.#options;
    metrics.proved("code", "refused");
    await database.query(audited, [effects({ action: "code.refused", subject: personId })]);
    if (attempts === tellAfter) postman.tell("codes_refused", email);
    throw codeRefused();
  }
}
