// The books of a shop that has sold for long, in balance: as many rows an order as the services write for one.
import { encodeId } from "#platform/id.ts";
import type { World } from "./world.ts";

type Change = World["change"];

/** Articles, each on the shelves of four places. */
const articles = 50;
const places = 4;
/** Orders that one statement writes. */
const atOnce = 20_000;

/** The id of the nth order (`part` 0), or of one of the things that belong to it: in the order of n, as ids are in that of time. */
function idSql(n: string, part: number): string {
  const time = `lpad(to_hex(1700000000000 + ${n}::bigint * 100), 12, '0')`;
  const tail = `7${part.toString(16).padStart(3, "0")}-8000-`;
  return `(left(${time}, 8) || '-' || right(${time}, 4) || '-${tail}' || lpad(to_hex(${n}::bigint), 12, '0'))::uuid`;
}

/** As {@link idSql}. */
export function manyId(n: number, part: number): string {
  const time = (1_700_000_000_000 + n * 100).toString(16).padStart(12, "0");
  const tail = `7${part.toString(16).padStart(3, "0")}-8000-${n.toString(16).padStart(12, "0")}`;
  return `${time.slice(0, 8)}-${time.slice(8)}-${tail}`;
}

/** What the parts of an order's ids are for; shipments and captures have one more each. */
const parts = { order: 0, authorization: 1, capture: 2, void: 4, shipment: 5 } as const;

/** Orders $1 to $2: every twentieth cancelled, one in fifty on its way, half of the others with two parcels. Each has two lines. */
const drawn = `with o as (
  select n, ${idSql("n", parts.order)} as order_id, case when n % 20 = 0 then 'cancelled' when n % 50 = 7 then 'preparing'
    else 'delivered' end as status, (n % 2 + 1)::int as parcels from generate_series($1::int, $2::int) n
), history as (
  select *, case status when 'cancelled' then array['pending', 'confirmed', 'cancelled']
    when 'preparing' then array['pending', 'confirmed', 'preparing']
    else array['pending', 'confirmed', 'preparing', 'shipped', 'delivered'] end as statuses from o
), parcel as (
  select *, case when parcels = 1 then 1000 when p = 1 then 600 else 400 end as amount,
    'place-' || (n + p) % ${places} as location_id
  from o cross join lateral generate_series(1, parcels) p where status <> 'cancelled'
), line as (
  select *, 'article-' || (n * 2 + l) % ${articles} as sku, 'place-' || (n + least(l, parcels)) % ${places} as location_id,
    case status when 'cancelled' then 'released' when 'preparing' then 'confirmed' else 'committed' end as part
  from o cross join generate_series(1, 2) l
), operation as (
  select order_id, n, ${idSql("n", parts.authorization)} as operation_id, 'authorize' as kind, 1000 as amount from o
  union all select order_id, n, ${idSql("n", parts.void)}, 'void', 1000 from o where status = 'cancelled'
  union all select order_id, n, case p when 1 then ${idSql("n", parts.capture)} else ${idSql("n", parts.capture + 1)} end,
    'capture', amount from parcel where status = 'delivered'
)`;

const event = "insert into audit_event (event_id, action, order_id, subject, details, actor, request_id)";
const movement = "insert into stock_movement (sku, location_id, kind, on_hand_delta, reserved_delta, order_id)";
const entry =
  "insert into ledger_entry (payment_id, operation_id, kind, debit_account, credit_account, currency, amount)";

const ofOrders = [
  `${drawn} insert into customer_order (order_id, customer_id, given_name, family_name, email, status, currency, total,
    shipping_address, shipments, history, create_time, update_time, saga_id, dispatch_time)
  select order_id, order_id, 'Ada', 'Test', 'ada@example.com', status, 'EUR', 1000, '{}',
    coalesce(shipments, '[]'), (select jsonb_agg(jsonb_build_object('status', s)) from unnest(statuses) s), now(), now(),
    order_id, now()
  from history left join (select n, jsonb_agg(jsonb_build_object('locationId', location_id, 'amount', amount::text,
    'status', case status when 'preparing' then 'packing' else status end)) as shipments from parcel group by n) p using (n)`,
  `${drawn} insert into order_line (order_id, line_number, sku, quantity, unit_price) select order_id, l, sku, 1, 500 from line`,
  `${drawn} ${event} select gen_random_uuid(), case s when 'pending' then 'order.created' else 'order.' || s end, order_id, '', '{}',
    'test', '' from history cross join unnest(statuses) s`,
];

