import { encodeId } from "#platform/id.ts";
import type { Ask } from "./ask.ts";
import { maxNamed } from "./finding.ts";
import { type GatewayRecord, recordColumns } from "./gateway-reader.ts";

/** What people did at the card gateway with payments of ours, without us: nothing is wrong with our books, and they do not have it. */
export interface Outside {
  readonly operations: number;
  /** Those that were learned of within the last week. */
  readonly recent: number;
  /** One sentence each on those that were learned of last. */
  readonly latest: readonly string[];
}

/** One of them. */
export interface OutsideOperation {
  /** When it was learned of; empty where nobody says it. */
  readonly learned: string;
  readonly isRecent: boolean;
  readonly sentence: string;
}

/** How long people are reminded. */
const recently = "interval '7 days'";

/** What of the records was done without us, and is in effect. */
export async function readOutside(ask: Ask, given: readonly GatewayRecord[]): Promise<OutsideOperation[]> {
  const outside = given.filter((record) => record.outside !== null && record.state === "approved");
  if (outside.length === 0) return [];
  const rows = await ask<{
    kind: string;
    amount: string;
    currency: string;
    payment_id: string;
    order_id: string | null;
    outside: string;
    learned: string | null;
    recent: boolean;
  }>(
    `select g.kind, g.amount::text as amount, g.currency, p.payment_id, p.order_id, g.outside,
      to_char(g.learned at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as learned, coalesce(g.learned > now() - ${recently}, true) as recent
    from json_to_recordset($1::json) as g(${recordColumns})
      join payment_operation a on a.operation_id = g.authorization_key and a.kind = 'authorize' join payment p using (payment_id)
    where not exists (select from payment_operation o where o.operation_id = g.key)`,
    [JSON.stringify(outside)],
  );
  return rows.map((row) => {
    const { kind, amount, currency, payment_id, order_id, outside: reference, learned, recent: isRecent } = row;
    const order = order_id ? ` of order ${encodeId(order_id)}` : "";
    const payment = `payment ${encodeId(payment_id)}${order}`;
    const when = learned ? `, as was learned at ${learned}` : "";
    const sentence = `somebody did a ${kind} of ${amount} ${currency} with ${payment} at the gateway, without us (${reference}${when})`;
    return { learned: learned ?? "", isRecent, sentence };
  });
}

/** All of them, and the latest by name. */
export class OutsideTally {
  #operations = 0;
  #recent = 0;
  #latest: OutsideOperation[] = [];

  add(operations: readonly OutsideOperation[]): void {
    this.#operations += operations.length;
    this.#recent += operations.filter(({ isRecent }) => isRecent).length;
    const all = [...this.#latest, ...operations];
    this.#latest = all.toSorted((a, b) => (a.learned < b.learned ? 1 : -1)).slice(0, maxNamed);
  }

  get outside(): Outside {
    const latest = this.#latest.map(({ sentence }) => sentence);
    return { operations: this.#operations, recent: this.#recent, latest };
  }
}
