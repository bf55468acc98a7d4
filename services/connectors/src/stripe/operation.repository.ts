import { randomUUID } from "node:crypto";
import { selectList } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Asked, Authorization, Operation } from "./operation.ts";

/** What the repository needs of a database. */
export type Statements = Pick<Database, "query">;

/** The right to work at an authorization, which nobody else has until it ends. */
export interface Lease {
  readonly id: string;
  readonly authorizationKey: string;
}

/** Somebody else works at the authorization since: what was found out is not written. */
export class LeaseLost extends Error {
  override readonly name = "LeaseLost";
}

/** What somebody else did with an authorization of ours. */
export interface Outside extends Pick<Operation, "key" | "reference" | "currency" | "amount" | "code" | "stripeId"> {
  readonly kind: "capture" | "refund";
  readonly state: "approved" | "declined";
  /** Of a capture: what Stripe has captured in all, as it counts. */
  readonly received?: bigint;
}

/** A piece of what was done, in the order of keys. */
export interface OperationPage {
  /** The last key before it; from the first one when it is empty. */
  readonly after: string;
  /** The last key that may be in it; any when it is empty. */
  readonly to: string;
  readonly limit: number;
}

/** An operation that is listed; of an authorization with what became of it. */
export type ListedRow = Operation &
  Partial<Pick<Authorization, "captured" | "voided" | "refunded">> & { readonly createTime: Date };

const operationColumns = selectList<Operation>(
  {
    key: true,
    kind: true,
    authorizationKey: true,
    orderId: true,
    cardToken: true,
    reference: true,
    currency: true,
    amount: true,
    state: true,
    final: true,
    code: true,
    stripeId: true,
    base: true,
    attempts: true,
    spentKeys: true,
    holdExpireTime: true,
    outside: true,
  },
  "o",
);

const authorizationColumns = selectList<Authorization>(
  {
    key: true,
    intentId: true,
    currency: true,
    amount: true,
    maxCaptures: true,
    captures: true,
    captured: true,
    voided: true,
    refunded: true,
    received: true,
  },
  "a",
);

/** What belongs to no authorization is refused. */
const begin: SqlText = {
  name: "stripe_begin",
  text: `with given as (
      select $1::uuid as key, $2::text as kind, $3::text as order_id, $4::text as card_token, $5::text as reference,
        $6::text as currency, $7::bigint as amount),
    opened as (
      insert into gateway_authorization (key, currency, amount, max_captures)
      select key, currency, amount, $8 from given g where kind = 'authorize' and not exists (select from gateway_operation o where o.key = g.key)
      on conflict (key) do nothing)
    insert into gateway_operation (key, kind, authorization_key, order_id, card_token, reference, currency, amount, state, code)
    select g.key, g.kind, case when g.kind = 'authorize' then g.key else coalesce(a.key, '00000000-0000-0000-0000-000000000000') end,
      g.order_id, g.card_token, g.reference, g.currency, g.amount,
      case when g.kind = 'authorize' or a.key is not null then 'begun' else 'declined' end,
      case when g.kind = 'authorize' or a.key is not null then '' else 'no_such_authorization' end
    from given g left join gateway_authorization a on g.kind <> 'authorize' and a.intent_id = g.reference and a.intent_id <> ''
    on conflict (key) do nothing`,
};

const find: SqlText = {
  name: "stripe_find",
  text: `select ${operationColumns} from gateway_operation o where o.key = $1`,
};

const take: SqlText = {
  name: "stripe_take",
  text: `update gateway_authorization a set lease_id = $2, lease_time = clock_timestamp() + $3 * interval '1 millisecond'
    where a.key = $1 and (a.lease_id is null or a.lease_time < clock_timestamp())
    returning ${authorizationColumns}`,
};

const release: SqlText = {
  name: "stripe_release",
  text: "update gateway_authorization set lease_id = null where key = $1 and lease_id = $2",
};

const findAuthorization: SqlText = {
  name: "stripe_find_authorization",
  text: `select ${authorizationColumns} from gateway_authorization a where a.key = $1`,
};

const findByIntent: SqlText = {
  name: "stripe_find_by_intent",
  text: `select ${authorizationColumns} from gateway_authorization a where a.intent_id = $1 and a.intent_id <> ''`,
};