const ofPayments = [
  `${drawn} insert into payment (payment_id, order_id, customer_id, card_token, currency, amount, decision, captured, voided)
  select order_id, order_id, order_id, 'tok_approve', 'EUR', 1000, 'approved',
    case status when 'delivered' then 1000 else 0 end, case status when 'cancelled' then 1000 else 0 end from o`,
  `${drawn} insert into payment_operation (operation_id, payment_id, kind, amount, state, next_attempt_time, decide_time)
  select operation_id, order_id, kind, amount, 'succeeded', now(), now() from operation`,
  `${drawn} ${entry} select order_id, operation_id, 'authorization', 'authorized_funds', 'authorizations', 'EUR', amount from operation
    where kind = 'authorize'
  union all select order_id, operation_id, 'authorization_end', 'authorizations', 'authorized_funds', 'EUR', amount from operation
    where kind <> 'authorize'
  union all select order_id, operation_id, 'capture', 'gateway', 'sales', 'EUR', amount from operation where kind = 'capture'`,
  `${drawn} ${event} select gen_random_uuid(), case kind when 'authorize' then 'payment.authorized' when 'void' then 'payment.voided'
    else 'payment.captured' end, order_id, '', jsonb_build_object('amount', amount::text), 'test', '' from operation`,
];

const ofSimulators = [
  `${drawn} insert into gateway_record (key, kind, authorization_key, card_token, currency, amount, decline_code, decide_time,
    captured, voided)
  select operation_id, kind, ${idSql("n", parts.authorization)}, 'tok_approve', 'EUR', amount, '', now(),
    case when kind = 'authorize' and status = 'delivered' then 1000 else 0 end,
    case when kind = 'authorize' and status = 'cancelled' then 1000 else 0 end from operation join o using (n)`,
];

const ofInventory = [
  `${drawn} insert into reservation (order_id, allocations) select order_id, jsonb_agg(jsonb_build_object(
    'sku', sku, 'location_id', location_id, 'quantity', 1, 'status', part)) from line group by order_id`,
  `${drawn} ${movement} select sku, location_id, 'reservation', 0, 1, order_id from line
  union all select sku, location_id, 'commit', -1, -1, order_id from line where part = 'committed'
  union all select sku, location_id, 'release', 0, -1, order_id from line where part = 'released'`,
  `${drawn} ${event} select gen_random_uuid(), 'stock.' || s, order_id, '', jsonb_build_object(sku || '@' || location_id, 1), 'test', ''
    from line cross join unnest(array['reserved', 'confirmed', part]) s where s <> 'confirmed' or part <> 'released'`,
  `${drawn} update stock_level l set on_hand = l.on_hand + m.on_hand, reserved = l.reserved + m.reserved from (
    select sku, location_id, sum(case part when 'committed' then -1 else 0 end) as on_hand,
      sum(case part when 'confirmed' then 1 else 0 end) as reserved from line group by sku, location_id) m
  where m.sku = l.sku and m.location_id = l.location_id`,
];

const ofShipping = [
  `${drawn} insert into shipment (shipment_id, order_id, location_id, status, lines, address, saga_id, tracking_number, reported)
  select case p when 1 then ${idSql("n", parts.shipment)} else ${idSql("n", parts.shipment + 1)} end, order_id, location_id, status,
    '[]', '{}', '', case status when 'delivered' then 'T-' || n || '-' || p end, true from parcel`,
  `${drawn} ${event} select gen_random_uuid(), 'shipment.' || s, order_id, '', jsonb_build_object('location', location_id), 'test', ''
    from parcel cross join unnest(case status when 'preparing' then array['created']
      else array['created', 'packed', 'booked', 'delivered'] end) s`,
];

const statements = {
  orders: ofOrders,
  payments: ofPayments,
  inventory: ofInventory,
  shipping: ofShipping,
  simulators: ofSimulators,
} as const;

/** Fills the shelves; the movements of many orders take from them. */
export async function fillShelves(change: Change): Promise<void> {
  const all = `from generate_series(0, ${articles - 1}) a cross join generate_series(0, ${places - 1}) p`;
  const level = `select 'article-' || a, 'place-' || p, 100000000 ${all}`;
  await change("inventory", `insert into stock_level (sku, location_id, on_hand) ${level}`);
  await change(
    "inventory",
    `${movement} select 'article-' || a, 'place-' || p, 'adjustment', 100000000, 0, null ${all}`,
  );
}

/** Writes orders number `from` to `to` into all books. */
export async function writeManyOrders(change: Change, { from, to }: { from: number; to: number }): Promise<void> {
  for (let first = from; first <= to; first += atOnce) {
    const last = Math.min(first + atOnce - 1, to);
    for (const [service, all] of Object.entries(statements)) {
      for (const sql of all) await change(service as keyof typeof statements, sql, [first, last]);
    }
    await writeBookings(change, first, last);
  }
}

/** The carrier knows shipments by their ids as the API shows them. */
async function writeBookings(change: Change, first: number, last: number): Promise<void> {
  const numbers = Array.from({ length: last - first + 1 }, (_, index) => first + index);
  const left = numbers.filter((n) => n % 20 !== 0 && n % 50 !== 7);
  const booked = left.flatMap((n) => Array.from({ length: (n % 2) + 1 }, (_, p) => [n, p] as const));
  await change(
    "simulators",
    `insert into carrier_parcel (key, state, calls, tracking_number, lost, transit_ms)
    select key, 'booked', 1, tracking, false, 0 from unnest($1::text[], $2::text[]) as b (key, tracking)`,
    [booked.map(([n, p]) => encodeId(manyId(n, parts.shipment + p))), booked.map(([n, p]) => `T-${n}-${p + 1}`)],
  );
}
