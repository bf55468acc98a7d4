import type { DatabaseService } from "../../../services.ts";
import type { Ask } from "./ask.ts";
import { type Finding, maxNamed } from "./finding.ts";

/** What is compared with the audit log of a service. */
interface Comparison {
  /** What the effects are called. */
  readonly effects: string;
  /** How many there are, as `count`. */
  readonly count: string;
  /** Those for which the log has no event, or another one: what it is as `what`, limited by $1. */
  readonly missing: string;
}

/** The event is written by the statement that has the effect, so both are there at every moment, or neither. */
const comparisons: Readonly<Record<DatabaseService, Comparison>> = {
  orders: {
    effects: "changes of orders",
    count: "select sum(jsonb_array_length(history)) as count from customer_order",
    missing: `select 'order ' || o.order_id || ' became ' || (h->>'status') as what
      from customer_order o cross join jsonb_array_elements(o.history) h
      where not exists (select from audit_event a where a.order_id = o.order_id and a.action =
        case h->>'status' when 'pending' then 'order.created' else 'order.' || (h->>'status') end)
      limit $1`,
  },
  payments: {
    effects: "authorizations, captures and refunds",
    count: "select count(*) from payment_operation where state = 'succeeded' and kind <> 'void'",
    missing: `select 'order ' || order_id || ': payments ' || p.sums || ', the log ' || coalesce(a.sums, '0, 0, 0') as what
      from (select order_id, concat_ws(', ', sum(amount) filter (where decision = 'approved'), sum(captured), sum(refunded))
          as sums from payment where decision = 'approved' group by order_id) p
      left join (select order_id, concat_ws(', ', coalesce(sum(amount) filter (where action = 'payment.authorized'), 0),
          coalesce(sum(amount) filter (where action = 'payment.captured'), 0),
          coalesce(sum(amount) filter (where action = 'payment.refunded'), 0)) as sums
        from (select order_id, action, (details->>'amount')::bigint as amount from audit_event) e
        group by order_id) a using (order_id)
      where p.sums is distinct from a.sums limit $1`,
  },
  inventory: {
    effects: "parts of reservations",
    count: "select count(*) from allocation",
    missing: `select 'order ' || r.order_id || ': ' || r.quantity || ' ' || r.sku || ' from ' || r.location_id || ' are '
        || r.status as what
      from allocation r where not exists (select from audit_event a where a.order_id = r.order_id
        and a.action = any(case r.status when 'held' then array['stock.reserved'] when 'confirmed' then array['stock.confirmed']
          when 'committed' then array['stock.committed'] else array['stock.released', 'stock.expired'] end)
        and (a.details->>(r.sku || '@' || r.location_id))::bigint = r.quantity)
      limit $1`,
  },
  shipping: {
    effects: "shipments",
    count: "select count(*) from shipment",
    missing: `select 'the shipment of order ' || s.order_id || ' from ' || s.location_id || ' is ' || s.status as what
      from shipment s where not exists (select from audit_event a where a.order_id = s.order_id
        and a.details->>'location' = s.location_id and a.action = case s.status when 'preparing' then 'shipment.created'
          when 'ready' then 'shipment.packed' when 'booking' then 'shipment.packed' when 'shipped' then 'shipment.booked'
          else 'shipment.' || s.status end)
      limit $1`,
  },
};

/** Every effect on orders, money, stock and parcels must have its event in the audit log of its service. */
export async function checkAudit(service: DatabaseService, ask: Ask): Promise<Finding> {
  const { effects, count, missing } = comparisons[service];
  const [all] = await ask<{ count: string | null }>(count);
  const rows = await ask<{ what: string }>(missing, [maxNamed]);
  return {
    checked: `${all?.count ?? 0} ${effects} are in the audit log of ${service}`,
    wrong: rows.map(({ what }) => `${what}, and the audit log of ${service} does not say so`),
  };
}
