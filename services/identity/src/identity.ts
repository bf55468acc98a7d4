import type { Registry } from "prom-client";
import { IdentityAdminService } from "#gen/shop/identity/v1/identity_admin_service_pb.js";
import { IdentityService } from "#gen/shop/identity/v1/identity_service_pb.js";
import { PersonService } from "#gen/shop/identity/v1/person_service_pb.js";
import { AuditTrail, type AuditTrailOptions } from "#platform/audit/audit-trail.ts";
import { TokenVerifier } from "#platform/authorization/token-verifier.ts";
import { Relay } from "#platform/batch/relay.ts";
import type { Database } from "#platform/database/database.ts";
import { createEventFeed } from "#platform/events/event-feed.ts";
import type { Logger } from "#platform/log/logger.ts";
import { mailServerOf } from "#platform/mail/mail-config.ts";
import { PageTokens } from "#platform/page-token.ts";
import { personalDataOf } from "#platform/personal/personal-config.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { PersonalSweep } from "#platform/personal/personal-sweep.ts";
import { register, type ServiceParts } from "#platform/process/service.ts";
import { StartError } from "#platform/process/startup.ts";
import { IdentityAdminApi } from "./api/identity-admin-api.ts";
import { IdentityApi } from "./api/identity-api.ts";
import { PersonApi } from "./api/person-api.ts";
import type { IdentityConfig } from "./config.ts";
import { CodeProof } from "./factor/code-proof.ts";
import { RequiredRoles } from "./factor/required-roles.ts";
import { SecondFactorRepository } from "./factor/second-factor.repository.ts";
import { ApiKeyRepository } from "./key/api-key.repository.ts";
import { type Mailer, MailFolder, NoMail, Postman } from "./mail/mail.ts";
import { SmtpMailer, type SmtpMailerOptions } from "./mail/smtp-mailer.ts";
import { LoginAttempts } from "./person/login-attempts.ts";
import { PasswordHash } from "./person/password-hash.ts";
import { PasswordProof } from "./person/password-proof.ts";
import { PersonRepository } from "./person/person.repository.ts";
import { PersonAddresses } from "./person/person-address.ts";
import { PersonErasure } from "./person/person-erasure.repository.ts";
import { identityEvents } from "./proof/identity-events.ts";
import { IdentityMetrics } from "./proof/metrics.ts";
import { AccessTokens, callerOf } from "./session/access-tokens.ts";
import { tokenPages } from "./session/documents.ts";
import { KeyRing } from "./session/key-ring.ts";
import { OwnCredentials } from "./session/own-credentials.ts";
import { SessionRepository } from "./session/session.repository.ts";
import { SigningKeyRepository } from "./session/signing-key.repository.ts";

/** What the identity service is built from; a test gives its own. */
export interface IdentityContext {
  readonly config: IdentityConfig;
  readonly database: Database;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Where the audit log is published: where the logger writes. */
  readonly output: AuditTrailOptions["output"];
}

/** The service, with what it works with. */
export interface IdentityParts extends ServiceParts {
  readonly ring: KeyRing;
}

/** How often is looked for a key that is due, and for sessions to forget, in milliseconds. */
const rotateEveryMs = 60_000;
const forgetEveryMs = 600_000;
/** Sessions that are forgotten with one statement. */
const forgetBatch = 1_000;
/** Addresses that are sealed with one transaction. */
const personalBatch = 100;

/** Builds the identity service. */
export async function buildIdentity(context: IdentityContext): Promise<IdentityParts> {
  const { config, database } = context;
  const personal = personalDataOf(config);
  if (config.SECOND_FACTOR_ROLES.length > 0 && !personal.keys) throw new StartError(noSecondFactor);
  const ring = buildRing(context);
  // Nothing can be signed without one, and the first call may want to.
  await ring.rotate();
  const keys = new ApiKeyRepository(database, {
    sha256: config.BOOTSTRAP_KEY_SHA256,
    roles: config.BOOTSTRAP_KEY_ROLES,
  });
  const tokens = { issuer: config.TOKEN_ISSUER, audience: config.TOKEN_AUDIENCE };
  const verifier = new TokenVerifier([{ ...tokens, keys: ring.verifying, callerOf }]);
  const ground: Ground = { ...context, personal, ring, keys, ...buildPeople(context, personal) };
  const audit = new AuditTrail({ service: "identity", ...context });
  const events = createEventFeed({ service: "identity", ...context, types: identityEvents });
  const background = [...buildLoops(ground), audit, events];
  return {
    ring,
    services: [
      register(IdentityService, buildApi(ground)),
      register(PersonService, buildPersonApi(ground)),
      register(IdentityAdminService, buildAdminApi(ground, verifier)),
      audit.registration,
    ],
    credentials: new OwnCredentials(verifier, keys),
    pages: tokenPages(config.TOKEN_ISSUER, ring),
    async start() {
      for (const each of background) each.start();
    },
    async stop() {
      await Promise.all([ground.mailer.stop?.(), ...background.map((each) => each.stop())]);
    },
  };
}

const noSecondFactor =
  "SECOND_FACTOR_ROLES wants second factors, and there is no key to seal their secrets with: set PERSONAL_DATA_KEYS or PERSONAL_DATA_KEYS_FILE";

