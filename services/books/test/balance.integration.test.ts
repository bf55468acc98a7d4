import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ListedOperationSchema } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import { GatewayOperationKind } from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";
import { encodeId } from "#platform/id.ts";
import { type Balance, takeBalance } from "../src/balance/balance.ts";
import type { GatewayList } from "../src/balance/gateway-reader.ts";
import { toVerification } from "../src/report/push.ts";
import {
  id,
  openWorld,
  operationId,
  orders,
  type Place,
  shipmentId,
  type World,
  writeOpenParcel,
  writeParcel,
} from "./world.ts";

let world: World;
before(async () => {
  world = await openWorld();
  await world.restore();
});
after(() => world?.[Symbol.asyncDispose]());

const { delivered, lost, cancelled, returned, exchanged, replacement, pending } = orders;

/** Something that is done to the books behind the services' backs. */
interface Tampering {
  readonly what: string;
  readonly service: Place;
  readonly sql: string;
  readonly values?: readonly unknown[];
  /** What the comparison says then, besides other things perhaps. */
  readonly says: string;
}

const queued = `with long as (update stock_level set update_time = now() - interval '1 hour')
  insert into back_order_line (sku, place, order_id, quantity, wait_time)
  values ('book', 1, $1, $2, now() - interval '1 hour')`;

const named = (order: { readonly id: string }) => encodeId(order.id);

const stock: readonly Tampering[] = [
  {
    what: "a piece appears on a shelf",
    service: "inventory",
    sql: "update stock_level set on_hand = on_hand + 1 where sku = 'book'",
    says: "book at north has 8 on hand and 1 reserved, its movements sum to 7 and 1",
  },
  {
    what: "a piece is set aside for nobody",
    service: "inventory",
    sql: "update stock_level set reserved = reserved + 1 where sku = 'pen'",
    says: "pen at south has 1 reserved, open reservations have 0",
  },
  {
    what: "a reservation is released in its row alone",
    service: "inventory",
    sql: `update reservation set allocations = jsonb_set(allocations, '{0,status}', '"released"') where order_id = $1`,
    values: [pending.id],
    says: `order ${named(pending)}: book at north is released, its movements differ`,
  },
  {
    what: "an order that is over waits for stock",
    service: "inventory",
    sql: queued,
    values: [cancelled.id, 1_000],
    says: `order ${named(cancelled)} is cancelled, and waits for stock`,
  },
  {
    what: "inventory says that more is missing of an order than was taken out of it",
    service: "inventory",
    sql: `update reservation set missing = '[["book", 2], ["pen", 1]]' where order_id = $1`,
    values: [delivered.id],
    says: `order ${named(delivered)} is without nothing, inventory says that book:2 pen:1 is missing`,
  },
  {
    what: "pieces are taken out of an order that were there",
    service: "orders",
    sql: `update customer_order set shortage = '{"lines": [["pen", 3, 1], ["book", 1, 1], ["pen", 1, 0]]}' where order_id = $1`,
    values: [delivered.id],
    says: `order ${named(delivered)} is without pen:3, inventory says that nothing is missing`,
  },
  {
    what: "an order is confirmed without its rest",
    service: "orders",
    sql: `update customer_order set shortage = '{"lines": [], "rest": {}}' where order_id = $1`,
    values: [delivered.id],
    says: `order ${named(delivered)} was confirmed, and what is missing of it does not follow`,
  },
  {
    what: "the rest of an order is nowhere",
    service: "orders",
    sql: `update customer_order set shortage = '{"lines": [], "followedBy": "${pending.id}"}' where order_id = $1`,
    values: [delivered.id],
    says: `order ${named(delivered)} is followed by an order that there is not`,
  },
  {
    what: "an order waits for stock that is there",
    service: "inventory",
    sql: queued,
    values: [pending.id, 1],
    says: `order ${named(pending)} waits for stock that is there`,
  },
];

