import { selectList } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import { isUniqueViolation } from "#platform/database/sql-state.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId, encodeId, newId } from "#platform/id.ts";
import { apiKeyNameTaken, apiKeyNotFound, apiKeyRefused } from "../proof/errors.ts";
import { audited, effects } from "../proof/identity-audit.ts";
import { hashOf, newSecret } from "../proof/secret-text.ts";
import { type ApiKey, keySubject, type NewApiKey } from "./api-key.ts";

/** Who holds a key that is valid. */
export interface KeyHolder {
  readonly subject: string;
  readonly roles: readonly string[];
  /** When the key ends. */
  readonly until?: Date;
}

/** A key that is in no row, by which the first others are made. */
export interface BootstrapKey {
  /** In hexadecimal; undefined when there is none. */
  readonly sha256: string | undefined;
  readonly roles: readonly string[];
}

const columns = selectList<ApiKey>({
  apiKeyId: true,
  name: true,
  roles: true,
  createTime: true,
  expireTime: true,
  lastUseTime: true,
  revokeTime: true,
});

/** One that has ended by itself gives its name away. */
const retire: SqlText = {
  name: "retire-api-key",
  text: "update api_key set revoke_time = expire_time where name = $1 and revoke_time is null and expire_time <= now()",
};

const insert: SqlText = {
  name: "insert-api-key",
  text: `insert into api_key (api_key_id, hash, name, roles, expire_time)
    values ($1, $2, $3, $4, now() + $5::float8 * interval '1 millisecond') returning ${columns}`,
};

const findByName: SqlText = {
  name: "find-api-key-by-name",
  text: `select ${columns} from api_key where name = $1 and revoke_time is null`,
};

/** Its use is noted once a minute: a program asks every few. */
const use: SqlText = {
  name: "use-api-key",
  text: `with found as (
      select api_key_id, roles, expire_time, last_use_time from api_key
      where hash = $1 and revoke_time is null and expire_time > now()
    ), noted as (
      update api_key k set last_use_time = now() from found f
      where k.api_key_id = f.api_key_id and coalesce(f.last_use_time < now() - interval '1 minute', true)
    )
    select api_key_id as "apiKeyId", roles, expire_time as "expireTime" from found`,
};

const revoke: SqlText = {
  name: "revoke-api-key",
  text: `update api_key set revoke_time = now() where api_key_id = $1 and revoke_time is null returning ${columns}`,
};

const find: SqlText = { name: "find-api-key", text: `select ${columns} from api_key where api_key_id = $1` };

const list: SqlText = {
  name: "list-api-keys",
  text: `select ${columns} from api_key where $1::uuid is null or api_key_id < $1 order by api_key_id desc limit $2`,
  prepared: false,
};

function toKey(row: ApiKey): ApiKey {
  return { ...row, apiKeyId: encodeId(row.apiKeyId) };
}

/** Keeps the keys of programs. */
export class ApiKeyRepository {
  readonly #database: Database;
  readonly #bootstrap: BootstrapKey;

  constructor(database: Database, bootstrap: BootstrapKey) {
    this.#database = database;
    this.#bootstrap = bootstrap;
  }

  /** Makes a key; the secret is never had again. @throws API_KEY_NAME_TAKEN */
  async create({ name, roles, lifetimeMs }: NewApiKey): Promise<{ apiKey: ApiKey; secret: string }> {
    const secret = newSecret("ordermesh_key_");
    const values = [decodeId(newId()), hashOf(secret), name, roles, lifetimeMs];
    try {
      const apiKey = await this.#database.transaction(async (tx) => {
        await tx.query(retire, [name]);
        const [row] = await tx.query<ApiKey>(insert, values);
        if (!row) throw new Error("a key was not made");
        const made = toKey(row);
        const details = { name, roles: roles.join(" ") };
        await tx.query(audited, [effects({ action: "api_key.created", subject: made.apiKeyId, details })]);
        return made;
      });
      return { apiKey, secret };
    } catch (error) {
      if (!isUniqueViolation(error, "api_key_name_key")) throw error;
      const [other] = await this.#database.query<ApiKey>(findByName, [name]);
      throw apiKeyNameTaken(name, other ? toKey(other).apiKeyId : "");
    }
  }

  /** Who shows this. @throws API_KEY_REFUSED */
  async holderOf(secret: string): Promise<KeyHolder> {
    const hash = hashOf(secret);
    const { sha256, roles } = this.#bootstrap;
    if (hash.toString("hex") === sha256) return { subject: keySubject("bootstrap"), roles };
    const [row] = await this.#database.query<Pick<ApiKey, "apiKeyId" | "roles" | "expireTime">>(use, [hash]);
    if (!row) throw apiKeyRefused();
    return { subject: keySubject(encodeId(row.apiKeyId)), roles: row.roles, until: row.expireTime };
  }

  /** Takes a key away, if that was not done. @throws API_KEY_NOT_FOUND */
  revoke(apiKeyId: string): Promise<ApiKey> {
    const key = [decodeId(apiKeyId)];
    return this.#database.transaction(async (tx) => {
      const [revoked] = await tx.query<ApiKey>(revoke, key);
      if (revoked) {
        await tx.query(audited, [effects({ action: "api_key.revoked", subject: apiKeyId })]);
        return toKey(revoked);
      }
      const [known] = await tx.query<ApiKey>(find, key);
      if (!known) throw apiKeyNotFound(apiKeyId);
      return toKey(known);
    });
  }

  /** At most `limit` keys, the newest first, older than `after`. */
  async list({ after, limit }: { after: string | undefined; limit: number }): Promise<ApiKey[]> {
    const values = [after === undefined ? null : decodeId(after), limit];
    return (await this.#database.query<ApiKey>(list, values)).map(toKey);
  }
}
