import { selectList } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { DisputeState } from "./dispute.ts";

/** One dispute as statements return it; its ids but the first are uuids. */
export interface DisputeRow {
  readonly disputeId: string;
  readonly paymentId: string;
  readonly orderId: string | null;
  readonly state: DisputeState;
  readonly reason: string;
  readonly currency: string;
  readonly amount: bigint;
  readonly respondByTime: Date | null;
  readonly createTime: Date;
  readonly updateTime: Date;
}

const columns = selectList<DisputeRow>(
  {
    disputeId: true,
    paymentId: true,
    orderId: "(select p.order_id from payment p where p.payment_id = d.payment_id)",
    state: true,
    reason: true,
    currency: true,
    amount: true,
    respondByTime: true,
    createTime: true,
    updateTime: true,
  },
  "d",
);

/** Which disputes; what is not given does not matter. Ids are uuids. */
export interface DisputeFilter {
  readonly paymentId?: string | undefined;
  readonly orderId?: string | undefined;
  readonly state?: DisputeState | undefined;
  /** Answered by then at the earliest, and before then. */
  readonly dueFrom?: Date | undefined;
  readonly dueUntil?: Date | undefined;
  /** The last dispute of the page before. */
  readonly after?: Pick<DisputeRow, "respondByTime" | "paymentId" | "disputeId"> | undefined;
}

/** By when a dispute has to be answered; those that need not be come last. */
const due = "coalesce(d.respond_by_time, 'infinity')";

/**
 * The disputes of a filter that have to be answered first, `limit` at most, and the parameters. Each kind of filter is a statement of its own, so that
 * each goes by its index.
 */
export function listDisputes(filter: DisputeFilter, limit: number): [sql: SqlText, values: unknown[]] {
  const { paymentId, orderId, state, dueFrom, dueUntil, after } = filter;
  const values: unknown[] = [limit];
  const conditions: string[] = [];
  const parameter = (value: unknown) => `$${values.push(value)}`;
  if (paymentId !== undefined) conditions.push(`d.payment_id = ${parameter(paymentId)}`);
  if (orderId !== undefined) {
    const order = parameter(orderId);
    conditions.push(`d.payment_id = any(array(select p.payment_id from payment p where p.order_id = ${order}))`);
  }
  if (state !== undefined) conditions.push(`d.state = ${parameter(state)}`);
  if (dueFrom) conditions.push(`${due} >= ${parameter(dueFrom)}`);
  if (dueUntil) conditions.push(`${due} < ${parameter(dueUntil)}`);
  if (after) {
    const place = [after.respondByTime ?? "infinity", after.paymentId, after.disputeId].map(parameter);
    conditions.push(`(${due}, d.payment_id, d.dispute_id) > (${place.join(", ")})`);
  }
  const where = conditions.length > 0 ? `where ${conditions.join(" and ")}` : "";
  const kinds = { payment: paymentId, order: orderId, state, from: dueFrom, until: dueUntil, after };
  const kind = Object.entries(kinds).flatMap(([name, value]) => (value ? `_${name}` : []));
  // biome-ignore lint/plugin/sql: conditions of this file, which name parameters
  const text = `select ${columns} from payment_dispute d ${where}
    order by ${due}, d.payment_id, d.dispute_id limit $1`;
  return [{ name: `list_disputes${kind.join("")}`, text }, values];
}