const money: readonly Tampering[] = [
  {
    what: "a payment was captured by less than its ledger says",
    service: "payments",
    sql: "update payment set captured = 900 where payment_id = $1",
    values: [delivered.id],
    says: `payment ${named(delivered)} of order ${named(delivered)} differs from its ledger entries`,
  },
  {
    what: "two ledger entries are wrong by the same amount",
    service: "payments",
    sql: "update ledger_entry set amount = 500 where operation_id in ($1, $2)",
    values: [operationId(delivered, 1), operationId(delivered, 2)],
    says: `the capture ${encodeId(operationId(delivered, 1))} of payment ${named(delivered)} differs from its ledger entries`,
  },
  {
    what: "ledger entries are of an operation that there is not",
    service: "payments",
    sql: "update ledger_entry set operation_id = $2 where operation_id = $1",
    values: [operationId(delivered, 1), operationId(delivered, 9)],
    says: `payment ${named(delivered)} has ledger entries of an operation ${encodeId(operationId(delivered, 9))} that it does not have`,
  },
  {
    what: "a hold is booked to another account",
    service: "payments",
    sql: "update ledger_entry set debit_account = 'sales' where operation_id = $1",
    values: [operationId(pending, 0)],
    says: "EUR: accounts sum to 0, 0 is held, payments hold 200",
  },
  {
    what: "the gateway has captured less than its records",
    service: "simulators",
    sql: "update gateway_record set captured = 900 where key = $1",
    values: [operationId(delivered, 0)],
    says: `payment ${named(delivered)} of order ${named(delivered)} (approved) differs from the gateway's record`,
  },
  {
    what: "the gateway still holds what was voided of an order that is over",
    service: "simulators",
    sql: "update gateway_record set voided = 0, deferred = voided where key = $1",
    values: [operationId(cancelled, 0)],
    says: `payment ${named(cancelled)} of order ${named(cancelled)} (approved) differs from the gateway's record`,
  },
  {
    what: "two captures at the gateway are wrong by the same amount",
    service: "simulators",
    sql: "update gateway_record set amount = 500 where key in ($1, $2)",
    values: [operationId(delivered, 1), operationId(delivered, 2)],
    says: `payment ${named(delivered)}: capture 600 EUR succeeded, the gateway remembers capture 500 EUR`,
  },
  {
    what: "the gateway knows nothing of a refund",
    service: "simulators",
    sql: "delete from gateway_record where key = $1",
    values: [operationId(lost, 2)],
    says: `payment ${named(lost)}: refund 500 EUR succeeded, the gateway remembers nothing of it`,
  },
  {
    what: "the gateway has refused what we believe done",
    service: "simulators",
    sql: "update gateway_record set decline_code = 'expired' where key = $1",
    values: [operationId(cancelled, 1)],
    says: `payment ${named(cancelled)}: void 300 EUR succeeded, the gateway remembers a refusal`,
  },
  {
    what: "the gateway has charged in another currency",
    service: "simulators",
    sql: "update gateway_record set currency = 'USD' where key = $1",
    values: [operationId(lost, 1)],
    says: `payment ${named(lost)}: capture 500 EUR succeeded, the gateway remembers capture 500 USD`,
  },
  {
    what: "the gateway has charged another authorization",
    service: "simulators",
    sql: "update gateway_record set authorization_key = $2 where key = $1",
    values: [operationId(lost, 1), operationId(pending, 0)],
    says: `payment ${named(lost)}: capture 500 EUR succeeded, the gateway remembers capture 500 EUR of another authorization`,
  },
  {
    what: "the gateway has approved what we believe refused",
    service: "simulators",
    sql: "update gateway_record set decline_code = '' where decline_code <> ''",
    says: `payment ${encodeId(id("e"))}: authorize 100 EUR refused, the gateway remembers authorize 100 EUR`,
  },
  {
    what: "more was credited than there are credits",
    service: "payments",
    sql: "update payment set credited = 160 where payment_id = $1",
    values: [exchanged.id],
    says: `payment ${named(exchanged)} of order ${named(exchanged)} has credited 160, its credits are 150`,
  },
  {
    what: "a credit is of what another order has paid",
    service: "payments",
    sql: "update payment set source_id = $2 where payment_id = $1",
    values: [replacement.id, delivered.id],
    says: `payment ${named(delivered)} of order ${named(delivered)} has credited 0, its credits are 150`,
  },
  {
    what: "a credit is of nothing that there is",
    service: "payments",
    sql: "update payment set source_id = $2 where payment_id = $1",
    values: [replacement.id, id("99")],
    says: `credits are of a payment ${encodeId(id("99"))} that there is not`,
  },
  {
    what: "a credit is worth more than it was made of",
    service: "payments",
    sql: "update ledger_entry set amount = 250 where payment_id = $1 and kind = 'credit'",
    values: [replacement.id],
    says: `payment ${named(replacement)} of order ${named(replacement)} differs from its ledger entries`,
  },
  {
    what: "a credit that was used was paid back to the card",
    service: "simulators",
    sql: "update gateway_record set refunded = 200 where key = $1",
    values: [operationId(exchanged, 0)],
    says: `payment ${named(exchanged)} of order ${named(exchanged)} (approved) differs from the gateway's record`,
  },
  {
    what: "what a credit gave back was paid back for nothing that the gateway knows",
    service: "payments",
    sql: `with back as (
        insert into payment_operation (operation_id, payment_id, kind, amount, state, next_attempt_time, decide_time)
        values ($2, $1, 'refund', 150, 'succeeded', now(), now()))
      update payment set refunded = 150 where payment_id = $1`,
    values: [replacement.id, id("7e")],
    says: `payment ${named(replacement)}: refund 150 EUR succeeded, the gateway remembers nothing of it`,
  },
  {
    what: "the gateway has done what nobody asked for",
    service: "simulators",
    sql: `insert into gateway_record (key, kind, authorization_key, card_token, currency, amount, decline_code, decide_time)
      values ($1, 'refund', $1, '', 'EUR', 1, '', now())`,
    values: [id("ff")],
    says: `the gateway did a refund with key ${encodeId(id("ff"))} that payments does not know`,
  },
];

