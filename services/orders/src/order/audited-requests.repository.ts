import {
  type AuditEntry,
  type AuditOrigin,
  auditEvents,
  auditOrigin,
  insertAuditEvents,
} from "#platform/audit/audit-entry.ts";
import { type Keyed, type KeySpace, keyMethod, replayable } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { decodeId } from "#platform/id.ts";
import { type PersonalKeyRow, personalKeyColumns } from "#platform/personal/personal-key.ts";

const remember: SqlText = {
  name: "audited_request_insert",
  text: `with audited as (${insertAuditEvents("$4")}), sealed as (
    insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, customer_id from json_to_recordset($5::json) as k(${personalKeyColumns.typed})
    join customer_order o on o.order_id = $6 and not exists (select from erasure where erasure.customer_id = o.customer_id)
  )
    insert into idempotency_key (method, request_id, fingerprint, response) values ($1, $2, $3, ''::bytea)`,
};

const forget: SqlText = {
  name: "audited_request_delete",
  text: "delete from idempotency_key where method = $1 and request_id = $2",
};

/** A row of the audit log, and the key that is written with it, which is the customer's. */
export interface AuditedEntry {
  readonly entry: AuditEntry;
  readonly key?: PersonalKeyRow | undefined;
}

/** What requests of one kind are. */
export interface AuditedRequestsOptions<R> {
  readonly database: Queryable;
  readonly keys: KeySpace<R>;
  /** The row that says that somebody asked for it, and the key of what is sealed in it. */
  readonly entryOf: (request: Submitted<R>) => Promise<AuditedEntry> | AuditedEntry;
}

/**
 * The ids of requests whose effect is the saga's, which takes repetitions. Here it is kept which request an id stands for, and
 * who asked: the saga acts in its own name. There is no answer to keep.
 */
export class AuditedRequests<R extends Keyed & { readonly orderId: string }> {
  readonly #options: AuditedRequestsOptions<R>;
  readonly #remember: (inputs: Submitted<R>[]) => Promise<("first" | "repeated" | Error)[]>;

  constructor(options: AuditedRequestsOptions<R>) {
    this.#options = options;
    this.#remember = replayable<Submitted<R>, "first" | "repeated">({
      database: options.database,
      ...options.keys,
      run: (inputs) => Promise.all(inputs.map((input) => this.#insert(input))),
      decode: () => "repeated",
    });
  }

  /** Whether the same request came before; remembers it when not. @throws REQUEST_ID_REUSED */
  async remember(request: R): Promise<"first" | "repeated"> {
    const [outcome = "first"] = await this.#remember([{ ...request, origin: auditOrigin(request.requestId) }]);
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }

  /** Forgets a request that was refused: a repetition is judged anew. */
  async forget(request: R): Promise<void> {
    const { database, keys } = this.#options;
    await database.query(forget, [keyMethod(keys, request), request.requestId]);
  }

  async #insert(input: Submitted<R>): Promise<"first"> {
    const { database, keys, entryOf } = this.#options;
    const { entry, key } = await entryOf(input);
    const sealed = [JSON.stringify(key ? [key] : []), decodeId(input.orderId)];
    const values = [keyMethod(keys, input), input.requestId, input.fingerprint, auditEvents([entry]), ...sealed];
    await database.query(remember, values);
    return "first";
  }
}

type Submitted<R> = R & { readonly origin: AuditOrigin };
