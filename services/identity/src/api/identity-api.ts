import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type ExchangeApiKeyRequest,
  ExchangeApiKeyResponseSchema,
  type IdentityService,
  type LoginRequest,
  LoginResponseSchema,
  type LogoutEverywhereRequest,
  LogoutEverywhereResponseSchema,
  type LogoutRequest,
  LogoutResponseSchema,
  type MailPasswordTokenRequest,
  MailPasswordTokenResponseSchema,
  type RefreshRequest,
  RefreshResponseSchema,
  type SetPasswordRequest,
  SetPasswordResponseSchema,
} from "#gen/shop/identity/v1/identity_service_pb.js";
import { rolesOf } from "#platform/authorization/token-verifier.ts";
import { whole } from "#platform/whole.ts";
import type { CodeProof } from "../factor/code-proof.ts";
import type { RequiredRoles } from "../factor/required-roles.ts";
import type { ApiKeyRepository } from "../key/api-key.repository.ts";
import type { Postman } from "../mail/mail.ts";
import type { PasswordHash } from "../person/password-hash.ts";
import type { PasswordProof } from "../person/password-proof.ts";
import { requireStrong } from "../person/password-rules.ts";
import type { PersonRepository } from "../person/person.repository.ts";
import { codeRequired } from "../proof/errors.ts";
import type { IdentityMetrics } from "../proof/metrics.ts";
import type { AccessTokens } from "../session/access-tokens.ts";
import type { Session, SessionRepository } from "../session/session.repository.ts";
import { toTokens } from "./identity-proto.ts";

/** What people prove who they are with. */
export interface IdentityApiOptions {
  readonly people: PersonRepository;
  readonly proof: PasswordProof;
  readonly codes: CodeProof;
  readonly requiredRoles: RequiredRoles;
  readonly passwords: PasswordHash;
  readonly minLength: number;
  readonly postman: Postman;
  readonly mailTtlMs: number;
  readonly sessions: SessionRepository;
  readonly accessTokens: AccessTokens;
  readonly keys: ApiKeyRepository;
  readonly metrics: IdentityMetrics;
}

/** IdentityService, as its proto says. */
export class IdentityApi implements ServiceImpl<typeof IdentityService> {
  readonly #options: IdentityApiOptions;

  constructor(options: IdentityApiOptions) {
    this.#options = options;
  }

  /** Sends a token; nobody waits for it, so that the answer says nothing of the address. */
  async mailPasswordToken({ email }: MailPasswordTokenRequest) {
    const { people, postman, mailTtlMs } = this.#options;
    postman.post(() => people.newToken(email, mailTtlMs));
    return whole(MailPasswordTokenResponseSchema, {});
  }

  /** Sets the password of whoever got the token. */
  async setPassword({ token, password }: SetPasswordRequest) {
    const { people, passwords, minLength, postman } = this.#options;
    await requireStrong(password, { email: await people.emailOf(token), minLength });
    const { personId, email, created } = await people.setPassword(token, await passwords.hash(password));
    if (!created) postman.tell("password_changed", email);
    return whole(SetPasswordResponseSchema, { personId });
  }

  /** Begins a session. */
  async login({ email, password, code }: LoginRequest) {
    const { proof, codes, sessions, requiredRoles } = this.#options;
    const person = await proof.login(email, password);
    if (person.secondFactor) {
      if (code === "") throw codeRequired();
      await codes.prove(person, code);
    }
    const session = await sessions.begin(person);
    const { withheld } = requiredRoles.of(person.roles, person.secondFactor);
    return whole(LoginResponseSchema, {
      personId: person.personId,
      tokens: await this.#tokensOf(session),
      withheldRoles: [...rolesOf(withheld)],
    });
  }

  /** Goes on with a session. */
  async refresh({ refreshToken }: RefreshRequest) {
    const session = await this.#counted("refresh", this.#options.sessions.refresh(refreshToken));
    return whole(RefreshResponseSchema, { tokens: await this.#tokensOf(session) });
  }

  /** Ends a session. */
  async logout({ refreshToken }: LogoutRequest) {
    await this.#options.sessions.end(refreshToken);
    return whole(LogoutResponseSchema, {});
  }

  /** Ends all sessions of a person. */
  async logoutEverywhere({ refreshToken }: LogoutEverywhereRequest) {
    await this.#options.sessions.endAll(refreshToken);
    return whole(LogoutEverywhereResponseSchema, {});
  }

  /** Gives the holder of a key an access token. */
  async exchangeApiKey({ apiKey }: ExchangeApiKeyRequest) {
    const { keys, accessTokens } = this.#options;
    const token = await accessTokens.give(await this.#counted("api_key", keys.holderOf(apiKey)));
    const accessExpireTime = timestampFromDate(token.expireTime);
    return whole(ExchangeApiKeyResponseSchema, { accessToken: token.text, accessExpireTime });
  }

  async #tokensOf(session: Session) {
    const { personId: subject, sessionId, secondFactor } = session;
    const { accessTokens, requiredRoles } = this.#options;
    const { given: roles } = requiredRoles.of(session.roles, secondFactor);
    const methods = secondFactor ? ["pwd", "otp", "mfa"] : ["pwd"];
    return toTokens(await accessTokens.give({ subject, sessionId, roles, methods }), session);
  }

  async #counted<T>(kind: "refresh" | "api_key", proof: Promise<T>): Promise<T> {
    try {
      const proved = await proof;
      this.#options.metrics.proved(kind, "accepted");
      return proved;
    } catch (error) {
      this.#options.metrics.proved(kind, "refused");
      throw error;
    }
  }
}
