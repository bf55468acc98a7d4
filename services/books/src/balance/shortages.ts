import type { Ask } from "./ask.ts";
import { type EndedOrder, type Finding, Tally } from "./finding.ts";
import type { IdRange } from "./range.ts";

/** Of each article that an order does not get all of, how many are missing: as `sku:quantity`, sorted. */
export type MissingOfOrders = ReadonlyMap<string, string>;

/** What orders do not get, as inventory has decided. */
export async function readMissing(ask: Ask, { from, to }: IdRange): Promise<MissingOfOrders> {
  const rows = await ask<{ order_id: string; missing: string }>(
    `select order_id, (select string_agg(m->>0 || ':' || (m->>1), ' ' order by (m->>0) collate "C")
        from jsonb_array_elements(missing) m) as missing
      from reservation where order_id between $1 and $2 and missing is not null`,
    [from, to],
  );
  return new Map(rows.map(({ order_id: orderId, missing }) => [orderId, missing]));
}

interface ShortRow {
  readonly order_id: string;
  readonly missing: string | null;
  /** Whether what is missing was to follow when the order was confirmed, and does not. */
  readonly forgotten: boolean;
  /** Whether it follows in an order that is nowhere. */
  readonly lost: boolean;
}

/** Orders of which something is missing: what, and what follows. */
export class OrdersInPart {
  readonly #short = new Tally(
    (count) => `${count} orders are without what inventory did not have, and have one rest or none`,
  );

  get finding(): Finding {
    return this.#short.finding;
  }

  /** What is missing is decided before an order ends, so that is compared of those that have. */
  async compare(
    ask: Ask,
    { ended, missing, range }: { ended: readonly EndedOrder[]; missing: MissingOfOrders; range: IdRange },
  ): Promise<void> {
    const rows = await ask<ShortRow>(
      `select o.order_id, shortage ? 'rest' and history @> '[{"status": "confirmed"}]' as forgotten,
        shortage ? 'followedBy' and not exists (select from customer_order r
          where r.order_id = (o.shortage->>'followedBy')::uuid and r.rest_of = o.order_id)
        and not exists (select from audit_event a
          where a.order_id = (o.shortage->>'followedBy')::uuid and a.action = 'order.deleted') as lost,
        (select string_agg(sku || ':' || quantity, ' ' order by sku collate "C") from (
          select l->>0 as sku, sum((l->>1)::int - (l->>2)::int) as quantity from jsonb_array_elements(shortage->'lines') l group by 1
        ) m where quantity > 0) as missing
      from customer_order o where o.order_id between $1 and $2 and shortage is not null`,
      [range.from, range.to],
    );
    const cut = new Map(rows.map((row) => [row.order_id, row.missing]));
    this.#short.add(rows.length, [
      ...rows.map(({ order_id: id, forgotten, lost }) => {
        if (forgotten) return `order ${id} was confirmed, and what is missing of it does not follow`;
        return lost ? `order ${id} is followed by an order that there is not` : undefined;
      }),
      ...ended.map(({ orderId, status }) => {
        const decided = missing.get(orderId);
        const taken = cut.get(orderId);
        // It was given up before what is missing was taken out of it.
        if (taken === undefined && (status === "rejected" || status === "cancelled")) return undefined;
        if ((taken ?? undefined) === decided) return undefined;
        return `order ${orderId} is without ${taken ?? "nothing"}, inventory says that ${decided ?? "nothing"} is missing`;
      }),
    ]);
  }
}
