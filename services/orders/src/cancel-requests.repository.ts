import { type AuditOrigin, auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { idempotencyColumns, type Keyed, replayable } from "#platform/database/idempotency.ts";
import type { Queryable, SqlText } from "#platform/database/transaction.ts";
import { cancelRequestEntry } from "./order-audit.ts";

const method = "CancelOrder";

const remember: SqlText = {
  name: "cancel_request_insert",
  text: `with audited as (${insertAuditEvents("$5")})
    insert into idempotency_key (method, request_id, fingerprint, response)
    select $1::text, * from unnest($2::text[], $3::bytea[], $4::bytea[])`,
};

const forget: SqlText = {
  name: "cancel_request_delete",
  text: "delete from idempotency_key where method = $1 and request_id = $2",
};

/** A cancellation as its caller asks for it. */
export interface CancelRequest extends Keyed {
  readonly orderId: string;
}

type Submitted = CancelRequest & { readonly origin: AuditOrigin };

/**
 * The request ids of cancellations. The effect is the saga's, which takes repetitions; here it is kept which request an id
 * stands for, and who asked: the saga cancels orders in its own name. There is no answer to keep: it is the order as it
 * stands.
 */
export class CancelRequests {
  readonly #database: Queryable;
  readonly #remember: (inputs: Submitted[]) => Promise<("first" | "repeated" | Error)[]>;

  constructor(database: Queryable) {
    this.#database = database;
    this.#remember = replayable<Submitted, "first" | "repeated">({
      database,
      method,
      run: (inputs) => this.#insert(inputs),
      decode: () => "repeated",
    });
  }

  /** Whether the same request came before; remembers it when not. @throws REQUEST_ID_REUSED */
  async remember(request: CancelRequest): Promise<"first" | "repeated"> {
    const [outcome = "first"] = await this.#remember([{ ...request, origin: auditOrigin(request.requestId) }]);
    if (outcome instanceof Error) throw outcome;
    return outcome;
  }

  /** Forgets a request that was refused: a repetition is judged anew. */
  async forget(requestId: string): Promise<void> {
    await this.#database.query(forget, [method, requestId]);
  }

  async #insert(inputs: Submitted[]): Promise<"first"[]> {
    const rows = inputs.map((input) => ({ ...input, response: Buffer.alloc(0) }));
    const events = auditEvents(inputs.map(cancelRequestEntry));
    if (rows.length > 0) await this.#database.query(remember, [method, ...idempotencyColumns(rows), events]);
    return inputs.map(() => "first");
  }
}