/** As DeleteOrder leaves it. */
const deleted = `with lines as (delete from order_line where order_id = $1),
  gone as (delete from customer_order where order_id = $1)
  insert into audit_event (event_id, action, order_id, subject, details, actor, request_id)
  values (gen_random_uuid(), 'order.deleted', $1, '', '{}', 'service:orders', '')`;

const ended: readonly Tampering[] = [
  {
    what: "an order is deleted that has stock",
    service: "orders",
    sql: deleted,
    values: [pending.id],
    says: `order ${named(pending)} is deleted and still has 1 articles set aside`,
  },
  {
    what: "an order is deleted that was paid for",
    service: "orders",
    sql: deleted,
    values: [delivered.id],
    says: `order ${named(delivered)} is deleted: charged 1000, its parcels cost 0`,
  },
  {
    what: "an order is gone that has stock and money",
    service: "orders",
    sql: "with lines as (delete from order_line where order_id = $1) delete from customer_order where order_id = $1",
    values: [pending.id],
    says: `there is no order ${named(pending)}, but stock, money or a parcel of it`,
  },
  {
    what: "an order is sent for what another amount pays",
    service: "orders",
    sql: `update customer_order set exchange = jsonb_set(exchange, '{credits}', '["140"]') where order_id = $1`,
    values: [replacement.id],
    says: `order ${named(replacement)} is delivered: its credits are 150, what it is sent in exchange for pays 140`,
  },
  {
    what: "an order that was never placed keeps what was credited to it",
    service: "orders",
    sql: `with lines as (delete from order_line where order_id = $1), gone as (delete from customer_order where order_id = $1)
      update order_return set exchange_state = 'refused', exchange_order_id = $1 where order_id = $2`,
    values: [replacement.id, exchanged.id],
    says: `order ${named(replacement)} is never placed: charged 150, its parcels cost 0`,
  },
  {
    what: "an order ends and keeps its stock",
    service: "orders",
    sql: "update customer_order set status = 'cancelled' where order_id = $1",
    values: [pending.id],
    says: `order ${named(pending)} is cancelled and still has 1 articles set aside`,
  },
  {
    what: "an order ends and keeps the customer's money",
    service: "orders",
    sql: "update customer_order set status = 'rejected' where order_id = $1",
    values: [pending.id],
    says: `order ${named(pending)} is rejected and still holds 200 of the customer's money`,
  },
  {
    what: "an order does not know one of its parcels",
    service: "orders",
    sql: "update customer_order set shipments = shipments - 1 where order_id = $1",
    values: [delivered.id],
    says: `order ${named(delivered)} is delivered: stock left from [north,south], parcels from [north]`,
  },
  {
    what: "more was ordered than was taken",
    service: "orders",
    sql: "update order_line set quantity = 3 where order_id = $1 and sku = 'pen'",
    values: [delivered.id],
    says: `order ${named(delivered)}: other articles left than were ordered`,
  },
  {
    what: "an order ends before the gateway has decided",
    service: "payments",
    sql: `insert into payment_operation (operation_id, payment_id, kind, amount, state, next_attempt_time)
      values (gen_random_uuid(), $1, 'refund', 1, 'pending', now())`,
    values: [delivered.id],
    says: `order ${named(delivered)} is delivered, but the gateway has yet to decide something`,
  },
  {
    what: "a parcel costs more than was charged",
    service: "orders",
    sql: `update customer_order set shipments = jsonb_set(shipments, '{0,amount}', '"700"') where order_id = $1`,
    values: [delivered.id],
    says: `order ${named(delivered)} is delivered: charged 1000, its parcels cost 1100`,
  },
  {
    what: "a parcel was refunded that is not lost",
    service: "orders",
    sql: `update customer_order set shipments = jsonb_set(shipments, '{0,status}', '"delivered"') where order_id = $1`,
    values: [lost.id],
    says: `order ${named(lost)} is failed: refunded 500, lost parcels cost 0`,
  },
  {
    what: "more was charged than the order's total",
    service: "orders",
    sql: "update customer_order set total = 900 where order_id = $1",
    values: [delivered.id],
    says: `order ${named(delivered)} is delivered: charged more than its total`,
  },
  {
    what: "the parcels of an order do not cost what it costs",
    service: "orders",
    sql: "update customer_order set total = 1100 where order_id = $1",
    values: [delivered.id],
    says: `order ${named(delivered)}: its parcels cost 1000, it costs 1100`,
  },
  {
    what: "a parcel costs a part of another one",
    service: "orders",
    sql: `update customer_order set line_amounts = '["599", "401"]' where order_id = $1`,
    values: [delivered.id],
    says: `order ${named(delivered)}: its parcel from north costs 600, its part of the total is 599`,
  },
  {
    what: "the lines of an order do not cost what it costs",
    service: "orders",
    sql: `update customer_order set line_amounts = '["600", "401"]' where order_id = $1`,
    values: [delivered.id],
    says: `order ${named(delivered)}: its lines cost 1001, it costs 1000`,
  },
];