const others: SqlText = {
  name: "stripe_others",
  text: `select ${operationColumns} from gateway_operation o
    where o.authorization_key = $1 and o.key <> $2 and o.state = 'sent' and o.kind in ('capture', 'void')`,
};

/** Also one that was found to have no effect, and is to be sent again: that may show late. */
const openCapture: SqlText = {
  name: "stripe_open_capture",
  text: `select exists (select from gateway_operation o where o.authorization_key = $1 and o.kind = 'capture'
      and (o.state = 'sent' or o.state = 'begun' and o.attempts > 0)) as "isOpen"`,
};

/** How long nothing was sent or failed, in milliseconds. */
const quiet: SqlText = {
  name: "stripe_quiet",
  text: `select (extract(epoch from clock_timestamp() - touch_time) * 1000)::float8 as "quietMs"
    from gateway_operation where key = $1`,
};

const touch: SqlText = {
  name: "stripe_touch",
  text: "update gateway_operation set touch_time = clock_timestamp() where key = $1",
};

const write: SqlText = {
  name: "stripe_write",
  text: `with held as (
      update gateway_authorization set intent_id = $3, captures = $4, captured = $5, voided = $6, refunded = $7, received = $8,
        lease_time = clock_timestamp() + $17 * interval '1 millisecond'
      where key = $1 and lease_id = $2 returning key)
    update gateway_operation o set state = $10, final = $11, code = $12, stripe_id = $13, base = $14, attempts = $15,
      hold_expire_time = $16, spent_keys = $18, touch_time = clock_timestamp()
    from held where o.key = $9 and o.authorization_key = held.key and o.state in ('begun', 'sent')
    returning o.key`,
};

/** `$11` what Stripe has captured in all, where it is a capture. */
const keepOutside: SqlText = {
  name: "stripe_keep_outside",
  text: `with held as (select key from gateway_authorization where key = $2 and lease_id = $3 for update),
    moved as (update gateway_authorization a set received = greatest(a.received, $11) from held where a.key = held.key),
    kept as (
      insert into gateway_operation
        (key, kind, authorization_key, order_id, card_token, reference, currency, amount, state, code, stripe_id, outside)
      select $1, $4, held.key, '', '', $5, $6, $7, $8, $9, $10, true from held
      on conflict (key) do update set state = excluded.state, code = excluded.code)
    select key from held`,
};

const list: SqlText = {
  name: "stripe_list",
  text: `select ${operationColumns}, a.captured, a.voided, a.refunded, o.create_time as "createTime"
    from gateway_operation o left join gateway_authorization a on a.key = o.key
    where o.key > coalesce(nullif($1, ''), '00000000-0000-0000-0000-000000000000')::uuid
      and o.key <= coalesce(nullif($2, ''), 'ffffffff-ffff-ffff-ffff-ffffffffffff')::uuid
    order by o.key limit $3`,
};

/** Remembers what Stripe is asked to do before it is, and what came of it. */
export class OperationRepository {
  readonly #database: Statements;
  readonly #leaseMs: number;
  readonly #maxCaptures: number;

  /**
   * @param leaseMs how long somebody who works at an authorization may take until it is anybody's again
   * @param maxCaptures how often the account can capture what it authorizes now
   */
  constructor(database: Statements, leaseMs: number, maxCaptures: number) {
    this.#database = database;
    this.#leaseMs = leaseMs;
    this.#maxCaptures = maxCaptures;
  }

  /** Writes down what is asked for, unless the key is known, and returns what is known of it. */
  async begin(asked: Asked): Promise<Operation> {
    const { key, kind, orderId, cardToken, reference, currency, amount } = asked;
    await this.#database.query(begin, [key, kind, orderId, cardToken, reference, currency, amount, this.#maxCaptures]);
    const operation = await this.find(key);
    if (!operation) throw new Error(`the operation ${key} is gone`);
    return operation;
  }

  /** What is known of a key. */
  async find(key: string): Promise<Operation | undefined> {
    const [row] = await this.#database.query<Operation>(find, [key]);
    return row && toOperation(row);
  }

