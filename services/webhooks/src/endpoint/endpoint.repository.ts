import { selectList } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import { isUniqueViolation } from "#platform/database/sql-state.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId, newId } from "#platform/id.ts";
import { endpointNameTaken, endpointNotFound, tooManyEndpoints } from "../proof/errors.ts";
import { audited, effects } from "../proof/webhook-audit.ts";
import type { DisableReason, Endpoint, Subscription } from "./endpoint.ts";
import { newWebhookSecret } from "./webhook-secret.ts";
import type { WebhookSecrets } from "./webhook-secrets.ts";

/** Where an endpoint is, and what it is told of. */
export interface EndpointSettings extends Subscription {
  readonly url: string;
}

const mostCounted = 100_000;
const pending = `(select count(*)::int from (select from webhook_delivery d
  where d.endpoint_id = e.endpoint_id and d.status = 'pending' limit ${mostCounted}) counted)`;

const columns = selectList<Endpoint>(
  {
    endpointId: true,
    name: true,
    url: true,
    eventTypes: true,
    personal: true,
    status: true,
    disableReason: true,
    pendingDeliveries: pending,
    pauseTime: true,
    successTime: true,
    createTime: true,
    updateTime: true,
  },
  "e",
);

/** Two that are made at once count each other. */
const lockAll: SqlText = { name: "lock-endpoints", text: "lock table webhook_endpoint in share row exclusive mode" };

const count: SqlText = { name: "count-endpoints", text: "select count(*)::int as count from webhook_endpoint" };

const insert: SqlText = {
  name: "insert-endpoint",
  text: `insert into webhook_endpoint as e (endpoint_id, name, url, event_types, personal) values ($1, $2, $3, $4, $5)
    returning ${columns}`,
};

const find: SqlText = {
  name: "find-endpoint",
  text: `select ${columns} from webhook_endpoint e where endpoint_id = $1`,
};

const findByName: SqlText = {
  name: "find-endpoint-by-name",
  text: "select endpoint_id as id from webhook_endpoint where name = $1",
};

const list: SqlText = {
  name: "list-endpoints",
  text: `select ${columns} from webhook_endpoint e where $1::uuid is null or endpoint_id < $1
    order by endpoint_id desc limit $2`,
  prepared: false,
};

/** Who is somewhere else has to prove that it is he. */
const update: SqlText = {
  name: "update-endpoint",
  text: `with old as (select status, url, event_types, personal from webhook_endpoint where endpoint_id = $1 for no key update)
    update webhook_endpoint e set url = $2, event_types = $3, personal = $4, update_time = now(),
      status = case when old.url = $2 or old.status = 'unverified' then e.status else 'disabled' end,
      disable_reason = case when old.url = $2 or old.status = 'unverified' then e.disable_reason else 'moved' end,
      pause_time = case when old.url = $2 then e.pause_time end
    from old where endpoint_id = $1 and (old.url, old.event_types, old.personal) is distinct from ($2, $3, $4)
    returning (old.url <> $2)::text as moved`,
};

const remove: SqlText = {
  name: "delete-endpoint",
  text: `with gone as (delete from webhook_endpoint where endpoint_id = $1 returning endpoint_id)
    delete from personal_key where subject in (select endpoint_id from gone) returning 1`,
};

/** That it answered is a success, and counts only for where it was asked. */
const enable: SqlText = {
  name: "enable-endpoint",
  text: `with old as (select status from webhook_endpoint where endpoint_id = $1 for no key update)
    update webhook_endpoint e set status = 'enabled', disable_reason = '', pause_time = null, success_time = now(),
      update_time = case when old.status = 'enabled' then e.update_time else now() end
    from old where endpoint_id = $1 and url = $2 returning old.status as before`,
};

const disable: SqlText = {
  name: "disable-endpoint",
  text: `update webhook_endpoint set status = 'disabled', disable_reason = $3, pause_time = null, update_time = now()
    where endpoint_id = $1 and url = $2 and status = 'enabled'
      and ($4::timestamptz is null or coalesce(success_time < $4::timestamptz - interval '1 second', true))
    returning 1`,
};

/** It is written once a second: every delivery would have it written. */
const succeeded: SqlText = {
  name: "endpoint-succeeded",
  text: `update webhook_endpoint set success_time = now()
    where endpoint_id = $1 and coalesce(success_time < now() - interval '1 second', true)`,
};

const pause: SqlText = {
  name: "pause-endpoint",
  text: `update webhook_endpoint set pause_time = greatest(pause_time, now() + $2::float8 * interval '1 millisecond')
    where endpoint_id = $1`,
};

const subscriptions: SqlText = {
  name: "list-subscriptions",
  text: `select endpoint_id as "endpointId", event_types as "eventTypes", personal from webhook_endpoint
    where status <> 'unverified'`,
};

/** The audit log's details are bounded. */
const longestTypes = 1_000;

function shortened(eventTypes: readonly string[]): string {
  return eventTypes.join(" ").slice(0, longestTypes);
}

function toEndpoint(row: Endpoint): Endpoint {
  return { ...row, endpointId: encodeId(row.endpointId) };
}

