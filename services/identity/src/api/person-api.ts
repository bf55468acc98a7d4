import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type ChangePasswordRequest,
  ChangePasswordResponseSchema,
  type ConfirmSecondFactorRequest,
  ConfirmSecondFactorResponseSchema,
  type DisableSecondFactorRequest,
  DisableSecondFactorResponseSchema,
  type EnrollSecondFactorRequest,
  EnrollSecondFactorResponseSchema,
  type ErasePersonRequest,
  ErasePersonResponseSchema,
  type ExportPersonRequest,
  ExportPersonResponseSchema,
  type PersonService,
} from "#gen/shop/identity/v1/person_service_pb.js";
import { requestContext } from "#platform/context.ts";
import { whole } from "#platform/whole.ts";
import type { CodeProof } from "../factor/code-proof.ts";
import { newSecretOfCodes, uriOf } from "../factor/one-time-code.ts";
import type { SecondFactorRepository } from "../factor/second-factor.repository.ts";
import type { Postman } from "../mail/mail.ts";
import type { PasswordHash } from "../person/password-hash.ts";
import type { LoggedIn, PasswordProof } from "../person/password-proof.ts";
import { requireStrong } from "../person/password-rules.ts";
import type { PersonRepository } from "../person/person.repository.ts";
import type { PersonErasure } from "../person/person-erasure.repository.ts";
import {
  codeRequired,
  secondFactorExists,
  secondFactorMissing,
  secondFactorUnavailable,
  sessionOver,
} from "../proof/errors.ts";
import { toPersonProto } from "./identity-proto.ts";

/** What people work with who have logged in. */
export interface PersonApiOptions {
  readonly people: PersonRepository;
  readonly proof: PasswordProof;
  readonly passwords: PasswordHash;
  readonly minLength: number;
  readonly factors: SecondFactorRepository;
  readonly codes: CodeProof;
  readonly erasure: PersonErasure;
  /** Who we are, as the app writes it. */
  readonly issuer: string;
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

  /** Begins a second factor. */
  async enrollSecondFactor({ password }: EnrollSecondFactorRequest) {
    const { proof, factors, issuer } = this.#options;
    const person = await proof.known(loggedIn());
    if (!factors.isAvailable) throw secondFactorUnavailable();
    if (person.secondFactor) throw secondFactorExists();
    await proof.again(person, password);
    const secret = newSecretOfCodes();
    const expireTime = timestampFromDate(await factors.begin(person.personId, secret));
    return whole(EnrollSecondFactorResponseSchema, {
      otpauthUri: uriOf(secret, { issuer, label: person.email }),
      expireTime,
    });
  }

  /** Has the second factor count from now on. */
  async confirmSecondFactor({ code }: ConfirmSecondFactorRequest) {
    const { proof, factors, codes, postman } = this.#options;
    const who = loggedIn();
    const person = await proof.known(who);
    const confirmed = await factors.confirm(who, await codes.first(person, code));
    postman.tell("second_factor_confirmed", person.email);
    return whole(ConfirmSecondFactorResponseSchema, {
      recoveryCodes: confirmed.codes,
      endedSessions: confirmed.ended,
    });
  }

  /** Takes the second factor away. */
  async disableSecondFactor({ password, code }: DisableSecondFactorRequest) {
    const { proof, factors, codes, postman } = this.#options;
    const who = loggedIn();
    const person = await proof.known(who);
    if (!person.secondFactor) throw secondFactorMissing();
    await proof.again(person, password);
    await codes.prove(person, code);
    const endedSessions = await factors.disable(who);
    postman.tell("second_factor_disabled", person.email);
    return whole(DisableSecondFactorResponseSchema, { endedSessions });
  }

  /** Tells what is kept about a person. */
  async exportPerson({ personId }: ExportPersonRequest) {
    const { people, erasure } = this.#options;
    const person = toPersonProto(await people.get(personId));
    const { openSessions, recoveryCodes: recoveryCodesLeft } = await erasure.keptOf(personId);
    return whole(ExportPersonResponseSchema, { person, openSessions, recoveryCodesLeft });
  }

  /** Forgets who a person is; whoever wants that of themselves proves to be it once more. */
  async erasePerson({ personId, password, code }: ErasePersonRequest) {
    const { people, erasure, proof, codes } = this.#options;
    if (requestContext().owner !== undefined) {
      const person = await proof.known(loggedIn());
      await proof.again(person, password);
      if (person.secondFactor && code === "") throw codeRequired();
      if (person.secondFactor) await codes.prove(person, code);
    }
    const eraseTime = timestampFromDate(await erasure.erase(await people.get(personId)));
    return whole(ErasePersonResponseSchema, { eraseTime });
  }
}