  /** Takes an authorization for oneself; undefined while somebody else has it. */
  async take(authorizationKey: string): Promise<{ lease: Lease; authorization: Authorization } | undefined> {
    const lease = { id: randomUUID(), authorizationKey };
    const [authorization] = await this.#database.query<Authorization>(take, [
      authorizationKey,
      lease.id,
      this.#leaseMs,
    ]);
    return authorization && { lease, authorization: this.#toAuthorization(authorization) };
  }

  /** Gives it to others. */
  async release({ authorizationKey, id }: Lease): Promise<void> {
    await this.#database.query(release, [authorizationKey, id]);
  }

  /** What became of an authorization. */
  async authorization(key: string): Promise<Authorization | undefined> {
    const [row] = await this.#database.query<Authorization>(findAuthorization, [key]);
    return row && this.#toAuthorization(row);
  }

  /** What became of the authorization that Stripe calls so. */
  async findByIntent(intentId: string): Promise<Authorization | undefined> {
    const [row] = await this.#database.query<Authorization>(findByIntent, [intentId]);
    return row && this.#toAuthorization(row);
  }

  /** Captures and voids of the same authorization that may have their effect. */
  async others({ authorizationKey, key }: Pick<Operation, "authorizationKey" | "key">): Promise<Operation[]> {
    return (await this.#database.query<Operation>(others, [authorizationKey, key])).map(toOperation);
  }

  /** Whether a capture of an authorization may yet turn out to have had its effect. */
  async hasOpenCapture(authorizationKey: string): Promise<boolean> {
    const [row] = await this.#database.query<{ isOpen: boolean }>(openCapture, [authorizationKey]);
    return row?.isOpen ?? false;
  }

  /** How long ago the operation was last written down or sent, in milliseconds. */
  async quietMs(key: string): Promise<number> {
    const [row] = await this.#database.query<{ quietMs: number }>(quiet, [key]);
    return row?.quietMs ?? 0;
  }

  /** Notes that the operation was sent, or asked for. */
  async touch(key: string): Promise<void> {
    await this.#database.query(touch, [key]);
  }

  /** Writes an operation that is not decided, and its authorization; the lease begins anew. @throws LeaseLost */
  async write({ id }: Lease, operation: Operation, authorization: Authorization): Promise<void> {
    const until = performance.now() + this.#leaseMs;
    const { key, intentId, captures, captured, voided, refunded, received } = authorization;
    const { state, final, code, stripeId, base, attempts, holdExpireTime, spentKeys } = operation;
    const rows = await this.#database.query(write, [
      ...[key, id, intentId, captures, captured, voided, refunded, received],
      ...[operation.key, state, final, code, stripeId, base, attempts, holdExpireTime ?? null],
      ...[this.#leaseMs, spentKeys],
    ]);
    // Who was frozen meanwhile, for so long that it is anybody's again, does not go on either.
    const isOver = rows.length === 0 || performance.now() > until;
    if (isOver) throw new LeaseLost(`somebody else may work at the authorization ${key}`);
  }

  /** Writes down what somebody else did, as it was seen with the lease to stand. @throws LeaseLost */
  async keepOutside({ id, authorizationKey }: Lease, done: Outside): Promise<void> {
    const { key, kind, reference, currency, amount, state, code, stripeId, received = 0n } = done;
    const rows = await this.#database.query(keepOutside, [
      ...[key, authorizationKey, id, kind, reference, currency, amount],
      ...[state, code, stripeId, received],
    ]);
    if (rows.length === 0) throw new LeaseLost(`somebody else works at the authorization ${authorizationKey}`);
  }

  /** What was asked for, and what others did, in the order of keys. */
  async list({ after, to, limit }: OperationPage): Promise<ListedRow[]> {
    return (await this.#database.query<ListedRow>(list, [after, to, limit])).map((row) => ({
      ...row,
      ...toOperation(row),
    }));
  }

  /** Of one that is older than the column the account is asked. */
  #toAuthorization(row: Authorization): Authorization {
    return { ...row, maxCaptures: row.maxCaptures ?? this.#maxCaptures };
  }
}

/** A column without a value is null. */
function toOperation(row: Operation): Operation {
  return { ...row, holdExpireTime: row.holdExpireTime ?? undefined };
}