/** Who a subscription is of: a uuid. */
export type SubscriptionOf = Subscription & Pick<Endpoint, "endpointId">;

/** What is wanted by everybody whom events are kept for. */
export function subscriptionsOf(tx: Transaction): Promise<SubscriptionOf[]> {
  return tx.query<SubscriptionOf>(subscriptions);
}

/** Keeps endpoints. */
export class EndpointRepository {
  readonly #database: Database;
  readonly #secrets: WebhookSecrets;

  constructor(database: Database, secrets: WebhookSecrets) {
    this.#database = database;
    this.#secrets = secrets;
  }

  /** Makes an endpoint with its first secret, which is never had again. @throws ENDPOINT_NAME_TAKEN, TOO_MANY_ENDPOINTS */
  async create(name: string, { url, eventTypes, personal }: EndpointSettings, max: number) {
    const endpointId = newId();
    const secret = newWebhookSecret();
    const sealed = await this.#secrets.seal(endpointId, secret);
    try {
      const endpoint = await this.#database.transaction(async (tx) => {
        await tx.query(lockAll);
        const [known] = await tx.query<{ count: number }>(count);
        const [row] = await tx.query<Endpoint>(insert, [decodeId(endpointId), name, url, eventTypes, personal]);
        if ((known?.count ?? 0) >= max) throw tooManyEndpoints(max);
        await this.#secrets.insert(tx, endpointId, sealed);
        const details = { name, event_types: shortened(eventTypes), personal: String(personal) };
        await tx.query(audited, [effects({ action: "endpoint.created", subject: endpointId, details })]);
        return toEndpoint(row as Endpoint);
      });
      return { endpoint, secret };
    } catch (error) {
      if (!isUniqueViolation(error, "webhook_endpoint_name_key")) throw error;
      const [other] = await this.#database.query<{ id: string }>(findByName, [name]);
      throw endpointNameTaken(name, other ? encodeId(other.id) : "");
    }
  }

  /** One endpoint. @throws ENDPOINT_NOT_FOUND */
  async get(endpointId: string): Promise<Endpoint> {
    const [row] = await this.#database.query<Endpoint>(find, [decodeId(endpointId)]);
    if (!row) throw endpointNotFound(endpointId);
    return toEndpoint(row);
  }

  /** At most `limit` endpoints, the newest first, older than `after`. */
  async list({ after, limit }: { after: string | undefined; limit: number }): Promise<Endpoint[]> {
    const values = [after === undefined ? null : decodeId(after), limit];
    return (await this.#database.query<Endpoint>(list, values)).map(toEndpoint);
  }

  /** Says anew where it is and what it is told of. @throws ENDPOINT_NOT_FOUND */
  async update(endpointId: string, { url, eventTypes, personal }: EndpointSettings): Promise<Endpoint> {
    await this.#database.transaction(async (tx) => {
      const [row] = await tx.query<{ moved: string }>(update, [decodeId(endpointId), url, eventTypes, personal]);
      if (!row) return;
      const details = { event_types: shortened(eventTypes), personal: String(personal), moved: row.moved };
      await tx.query(audited, [effects({ action: "endpoint.updated", subject: endpointId, details })]);
    });
    return this.get(endpointId);
  }

  /** Forgets it, and the keys of its secrets. What was to be delivered is forgotten by and by. */
  async delete(endpointId: string): Promise<void> {
    await this.#database.transaction(async (tx) => {
      const rows = await tx.query(remove, [decodeId(endpointId)]);
      if (rows.length > 0) await tx.query(audited, [effects({ action: "endpoint.deleted", subject: endpointId })]);
    });
  }

  /** Has it told, if it is still where it was asked; says whether it is. */
  async enable({ endpointId, url }: Pick<Endpoint, "endpointId" | "url">): Promise<boolean> {
    return this.#database.transaction(async (tx) => {
      const [row] = await tx.query<{ before: string }>(enable, [decodeId(endpointId), url]);
      if (row && row.before !== "enabled")
        await tx.query(audited, [effects({ action: "endpoint.enabled", subject: endpointId })]);
      return row !== undefined;
    });
  }

  /**
   * Has it told no more, if it is; says whether it was.
   *
   * @param unlessSince not when it has taken something since
   */
  async disable(
    { endpointId, url }: Pick<Endpoint, "endpointId" | "url">,
    reason: Exclude<DisableReason, "" | "moved">,
    unlessSince?: Date,
  ): Promise<boolean> {
    return this.#database.transaction(async (tx) => {
      const [row] = await tx.query(disable, [decodeId(endpointId), url, reason, unlessSince ?? null]);
      if (!row) return false;
      const effect = { subject: endpointId, details: { reason }, actor: "service:webhooks" };
      await tx.query(audited, [effects({ action: "endpoint.disabled", ...effect })]);
      return true;
    });
  }

  /** Notes that it took something. */
  async succeeded(endpointId: string): Promise<void> {
    await this.#database.query(succeeded, [decodeId(endpointId)]);
  }

  /** Sends it nothing for a while. */
  async pause(endpointId: string, ms: number): Promise<void> {
    await this.#database.query(pause, [decodeId(endpointId), ms]);
  }
}
