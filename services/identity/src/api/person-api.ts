import type { ServiceImpl } from "@connectrpc/connect";
import {
  type ChangePasswordRequest,
  ChangePasswordResponseSchema,
  type PersonService,
} from "#gen/shop/identity/v1/person_service_pb.js";
import { requestContext } from "#platform/context.ts";
import { whole } from "#platform/whole.ts";
import type { Postman } from "../person/mail.ts";
import type { PasswordHash } from "../person/password-hash.ts";
import type { LoggedIn, PasswordProof } from "../person/password-proof.ts";
import { requireStrong } from "../person/password-rules.ts";
import type { PersonRepository } from "../person/person.repository.ts";
import { sessionOver } from "../proof/errors.ts";

/** What people work with who have logged in. */
export interface PersonApiOptions {
  readonly people: PersonRepository;
  readonly proof: PasswordProof;
  readonly passwords: PasswordHash;
  readonly minLength: number;
  readonly postman: Postman;
}

/** Who calls, in which session. */
function loggedIn(): LoggedIn {
  const { caller, owner } = requestContext();
  if (owner === undefined || caller?.session === undefined) throw sessionOver();
  return { personId: owner, sessionId: caller.session };
}

/** PersonService, as its proto says. */
export class PersonApi implements ServiceImpl<typeof PersonService> {
  readonly #options: PersonApiOptions;

  constructor(options: PersonApiOptions) {
    this.#options = options;
  }

  /** Sets another password. What is too weak is refused before the old one is looked at, and so costs no attempt. */
  async changePassword({ password, newPassword }: ChangePasswordRequest) {
    const { people, proof, passwords, minLength, postman } = this.#options;
    const who = loggedIn();
    const person = await proof.known(who);
    await requireStrong(newPassword, { email: person.email, minLength });
    await proof.again(person, password);
    const change = { person, sessionId: who.sessionId, password: await passwords.hash(newPassword) };
    const endedSessions = await people.changePassword(change);
    postman.tell("password_changed", person.email);
    return whole(ChangePasswordResponseSchema, { endedSessions });
  }
}
