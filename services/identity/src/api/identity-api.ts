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
import { detached } from "#platform/context.ts";
import type { Logger } from "#platform/log/logger.ts";
import { whole } from "#platform/whole.ts";
import type { ApiKeyRepository } from "../key/api-key.repository.ts";
import type { LoginAttempts } from "../person/login-attempts.ts";
import type { Mail } from "../person/mail.ts";
import type { PasswordHash } from "../person/password-hash.ts";
import { requireStrong } from "../person/password-rules.ts";
import type { PersonRepository } from "../person/person.repository.ts";
import { loginRefused } from "../proof/errors.ts";
import type { IdentityMetrics, ProofKind } from "../proof/metrics.ts";
import type { AccessTokens } from "../session/access-tokens.ts";
import type { Session, SessionRepository } from "../session/session.repository.ts";
import { toTokens } from "./identity-proto.ts";

/** What people prove who they are with. */
export interface IdentityApiOptions {
  readonly people: PersonRepository;
  readonly attempts: LoginAttempts;
  readonly passwords: PasswordHash;
  readonly minLength: number;
  readonly mail: Mail;
  readonly mailTtlMs: number;
  readonly sessions: SessionRepository;
  readonly accessTokens: AccessTokens;
  readonly keys: ApiKeyRepository;
  readonly metrics: IdentityMetrics;
  readonly log: Pick<Logger, "error">;
}

/** IdentityService, as its proto says. */
export class IdentityApi implements ServiceImpl<typeof IdentityService> {
  readonly #options: IdentityApiOptions;

  constructor(options: IdentityApiOptions) {
    this.#options = options;
  }

  /** Sends a token; nobody waits for it, so that the answer says nothing of the address. */
  async mailPasswordToken({ email }: MailPasswordTokenRequest) {
    const { log } = this.#options;
    detached(() => this.#sendToken(email)).catch((error: unknown) => log.error("a mail was not sent", { err: error }));
    return whole(MailPasswordTokenResponseSchema, {});
  }

  /** Sets the password of whoever got the token. */
  async setPassword({ token, password }: SetPasswordRequest) {
    const { people, passwords, minLength } = this.#options;
    await requireStrong(password, { email: await people.emailOf(token), minLength });
    const personId = await people.setPassword(token, await passwords.hash(password));
    return whole(SetPasswordResponseSchema, { personId });
  }

  /** Begins a session. Each way to a refusal takes the same steps, known address or not. */
  async login({ email, password }: LoginRequest) {
    const { attempts, people, passwords, sessions, metrics } = this.#options;
    await attempts.begin(email).catch((error: unknown) => {
      metrics.proved("password", "delayed");
      throw error;
    });
    const person = await people.findByEmail(email);
    if (!(await passwords.verify(password, person?.password)) || !person) {
      await sessions.refused(person?.personId);
      metrics.proved("password", "refused");
      throw loginRefused();
    }
    metrics.proved("password", "accepted");
    const session = await sessions.begin(person);
    return whole(LoginResponseSchema, { personId: person.personId, tokens: await this.#tokensOf(session) });
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

  async #sendToken(email: string): Promise<void> {
    const { people, mail, mailTtlMs } = this.#options;
    const made = await people.newToken(email, mailTtlMs);
    if (made) await mail.send(made);
  }

  async #tokensOf(session: Session) {
    const { personId: subject, sessionId, roles } = session;
    return toTokens(await this.#options.accessTokens.give({ subject, sessionId, roles }), session);
  }

  async #counted<T>(kind: Exclude<ProofKind, "password">, proof: Promise<T>): Promise<T> {
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
