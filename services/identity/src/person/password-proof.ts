import type { Database } from "#platform/database/database.ts";
import { loginRefused, passwordRefused, sessionOver } from "../proof/errors.ts";
import { audited, effects } from "../proof/identity-audit.ts";
import type { IdentityMetrics } from "../proof/metrics.ts";
import type { LoginAttempts } from "./login-attempts.ts";
import type { PasswordHash } from "./password-hash.ts";
import type { KnownPerson, PersonRepository } from "./person.repository.ts";
import type { PersonAddresses } from "./person-address.ts";

/** What passwords are compared with, and where it is written down. */
export interface PasswordProofOptions {
  readonly database: Database;
  readonly people: PersonRepository;
  readonly attempts: LoginAttempts;
  readonly addresses: PersonAddresses;
  readonly passwords: PasswordHash;
  readonly metrics: IdentityMetrics;
}

/** Somebody who has logged in, and in which session. */
export interface LoggedIn {
  readonly personId: string;
  readonly sessionId: string;
}

/** Compares passwords that are shown. Attempts are counted for the address before, wherever it is shown. */
export class PasswordProof {
  readonly #options: PasswordProofOptions;

  constructor(options: PasswordProofOptions) {
    this.#options = options;
  }

  /** Who has this address and this password. Each way to a refusal takes the same steps, known address or not. @throws LOGIN_REFUSED, TOO_MANY_ATTEMPTS */
  async login(email: string, password: string): Promise<KnownPerson> {
    await this.#begin(email);
    const person = await this.#options.people.findByEmail(email);
    const right = await this.#isRight(password, person);
    if (person && right) return person;
    // Nobody's id is the empty text, so that it takes as long.
    await this.#write("login.refused", person?.personId ?? "");
    throw loginRefused();
  }

  /** Somebody whose session goes on, for what may be refused before the password is asked for. @throws SESSION_OVER */
  async known({ personId, sessionId }: LoggedIn): Promise<KnownPerson> {
    const person = await this.#options.people.findInSession(personId, sessionId);
    if (!person) throw sessionOver();
    return person;
  }

  /** The same password once more, of somebody who has logged in. @throws PASSWORD_REFUSED, TOO_MANY_ATTEMPTS */
  async again(person: KnownPerson, password: string): Promise<void> {
    const { attempts, addresses } = this.#options;
    await this.#begin(person.email);
    if (await this.#isRight(password, person)) return attempts.succeeded(await addresses.countedBy(person.email));
    await this.#write("password.refused", person.personId);
    throw passwordRefused();
  }

  async #begin(email: string): Promise<void> {
    const { attempts, addresses, metrics } = this.#options;
    await attempts.begin(await addresses.countedBy(email)).catch((error: unknown) => {
      metrics.proved("password", "delayed");
      throw error;
    });
  }

  async #isRight(password: string, person: KnownPerson | undefined): Promise<boolean> {
    const { passwords, metrics } = this.#options;
    const right = await passwords.verify(password, person?.password);
    metrics.proved("password", right ? "accepted" : "refused");
    return right;
  }

  async #write(action: "login.refused" | "password.refused", subject: string): Promise<void> {
    await this.#options.database.query(audited, [effects({ action, subject })]);
  }
}