const returns: readonly Tampering[] = [
  {
    what: "what came back is not on the shelf",
    service: "orders",
    sql: "update order_return_line set received = 2, restocked = 2 where order_id = $1",
    values: [returned.id],
    says: `order ${named(returned)}: 1 of pen@south are back on the shelf, the warehouse received 2`,
  },
  {
    what: "it is on the shelf twice",
    service: "inventory",
    sql: `insert into stock_movement (sku, location_id, kind, on_hand_delta, reserved_delta, order_id)
      values ('pen', 'south', 'return', 1, 0, $1)`,
    values: [returned.id],
    says: `order ${named(returned)}: 2 of pen@south are back on the shelf, the warehouse received 1`,
  },
  {
    what: "what nobody received is on the shelf",
    service: "orders",
    sql: "with lines as (delete from order_return_line where order_id = $1) delete from order_return where order_id = $1",
    values: [returned.id],
    says: `order ${named(returned)}: 1 of pen@south are back on the shelf, the warehouse received 0`,
  },
  {
    what: "more was paid back than what came has cost",
    service: "orders",
    sql: "update order_return set amount = 150 where order_id = $1",
    values: [returned.id],
    says: `order ${named(returned)} is delivered: refunded 200, lost parcels cost 0, what came back 150`,
  },
  {
    what: "what pays another order was paid back as well",
    service: "payments",
    sql: "update payment set refunded = 200 where payment_id = $1",
    values: [exchanged.id],
    says: `order ${named(exchanged)} is delivered: refunded 350, lost parcels cost 0, what came back 200`,
  },
  {
    what: "less was paid back than what came has cost",
    service: "orders",
    sql: "update order_return set amount = 250 where order_id = $1",
    values: [returned.id],
    says: `order ${named(returned)} is delivered: refunded 200, lost parcels cost 0, what came back 250`,
  },
];

