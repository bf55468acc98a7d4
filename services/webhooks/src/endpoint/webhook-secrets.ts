import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, newId } from "#platform/id.ts";
import type { PersonalData, Sealed } from "#platform/personal/personal-data.ts";
import { insertPersonalKeys, withKey } from "#platform/personal/personal-key.ts";
import { endpointNotFound, tooManySecrets } from "../proof/errors.ts";
import { audited, effects } from "../proof/webhook-audit.ts";
import { newWebhookSecret } from "./webhook-secret.ts";

/** As many of one endpoint sign together: each makes the header longer. */
export const mostSecrets = 4;

/** SQL of the secrets of an endpoint that are valid, sealed with their keys, the newest first. */
export const validSecrets = `array(select ${withKey("s.secret")} from webhook_secret s
  where s.endpoint_id = e.endpoint_id and coalesce(s.expire_time > now(), true) order by s.secret_id desc)`;

const lock: SqlText = {
  name: "lock-endpoint",
  text: "select from webhook_endpoint where endpoint_id = $1 for no key update",
};

const count: SqlText = {
  name: "count-webhook-secrets",
  text: `select count(*)::int as valid from webhook_secret
    where endpoint_id = $1 and coalesce(expire_time > now(), true)`,
};

const insert: SqlText = {
  name: "insert-webhook-secret",
  text: "insert into webhook_secret (secret_id, endpoint_id, secret) values ($1, $2, $3)",
};

const expire: SqlText = {
  name: "expire-webhook-secrets",
  text: `update webhook_secret set expire_time = least(expire_time, now() + $2::float8 * interval '1 millisecond')
    where endpoint_id = $1 and coalesce(expire_time > now(), true)`,
};

const find: SqlText = {
  name: "find-webhook-secrets",
  text: `select ${validSecrets} as secrets from webhook_endpoint e where endpoint_id = $1`,
};

const forget: SqlText = {
  name: "forget-webhook-secrets",
  text: `with gone as (delete from webhook_secret where expire_time <= now() returning left(secret, 32)::uuid as key_id)
    delete from personal_key using gone where personal_key.key_id = gone.key_id returning 1`,
};

/** Where a secret lies; moved to another endpoint, it does not open. */
function placeOf(endpointId: string): string {
  return `webhook_secret.secret/${endpointId}`;
}

/** Keeps what requests are signed with, sealed. */
export class WebhookSecrets {
  readonly #database: Database;
  readonly #personal: PersonalData;

  /** @param personal has to have master keys */
  constructor(database: Database, personal: PersonalData) {
    this.#database = database;
    this.#personal = personal;
  }

  /** A secret as it is to lie. */
  seal(endpointId: string, secret: string): Promise<Sealed> {
    return this.#personal.seal(placeOf(endpointId), secret);
  }

  /** Keeps one that was sealed. */
  async insert(tx: Transaction, endpointId: string, { text, key }: Sealed): Promise<void> {
    await insertPersonalKeys(tx, decodeId(endpointId), [key]);
    await tx.query(insert, [decodeId(newId()), decodeId(endpointId), text]);
  }

  /** Opens secrets as {@link validSecrets} gives them. */
  async open(endpointId: string, sealed: readonly string[]): Promise<string[]> {
    const opened = await Promise.all(sealed.map((text) => this.#personal.open(placeOf(endpointId), text)));
    return opened.filter((secret) => typeof secret === "string");
  }

  /** Those that are valid, the newest first. @throws ENDPOINT_NOT_FOUND */
  async of(endpointId: string): Promise<string[]> {
    const [row] = await this.#database.query<{ secrets: string[] }>(find, [decodeId(endpointId)]);
    if (!row) throw endpointNotFound(endpointId);
    return this.open(endpointId, row.secrets);
  }

  /** Makes another one; those of before end when the overlap is over. @throws ENDPOINT_NOT_FOUND, TOO_MANY_SECRETS */
  async rotate(endpointId: string, overlapMs: number): Promise<string> {
    const secret = newWebhookSecret();
    const sealed = await this.seal(endpointId, secret);
    const key = decodeId(endpointId);
    await this.#database.transaction(async (tx) => {
      const found = await tx.query(lock, [key]);
      if (found.length === 0) throw endpointNotFound(endpointId);
      const [row] = await tx.query<{ valid: number }>(count, [key]);
      if (row && row.valid >= mostSecrets && overlapMs > 0) throw tooManySecrets(mostSecrets);
      await tx.query(expire, [key, overlapMs]);
      await this.insert(tx, endpointId, sealed);
      const details = { overlap_ms: String(overlapMs) };
      await tx.query(audited, [effects({ action: "secret.rotated", subject: endpointId, details })]);
    });
    return secret;
  }

  /** Forgets those that have ended; returns how many. For a `Relay`. */
  async forget(): Promise<number> {
    return (await this.#database.query(forget)).length;
  }
}