/** What every subject of the service builds on. */
interface Ground extends IdentityContext {
  readonly personal: PersonalData;
  readonly ring: KeyRing;
  readonly keys: ApiKeyRepository;
  readonly people: PersonRepository;
  readonly passwords: PasswordHash;
  readonly proof: PasswordProof;
  readonly mailer: Mailer;
  readonly postman: Postman;
  readonly factors: SecondFactorRepository;
  readonly codes: CodeProof;
  readonly erasure: PersonErasure;
  readonly sessions: SessionRepository;
  readonly metrics: IdentityMetrics;
}

type People = Omit<Ground, keyof IdentityContext | "personal" | "ring" | "keys">;

function buildPeople({ config, database, registry, logger }: IdentityContext, personal: PersonalData): People {
  const limits = {
    free: config.LOGIN_FREE_ATTEMPTS,
    max: config.LOGIN_ATTEMPTS_MAX,
    delayMaxMs: config.LOGIN_DELAY_MAX_MS,
  };
  const attempts = new LoginAttempts(database, limits);
  const times = { restMs: config.REFRESH_TOKEN_TTL_MS, mostMs: config.SESSION_MAX_MS };
  const addresses = new PersonAddresses(database, personal);
  const people = new PersonRepository(database, attempts, addresses);
  const passwords = new PasswordHash(config.PASSWORD_LANES);
  const metrics = new IdentityMetrics(registry);
  const mailer = mailerOf({ config, logger }, metrics);
  const postman = new Postman(mailer, logger);
  const factors = new SecondFactorRepository(database, personal, limits);
  return {
    people,
    passwords,
    metrics,
    proof: new PasswordProof({ database, people, attempts, addresses, passwords, metrics }),
    mailer,
    postman,
    factors,
    codes: new CodeProof({ database, factors, metrics, postman, tellAfter: limits.free }),
    erasure: new PersonErasure(database, addresses),
    sessions: new SessionRepository({ database, attempts, addresses, times }),
  };
}

function mailerOf({ config, logger }: Pick<IdentityContext, "config" | "logger">, metrics: IdentityMetrics): Mailer {
  const server = mailServerOf(config);
  const { MAIL_LANGUAGE: language, MAIL_SHOP_NAME: shopName, MAIL_TOKEN_PAGE: tokenPage, MAIL_FOLDER: folder } = config;
  const count: SmtpMailerOptions["count"] = (kind, outcome) => metrics.mailed(kind, outcome);
  if (server) return new SmtpMailer({ server, count, style: { language, shopName, tokenPage } });
  return folder ? new MailFolder(folder) : new NoMail(logger);
}

/** What runs beside the calls. */
interface Loop {
  start(): void;
  stop(): Promise<void>;
}

function buildLoops({ config, database, personal, ring, sessions, erasure, logger: log }: Ground): Loop[] {
  const everyMs = config.PERSONAL_DATA_SWEEP_MS;
  const move = () => erasure.moveBatch(personalBatch);
  const rotate = () => ring.rotate();
  const forget = () => sessions.forget(forgetBatch);
  return [
    new Relay({ name: "rotating signing keys", everyMs: rotateEveryMs, log, sweep: rotate }),
    new Relay({ name: "forgetting sessions", everyMs: forgetEveryMs, log, sweep: forget }),
    new PersonalSweep({ name: "person.personal", database, personal, move, logger: log, everyMs }),
  ];
}

function buildAdminApi({ config, ring, ...parts }: Ground, verifier: TokenVerifier): IdentityAdminApi {
  const replaceSigningKeys = async () => {
    const keyId = await ring.replace();
    verifier.forget();
    return keyId;
  };
  return new IdentityAdminApi({
    ...parts,
    pageTokens: new PageTokens(config.PAGE_TOKEN_SECRET),
    replaceSigningKeys,
  });
}

function buildRing({ config, database }: IdentityContext): KeyRing {
  const times = { maxAgeMs: config.SIGNING_KEY_MAX_AGE_MS, leadMs: config.SIGNING_KEY_LEAD_MS };
  const repository = new SigningKeyRepository(database, config.PAGE_TOKEN_SECRET, times);
  return new KeyRing(repository, config.ACCESS_TOKEN_TTL_MS);
}

function buildPersonApi({ config, ...parts }: Ground): PersonApi {
  return new PersonApi({ ...parts, minLength: config.PASSWORD_MIN_LENGTH, issuer: config.SECOND_FACTOR_NAME });
}

function buildApi({ config, ring, ...parts }: Ground): IdentityApi {
  const { TOKEN_ISSUER: issuer, TOKEN_AUDIENCE: audience, ACCESS_TOKEN_TTL_MS: ttlMs } = config;
  return new IdentityApi({
    ...parts,
    minLength: config.PASSWORD_MIN_LENGTH,
    requiredRoles: new RequiredRoles(config.SECOND_FACTOR_ROLES),
    mailTtlMs: config.MAIL_TOKEN_TTL_MS,
    accessTokens: new AccessTokens(ring, { issuer, audience, ttlMs }),
  });
}