/** A parcel of nobody. */
const stranger = encodeId(id("57"));

const parcels: readonly Tampering[] = [
  {
    what: "shipping has lost what was delivered",
    service: "shipping",
    sql: "update shipment set status = 'lost' where shipment_id = $1",
    values: [shipmentId(delivered, "north")],
    says: `order ${named(delivered)}: its parcel from north is delivered, shipping says lost`,
  },
  {
    what: "the carrier knows nothing of a parcel",
    service: "simulators",
    sql: "delete from carrier_parcel where key = $1",
    values: [encodeId(shipmentId(delivered, "south"))],
    says: `shipment ${encodeId(shipmentId(delivered, "south"))} of order ${named(delivered)} is delivered, the carrier says nothing`,
  },
  {
    what: "the carrier has another parcel under the number",
    service: "simulators",
    sql: "update carrier_parcel set tracking_number = 'other' where key = $1",
    values: [encodeId(shipmentId(lost, "north"))],
    says: `shipment ${encodeId(shipmentId(lost, "north"))} of order ${named(lost)} is lost, the carrier says booked`,
  },
  {
    what: "the carrier took a parcel of nobody's",
    service: "simulators",
    sql: `insert into carrier_parcel (key, state, calls, tracking_number, lost, transit_ms)
      values ($1, 'booked', 1, 'x', false, 0)`,
    values: [stranger],
    says: `the carrier took a parcel ${stranger} that shipping does not know`,
  },
];

const audit: readonly Tampering[] = [
  {
    what: "the audit log lacks a change of an order",
    service: "orders",
    sql: "delete from audit_event where order_id = $1 and action = 'order.cancelled'",
    values: [cancelled.id],
    says: `order ${named(cancelled)} became cancelled, and the audit log of orders does not say so`,
  },
  {
    what: "the audit log has another amount",
    service: "payments",
    sql: `update audit_event set details = '{"amount": "501"}' where order_id = $1 and action = 'payment.refunded'`,
    values: [lost.id],
    says: `order ${named(lost)}: payments 500, 500, 500, the log 500, 500, 501, and the audit log of payments does not say so`,
  },
  {
    what: "the audit log has another place",
    service: "inventory",
    sql: `update audit_event set details = '{"book@south": 1}' where order_id = $1`,
    values: [pending.id],
    says: `order ${named(pending)}: 1 book from north are held, and the audit log of inventory does not say so`,
  },
  {
    what: "the audit log lacks a parcel",
    service: "shipping",
    sql: "delete from audit_event where order_id = $1",
    values: [lost.id],
    says: `the shipment of order ${named(lost)} from north is lost, and the audit log of shipping does not say so`,
  },
];

const forget = "delete from order_event where order_id = $1";

