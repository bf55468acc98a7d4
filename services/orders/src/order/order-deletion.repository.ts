import { type AuditOrigin, auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { selectList } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import { type Keyed, type KeySpace, keyMethod, replayable } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import { decodeId } from "#platform/id.ts";
import { notDeletable, orderNotFound } from "./errors.ts";
import { isTerminal, type OrderStatus, type ShipmentStatus } from "./order.ts";
import { deleteAction } from "./order-audit.ts";

/** What is to be deleted. */
export interface DeleteOrder extends Keyed {
  readonly orderId: string;
}

/** The request and who it is from. */
interface SubmittedDelete extends DeleteOrder {
  readonly origin: AuditOrigin;
}

const keys: KeySpace<DeleteOrder> = { method: "DeleteOrder", scope: ({ orderId }) => orderId };

/** Parcels that are here, or were never packed. */
const stayed: readonly ShipmentStatus[] = ["planned", "cancelled"];

/** How an order stands to its deletion, from the row that is locked. */
interface LookRow {
  readonly status: OrderStatus;
  /** A parcel of it is or was on its way. */
  readonly left: boolean;
  /** A workflow carries it, something happened to it that none has taken yet, or an operator is waited for. */
  readonly busy: boolean;
  /** Another shop brought it to its end, and may have been paid for it: the books want it. */
  readonly imported: boolean;
}

const lookColumns = selectList<LookRow>({
  status: true,
  left: "exists (select from jsonb_array_elements(shipments) s where s->>'status' <> all($2::text[]))",
  busy: `episode_id is not null or episode_events is not null or park_time is not null
    or exists (select from order_event e where e.order_id = customer_order.order_id)
    or exists (select from order_amendment a where a.order_id = customer_order.order_id)`,
  imported: "exists (select from imported_order i where i.order_id = customer_order.order_id)",
});

const look: SqlText = {
  name: "order_deletion_look",
  prepared: false,
  text: `select ${lookColumns} from customer_order where order_id = $1 for update`,
};

/** The keys of its address and of its reason go with it; that of the contact is the customer's, and so are those of notes about it. */
const remove: SqlText = {
  name: "order_deletion",
  prepared: false,
  text: `with gone as (
    delete from customer_order where order_id = $1 returning order_id, shipping_address, cancel_reason, status, currency, total
  ), lines as (
    delete from order_line using gone where order_line.order_id = gone.order_id
  ), unsealed as (
    delete from personal_key using gone cross join lateral (values (shipping_address), (cancel_reason)) as s(value)
    where jsonb_typeof(value) = 'string' and personal_key.key_id = left(value #>> '{}', 32)::uuid
  ), audited as (${insertAuditEvents("$2", {
    join: "join gone on true",
    details:
      "a.details || jsonb_build_object('from', gone.status, 'currency', gone.currency, 'total', gone.total::text)",
  })})
  insert into idempotency_key (method, request_id, fingerprint, response) values ($3, $4, $5, ''::bytea)`,
};

/** Deletes orders that came to nothing. What the other services know of them stays, and is over: the audit log says why no order is there. */
export class OrderDeletion {
  readonly #database: Database;
  readonly #delete: (inputs: SubmittedDelete[]) => Promise<(undefined | Error)[]>;

  constructor(database: Database) {
    this.#database = database;
    this.#delete = replayable<SubmittedDelete, undefined>({
      database,
      ...keys,
      run: (inputs) => Promise.all(inputs.map((input) => this.#deleteOne(input))),
      decode: () => undefined,
    });
  }

  /** @throws ORDER_NOT_FOUND, NOT_DELETABLE, REQUEST_ID_REUSED */
  async delete(request: DeleteOrder): Promise<void> {
    const [refusal] = await this.#delete([{ ...request, origin: auditOrigin(request.requestId) }]);
    if (refusal) throw refusal;
  }

  /** Whoever carries the order, cancels it or decides about it locks its row first: that comes before, or finds no order. */
  #deleteOne(input: SubmittedDelete): Promise<undefined | Error> {
    const { orderId, origin, requestId } = input;
    return this.#database.transaction(async (tx) => {
      const id = decodeId(orderId);
      const [order] = await tx.query<LookRow>(look, [id, stayed]);
      if (!order) return orderNotFound(orderId);
      const why = whyNot(order);
      if (why !== undefined) return notDeletable(orderId, { status: order.status, why });
      const events = auditEvents([{ action: deleteAction, orderId, origin }]);
      await tx.query(remove, [id, events, keyMethod(keys, input), requestId, input.fingerprint]);
      return undefined;
    });
  }
}

function whyNot({ status, left, busy, imported }: LookRow): string | undefined {
  if (!isTerminal(status)) return "goes on: cancel it first";
  if (left) return "a parcel of it has left";
  if (imported) return "it was imported";
  return busy ? "something of it is still under way: try again later" : undefined;
}
