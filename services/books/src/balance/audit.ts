import type { AccountedService } from "../../../services.ts";
import type { Ask } from "./ask.ts";
import { type Finding, maxNamed, Tally } from "./finding.ts";
import type { IdRange } from "./range.ts";

/** What is compared with the audit log of a service, among the orders from $1 to $2. */
interface Comparison {
  /** What the effects are called. */
  readonly effects: string;
  /** How many there are, as `count`. */
  readonly count: string;
  /** Those for which the log has no event, or another one: what it is as `what`, limited by $3. */
  readonly missing: string;
}

/** The event is written by the statement that has the effect, so both are there at every moment, or neither. */
const comparisons: Readonly<Record<AccountedService, Comparison>> = {
  orders: {
    effects: "changes of orders",
    count: "select sum(jsonb_array_length(history)) as count from customer_order where order_id between $1 and $2",
    missing: `select 'order ' || o.order_id || ' became ' || (h->>'status') as what
      from customer_order o cross join jsonb_array_elements(o.history) h
      where o.order_id between $1 and $2
        and not exists (select from audit_event a where a.order_id between $1 and $2 and a.order_id = o.order_id and a.action =
        case when exists (select from imported_order i where i.order_id = o.order_id) then 'order.imported'
          when h->>'status' = 'pending' then 'order.created' else 'order.' || (h->>'status') end)
      limit $3`,
  },
  payments: {
    effects: "payments with what was authorized, captured and refunded",
    count: "select count(*) from payment where decision = 'approved' and order_id between $1 and $2",
    missing: `select 'order ' || order_id || ': payments ' || p.sums || ', the log ' || coalesce(a.sums, '0, 0, 0') as what
      from (select order_id, concat_ws(', ', sum(amount) filter (where decision = 'approved'), sum(captured), sum(refunded))
          as sums from payment
          where decision = 'approved' and order_id between $1 and $2 group by order_id) p
      left join (select order_id, concat_ws(', ', coalesce(sum(amount) filter (where action in ('payment.authorized', 'payment.credited', 'payment.imported')), 0),
          coalesce(sum(amount) filter (where action in ('payment.captured', 'payment.imported')), 0),
          coalesce(sum(case action when 'payment.refunded' then amount when 'payment.refund_failed' then -amount when 'payment.imported' then refunded end), 0)) as sums
        from (select order_id, action, (details->>'amount')::bigint as amount, (details->>'refunded')::bigint as refunded
          from audit_event where order_id between $1 and $2) e
        group by order_id) a using (order_id)
      where p.sums is distinct from a.sums limit $3`,
  },
  inventory: {
    effects: "parts of reservations",
    count: "select count(*) from allocation where order_id between $1 and $2",
    missing: `select 'order ' || r.order_id || ': ' || r.quantity || ' ' || r.sku || ' from ' || r.location_id || ' are '
        || r.status as what
      from allocation r where r.order_id between $1 and $2 and not exists (
        select from audit_event a where a.order_id between $1 and $2 and a.order_id = r.order_id
        and a.action = any(case r.status when 'held' then array['stock.reserved'] when 'confirmed' then array['stock.confirmed']
          when 'committed' then array['stock.committed'] else array['stock.released', 'stock.expired'] end)
        and (a.details->>(r.sku || '@' || r.location_id))::bigint = r.quantity)
      limit $3`,
  },
  shipping: {
    effects: "shipments",
    count: "select count(*) from shipment where order_id between $1 and $2",
    missing: `select 'the shipment of order ' || s.order_id || ' from ' || s.location_id || ' is ' || s.status as what
      from shipment s where s.order_id between $1 and $2 and not exists (
        select from audit_event a where a.order_id between $1 and $2 and a.order_id = s.order_id
        and a.details->>'location' = split_part(s.location_id, '~', 1) and a.action = case s.status when 'preparing' then 'shipment.created'
          when 'ready' then 'shipment.packed' when 'booking' then 'shipment.packed' when 'shipped' then 'shipment.booked'
          else 'shipment.' || s.status end)
      limit $3`,
  },
};

/** Every effect on orders, money, stock and parcels must have its event in the audit log of its service: page by page. */
export class AuditComparison {
  readonly #service: AccountedService;
  readonly #effects: Tally;

  constructor(service: AccountedService) {
    this.#service = service;
    const { effects } = comparisons[service];
    this.#effects = new Tally((count) => `${count} ${effects} are in the audit log of ${service}`);
  }

  get finding(): Finding {
    return this.#effects.finding;
  }

  /** Compares what was done for a range of orders. */
  async compare(ask: Ask, { from, to }: IdRange): Promise<void> {
    const { count, missing } = comparisons[this.#service];
    const [all] = await ask<{ count: string | null }>(count, [from, to]);
    const rows = await ask<{ what: string }>(missing, [from, to, maxNamed]);
    this.#effects.add(
      Number(all?.count ?? 0),
      rows.map(({ what }) => `${what}, and the audit log of ${this.#service} does not say so`),
    );
  }
}