/** The order that is under way, and what becomes of it. */
const carried: readonly (Omit<Tampering, "says"> & {
  readonly state?: string;
  readonly step?: string;
  readonly says?: string;
})[] = [
  {
    what: "an order has nothing coming, and nobody carries it",
    service: "orders",
    sql: forget,
    values: [pending.id],
    says: `order ${named(pending)} is pending and nobody carries it`,
  },
  {
    what: "the episode of an order is not there",
    service: "orders",
    sql: `with gone as (${forget}) update customer_order set episode_id = $1 where order_id = $1`,
    values: [pending.id],
    says: `order ${named(pending)} is pending and its episode has not settled it for 15 minutes`,
  },
  {
    what: "the episode of an order is old",
    service: "orders",
    sql: `with gone as (${forget}), begun as (
        insert into episode (episode_id, order_ids, start_time) values ($1, array[$1::uuid], now() - interval '16 minutes'))
      update customer_order set episode_id = $1 where order_id = $1`,
    values: [pending.id],
    says: `order ${named(pending)} is pending and its episode has not settled it for 15 minutes`,
  },
  {
    what: "the episode of an order is young",
    service: "orders",
    sql: `with gone as (${forget}), begun as (
        insert into episode (episode_id, order_ids) values ($1, array[$1::uuid]))
      update customer_order set episode_id = $1 where order_id = $1`,
    values: [pending.id],
    state: "carried",
  },
  {
    what: "a step of an order is parked",
    service: "orders",
    sql: `with gone as (${forget}) update customer_order set parked_step = 'capture:north', park_time = now() - interval '90 s'
      where order_id = $1`,
    values: [pending.id],
    state: "parked",
    step: "capture",
  },
  {
    what: "a person is to decide about an order",
    service: "orders",
    sql: `with gone as (${forget}) update customer_order set review_time = now(), review_reasons = '{AMOUNT}',
      update_time = now() - interval '90 s' where order_id = $1`,
    values: [pending.id],
    state: "review",
  },
  {
    what: "an order waits for stock in no queue",
    service: "orders",
    sql: `with gone as (${forget}) update customer_order set back_order_time = now() where order_id = $1`,
    values: [pending.id],
    state: "stock",
    says: `order ${named(pending)} is pending and waits for stock in no queue`,
  },
  {
    what: "an order is carried again later",
    service: "orders",
    sql: "update order_event set due_time = now() + interval '1 minute' where order_id = $1",
    values: [pending.id],
    state: "again later",
  },
  {
    what: "a workflow of the kind before has an order",
    service: "orders",
    sql: `with gone as (${forget}) update customer_order set saga_id = $2 where order_id = $1`,
    values: [pending.id, id("99")],
    state: "old",
  },
];

/** What shipping has still to tell of a shipment, by how it stands. */
const shipments: readonly (readonly [status: string, told: string, isOwed: boolean])[] = [
  ["preparing", "", true],
  ["ready", "", true],
  ["ready", "packed", false],
  ["booking", "packed", true],
  ["failed", "", true],
  ["failed", "packing_failed", false],
];

const sentencesOf = ({ findings }: Balance) => findings.flatMap(({ wrong }) => wrong);

/** Row by row, so that everything spans pages, and as a whole. */
const pageSizes = [1, 2_000];

describe("the books, read by roles that may only read", () => {
  /** The comparisons that have found something, by their place. */
  const caught = new Set<number>();

  for (const pageSize of pageSizes) {
    it(`are in balance when they are, with what rests, by pages of ${pageSize}`, async () => {
      const balance = await takeBalance(world.sources, { pageSize });
      assert.deepEqual(sentencesOf(balance), []);
      assert.deepEqual([balance.inBalance, balance.isWhole, balance.orders, balance.underway], [true, true, 8, 1]);
      const [rest, ...others] = balance.rests;
      assert.deepEqual([rest?.status, rest?.state, rest?.step, rest?.orders, others], ["pending", "due", "", 1, []]);
      assert.ok(rest && rest.longestSeconds >= 600 && rest.longestSeconds < 700, `${rest?.longestSeconds} s`);
    });
  }

  it("are said to be the same, whatever the pages", async () => {
    const [rows, whole] = await Promise.all(pageSizes.map((pageSize) => takeBalance(world.sources, { pageSize })));
    assert.deepEqual(rows?.findings, whole?.findings);
  });

  for (const { what, service, sql, values, says } of [...stock, ...money, ...ended, ...returns, ...parcels, ...audit]) {
    it(`are not when ${what}`, async () => {
      await world.change(service, sql, values);
      const balances = await Promise.all(pageSizes.map((pageSize) => takeBalance(world.sources, { pageSize })));
      await world.restore(service);
      for (const balance of balances) {
        const sentences = sentencesOf(balance);
        assert.ok(
          sentences.some((sentence) => sentence.includes(says)),
          `${says}\n  is not in\n${sentences.join("\n")}`,
        );
        assert.equal(balance.inBalance, false);
        for (const [index, { wrong }] of balance.findings.entries()) if (wrong.length > 0) caught.add(index);
      }
    });
  }

  for (const { what, service, sql, values, says, state, step = "" } of carried) {
    it(`${says ? "are not" : "are in balance"} when ${what}`, async () => {
      await world.change(service, sql, values);
      const balance = await takeBalance(world.sources);
      await world.restore(service);
      assert.deepEqual(sentencesOf(balance), says ? [says] : []);
      if (state)
        assert.deepEqual(
          balance.rests.map((rest) => [rest.state, rest.step, rest.orders]),
          [[state, step, 1]],
        );
      for (const [index, { wrong }] of balance.findings.entries()) if (wrong.length > 0) caught.add(index);
    });
  }

  for (const [status, told, isOwed] of shipments) {
    const news = told === "" ? "nothing" : told;
    it(`${isOwed ? "are in balance" : "are not"} when a shipment is ${status} and orders has heard ${news}`, async () => {
      await world.change("orders", forget, [pending.id]);
      await writeOpenParcel(world.change, pending, { status, told });
      const balance = await takeBalance(world.sources);
      await world.restore();
      const says = `order ${named(pending)} is pending and nobody carries it`;
      assert.deepEqual(sentencesOf(balance), isOwed ? [] : [says]);
      assert.deepEqual(
        balance.rests.map((rest) => rest.state),
        ["waiting"],
      );
    });
  }

  it("are in balance when an order waits for stock in its turn", async () => {
    const wait = `with gone as (${forget}) update customer_order set back_order_time = now() where order_id = $1`;
    await world.change("orders", wait, [pending.id]);
    await world.change("inventory", queued, [pending.id, 1_000]);
    const balance = await takeBalance(world.sources);
    await world.restore();
    assert.deepEqual(sentencesOf(balance), []);
    assert.deepEqual(
      balance.rests.map((rest) => rest.state),
      ["stock"],
    );
  });

  it("are in balance when the rest of an order follows in one of its own", async () => {
    const follows = `with rest as (update customer_order set rest_of = $1 where order_id = $2)
      update customer_order set shortage = '{"lines": [], "followedBy": "${pending.id}"}' where order_id = $1`;
    await world.change("orders", follows, [delivered.id, pending.id]);
    const balance = await takeBalance(world.sources);
    await world.restore("orders");
    assert.deepEqual(sentencesOf(balance), []);
  });

  it("are in balance when somebody is to be served whose stock has just come", async () => {
    await world.change("inventory", queued, [pending.id, 1]);
    await world.change("inventory", "update stock_level set update_time = now() where sku = 'book'");
    const balance = await takeBalance(world.sources);
    await world.restore();
    assert.deepEqual(sentencesOf(balance), []);
  });

  it("are in balance when an order is deleted that came to nothing", async () => {
    await world.change("orders", deleted, [cancelled.id]);
    const balance = await takeBalance(world.sources);
    await world.restore("orders");
    assert.deepEqual(sentencesOf(balance), []);
    assert.equal(balance.orders, 7);
  });

  it("are not when shipping has sent a parcel of an order that was cancelled", async () => {
    await writeParcel(world.change, cancelled, { from: "south", status: "delivered" });
    const says = `order ${named(cancelled)} is cancelled, but shipping has sent a parcel from south`;
    const balance = await takeBalance(world.sources);
    await world.restore("shipping");
    assert.deepEqual(sentencesOf(balance), [says]);
  });

  /** The gateway, where somebody else has done something with an authorization of ours, or of nobody's. */
  function withOutside(done: { reference: string; days?: number; authorizationKey?: string; declined?: boolean }[]) {
    const listOperations: GatewayList["listOperations"] = async (request, options) => {
      const page = await world.sources.gateway.listOperations(request, options);
      const { afterKey = "", toKey = "" } = request;
      const others = done.map(({ reference, days, authorizationKey, declined }, index) => {
        const time = days === undefined ? undefined : timestampFromMs(Date.now() - days * 24 * 3_600_000);
        return create(ListedOperationSchema, {
          key: id(`f${index}0`),
          kind: GatewayOperationKind.REFUND,
          authorizationKey: authorizationKey ?? operationId(delivered, 0),
          amount: { currency: "EUR", amount: 40n },
          outcome: { result: declined ? { case: "declined", value: {} } : { case: "approved", value: {} } },
          outside: { reference, ...(time && { time }) },
        });
      });
      const here = others.filter(({ key }) => key > afterKey && (toKey === "" || key <= toKey) && !page.more);
      const operations = [...page.operations, ...here].toSorted((a, b) => (a.key < b.key ? -1 : 1));
      return { ...page, operations };
    };
    return { ...world.sources, gateway: { listOperations } };
  }

  it("are in balance when somebody refunds in the gateway's console, and say with which payment", async () => {
    await world.restore();
    const done = [
      { reference: "re_old", days: 8 },
      { reference: "re_new", days: 1 },
      { reference: "re_failed", declined: true },
    ];
    const balance = await takeBalance(withOutside(done));
    assert.deepEqual([sentencesOf(balance), balance.inBalance], [[], true]);
    const { operations, recent, latest } = balance.outside;
    assert.deepEqual([operations, recent, latest.length], [2, 1, 2]);
    const payment = `payment ${encodeId(delivered.id)} of order ${named(delivered)}`;
    assert.ok(
      latest[0]?.startsWith(`somebody did a refund of 40 EUR with ${payment} at the gateway, without us (re_new,`),
      latest[0],
    );
    assert.match(latest[1] ?? "", /re_old, as was learned at 20\d\d-.*Z\)$/);
    assert.equal(toVerification(balance, 1).outside, 1);
    assert.equal(toVerification(balance, 1).findings, 0);
  });

  it("are not when somebody did something at the gateway with what is not ours", async () => {
    const balance = await takeBalance(withOutside([{ reference: "re_1", authorizationKey: id("999") }]));
    const says = `the gateway did a refund with key ${encodeId(id("f00"))} that payments does not know`;
    assert.deepEqual([sentencesOf(balance), balance.outside.operations], [[says], 0]);
  });

  it("are compared in part when told so: what is wrong is found there, and nowhere else", async () => {
    await world.change("payments", "update payment set captured = 900 where payment_id = $1", [delivered.id]);
    const only = (order: { readonly id: string }) =>
      takeBalance(world.sources, { ids: { from: order.id, to: order.id }, pageSize: 1 });
    const [bad, good] = [await only(delivered), await only(lost)];
    await world.restore("payments");
    assert.deepEqual([bad.isWhole, bad.inBalance, bad.orders], [false, false, 1]);
    assert.ok(
      sentencesOf(bad).includes(`order ${named(delivered)} is delivered and still holds 100 of the customer's money`),
    );
    assert.deepEqual([good.isWhole, good.inBalance, good.orders, sentencesOf(good)], [false, true, 1, []]);
  });

  it("were caught by every comparison that there is", async () => {
    const { findings } = await takeBalance(world.sources);
    const blind = findings.filter((_, index) => !caught.has(index)).map(({ checked }) => checked);
    assert.deepEqual(blind, []);
  });
});
