// Orders that are cancelled when parcels of them have left: what the row accepts, and what becomes of the returns.
import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { Code } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { ShipmentNews } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { ParcelFate } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { CancellationOutcome, OrderShipmentStatus, OrderStatus, TurnBack } from "#gen/shop/orders/v1/order_pb.js";
import { ReturnKind, ReturnLabelStatus, ReturnReason, ReturnStatus } from "#gen/shop/orders/v1/order_return_pb.js";
import { decodeId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { delivered, type GivenParcel } from "./delivered-orders.ts";
import { eager, kinds, lastStart, settlement } from "./episode-rows.ts";
import { FakeWorker, sagaRefusal } from "./fake-worker.ts";
import {
  eventually,
  metric,
  newCustomer,
  type OrderChanges,
  orderRequest,
  ordersDatabase,
  type Replica,
  refusal,
  startReplica,
  unique,
} from "./harness.ts";

const { SHIPPED, DELIVERED, LOST, RETURNED, PLANNED } = OrderShipmentStatus;
const { TO_BE_RETURNED, CAME_BACK } = ParcelFate;
const soon = { timeoutMs: 10_000 };

describe("cancelling orders of which parcels have left", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let customerId: string;
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
    const policy = { RETURN_WINDOW_DAYS: undefined };
    replica = await startReplica(test.database, worker, { ...eager, ...policy, EPISODE_SWEEP_AGE_MS: 600_000 });
  });
  after(async () => {
    await replica?.stop();
    await test?.[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    customerId = await newCustomer(replica);
  });

  const beans = { sku: "ESPRESSO-1KG", quantity: 2 };
  const filter = { sku: "FILTER-100", quantity: 1 };
  const berlin: GivenParcel = { locationId: "berlin", amount: 3700n, lines: [beans], status: SHIPPED };
  const munich: GivenParcel = { locationId: "munich", amount: 1000n, lines: [filter], status: SHIPPED };

  /** An order of 2 × 18.50 from Berlin and 1 × 10.00 from Munich, which rests; SHIPPED unless said otherwise. */
  function away(parcels: readonly GivenParcel[] = [berlin, munich], changes: OrderChanges = {}): Promise<string> {
    return delivered(replica, worker, { request: orderRequest(customerId, changes), parcels });
  }

  async function cancel(orderId: string, requestId = unique("cancel")) {
    const { order } = await replica.orders.cancelOrder({ requestId, orderId, reason: "changed my mind" }, soon);
    assert.ok(order);
    return order;
  }

  async function get(orderId: string) {
    const { order } = await replica.orders.getOrder({ orderId });
    assert.ok(order);
    return order;
  }

  async function outcomes(orderId: string): Promise<string[]> {
    const { cancellation } = await get(orderId);
    const parcels = cancellation?.parcels.map(
      ({ locationId, outcome }) => `${locationId} ${CancellationOutcome[outcome]}`,
    );
    return [CancellationOutcome[cancellation?.outcome ?? 0] ?? "", ...(parcels ?? [])];
  }

  /** The worker has the order rest with its parcels as they are by then. */
  async function settle(orderId: string, parcels: readonly object[], changes: object = {}): Promise<void> {
    const { episodeId } = lastStart(worker, orderId) ?? assert.fail("not carried yet");
    const shipments = parcels.map((each) => ({ ...each, amount: { currency: "EUR", ...amountOf(each) } }));
    const settled = { cancellable: false, needsCard: false, shipments, ...changes };
    const { outcomes: settlements } = await replica.episodes.batchSettleOrders({
      requests: [settlement(orderId, episodeId, settled)],
    });
    assert.equal(settlements[0]?.outcome.case, "response");
  }

  function amountOf(parcel: object): { amount: bigint } {
    return { amount: (parcel as GivenParcel).amount };
  }

  async function resolve(orderId: string, locationId: string, fate: ParcelFate) {
    const { outcomes: resolved } = await replica.lifecycle.batchResolveParcels({
      requests: [{ orderId, locationId, fate }],
    });
    const outcome = resolved[0]?.outcome;
    return outcome?.case === "response" ? outcome.value : assert.fail(`${outcome?.value?.reason}`);
  }

  async function returnsOf(orderId: string) {
    const { orderReturns } = await replica.returns.listReturns({ orderId });
    return orderReturns;
  }

  async function received(orderId: string, lines: { lineNumber: number; quantity: number }[], returnId = "") {
    const came = lines.map((line) => ({ ...line, restocked: line.quantity, locationId: "berlin" }));
    const { orderReturn } = await replica.returns.receiveReturn({
      requestId: unique("receive"),
      orderId,
      returnId,
      lines: came,
    });
    return orderReturn ?? assert.fail();
  }

  const carried = (orderId: string) =>
    eventually(() => {
      const start = lastStart(worker, orderId);
      assert.ok(start?.order.recall);
      return start.order;
    });

  it("is accepted by the row, carried, and shown as it comes", async () => {
    const orderId = await away([berlin, { ...munich, status: DELIVERED }]);
    const requestId = unique("cancel");
    const waiting = cancel(orderId, requestId);
    const order = await carried(orderId);
    assert.deepEqual(order.recall?.locationIds, ["berlin"]);
    assert.deepEqual(kinds(order.events), ["cancellation"]);
    assert.deepEqual(await outcomes(orderId), ["PENDING", "berlin PENDING", "munich KEPT"]);
    await settle(orderId, [
      { ...berlin, turnBack: TurnBack.AGREED },
      { ...munich, status: DELIVERED },
    ]);
    const answer = await waiting;
    assert.equal(answer.status, OrderStatus.SHIPPED);
    assert.equal(answer.cancellation?.outcome, CancellationOutcome.TURNING_BACK);
    assert.deepEqual(await outcomes(orderId), ["TURNING_BACK", "berlin TURNING_BACK", "munich KEPT"]);
    for (const id of [requestId, unique("cancel")]) {
      assert.equal((await cancel(orderId, id)).cancellation?.outcome, CancellationOutcome.TURNING_BACK, "again");
    }
    const log = (await readAuditLog(test.database)).filter((event) => event.orderId === orderId);
    assert.equal(log.filter(({ action }) => action === "order.cancel_requested").length, 2);
  });

  it("is refused when all of it has arrived, or it has ended", async () => {
    const ended = await away([
      { ...berlin, status: DELIVERED },
      { ...munich, status: DELIVERED },
    ]);
    const [info] = (
      await refusal(replica.orders.cancelOrder({ requestId: unique("c"), orderId: ended, reason: "x" }))
    ).findDetails(ErrorInfoSchema);
    assert.equal(info?.reason, "NOT_CANCELLABLE");
  });

  it("ends CANCELLED when nothing stays with the customer, also from SHIPPED", async () => {
    const orderId = await away([berlin]);
    await cancel(orderId);
    await carried(orderId);
    const failure = { reason: "CANCELLED_BY_CUSTOMER", customerMessage: "The order was cancelled: on request" };
    await settle(orderId, [{ ...berlin, status: RETURNED }], { status: OrderStatus.CANCELLED, failure });
    const order = await get(orderId);
    assert.equal(order.status, OrderStatus.CANCELLED);
    assert.equal(order.failure?.customerMessage, "The order was cancelled: changed my mind");
    assert.deepEqual(await outcomes(orderId), ["CANCELLED", "berlin CANCELLED"]);
  });

  it("ends CANCELLED though the workflow that has the order had not heard of it, and would have it FAILED", async () => {
    const orderId = await away([berlin]);
    await replica.episodes.batchReportShipments({
      requests: [{ orderId, locationId: "berlin", news: ShipmentNews.LOST }],
    });
    const { episodeId } = await eventually(() => {
      const start = lastStart(worker, orderId) ?? assert.fail("not carried yet");
      assert.deepEqual(kinds(start.order.events), ["shipment"]);
      return start;
    });
    worker.onCancel = () => {
      throw sagaRefusal("NOT_CANCELLABLE", Code.FailedPrecondition);
    };
    const { status, cancellation } = await cancel(orderId);
    worker.onCancel = () => undefined;
    assert.equal(status, OrderStatus.SHIPPED);
    assert.equal(cancellation?.outcome, CancellationOutcome.PENDING);
    const { amount, ...parcel } = berlin;
    const shipments = [{ ...parcel, lines: [beans], status: LOST, amount: { currency: "EUR", amount } }];
    const ends = (end: OrderStatus) =>
      replica.episodes.batchSettleOrders({
        requests: [settlement(orderId, episodeId, { shipments, status: end, failure: { reason: "R" } })],
      });
    const refused = (await ends(OrderStatus.FAILED)).outcomes[0]?.outcome;
    assert.equal(refused?.case === "failure" && refused.value.reason, "ORDER_RECALLED");
    assert.equal((await get(orderId)).status, OrderStatus.SHIPPED);
    assert.equal((await ends(OrderStatus.CANCELLED)).outcomes[0]?.outcome.case, "response");
    assert.equal((await get(orderId)).status, OrderStatus.CANCELLED);
  });

  it("is not amended any more", async () => {
    const orderId = await away([berlin, { ...munich, status: PLANNED }]);
    await cancel(orderId);
    const amend = { requestId: unique("amend"), orderId, shippingAddress: (await get(orderId)).shippingAddress };
    const [info] = (await refusal(replica.orders.amendOrder(amend))).findDetails(ErrorInfoSchema);
    assert.equal(info?.reason, "NOT_AMENDABLE");
  });

  describe("a parcel that reaches the customer", () => {
    it("is to be returned, whatever the policy says: once, however often the worker says so", async () => {
      const orderId = await away();
      await cancel(orderId);
      const { returnId } = await resolve(orderId, "berlin", TO_BE_RETURNED);
      assert.equal((await resolve(orderId, "berlin", TO_BE_RETURNED)).returnId, returnId);
      const [known, ...others] = await returnsOf(orderId);
      assert.deepEqual(others, []);
      assert.deepEqual(
        [known?.status, known?.kind, known?.amount?.amount, known?.parcelLocationId],
        [ReturnStatus.APPROVED, ReturnKind.CANCELLATION, 3700n, "berlin"],
      );
      assert.deepEqual(
        known?.lines.map(({ lineNumber, quantity }) => [lineNumber, quantity]),
        [[1, 2]],
      );
      assert.match(known?.customerMessage ?? "", /too late to stop the parcel/);
      await carried(orderId);
      await settle(orderId, [
        { ...berlin, turnBack: TurnBack.REFUSED, returnId },
        { ...munich, turnBack: TurnBack.ASKED },
      ]);
      assert.deepEqual(await outcomes(orderId), ["PENDING", "berlin RETURN", "munich PENDING"]);
      assert.equal((await get(orderId)).cancellation?.parcels[0]?.returnId, returnId);
    });

    it("is not announced again for what the customer sends back already, nor when it was withdrawn", async () => {
      const orderId = await away();
      await cancel(orderId);
      const [first, second] = await Promise.all([
        resolve(orderId, "berlin", TO_BE_RETURNED),
        resolve(orderId, "berlin", TO_BE_RETURNED),
      ]);
      assert.equal(first.returnId, second.returnId);
      const { returnId } = first;
      await replica.returns.cancelReturn({ requestId: unique("withdraw"), orderId, returnId });
      assert.equal((await resolve(orderId, "berlin", TO_BE_RETURNED)).returnId, returnId);
      assert.equal((await returnsOf(orderId)).length, 1);
    });

    it("is received when it comes, with its number or without, and its money goes back once", async () => {
      for (const named of [true, false]) {
        const orderId = await away();
        await cancel(orderId);
        const { returnId } = await resolve(orderId, "berlin", TO_BE_RETURNED);
        const came = await received(orderId, [{ lineNumber: 1, quantity: 2 }], named ? returnId : "");
        assert.deepEqual([came.returnId, came.status], [returnId, ReturnStatus.RECEIVED]);
        assert.equal((await resolve(orderId, "berlin", CAME_BACK)).returnId, returnId);
        assert.equal((await returnsOf(orderId)).length, 1);
      }
    });
  });

  describe("a parcel that comes back", () => {
    it("is received as a whole: to its shelf, and for what it has cost; once", async () => {
      const orderId = await away();
      await cancel(orderId);
      await carried(orderId);
      await settle(orderId, [{ ...berlin, turnBack: TurnBack.AGREED }, munich]);
      const ids = await Promise.all([1, 2, 3].map(() => resolve(orderId, "berlin", CAME_BACK)));
      assert.equal(new Set(ids.map(({ returnId }) => returnId)).size, 1);
      const [known, ...others] = await returnsOf(orderId);
      assert.deepEqual(others, []);
      assert.deepEqual(
        [known?.status, known?.kind, known?.amount?.amount, known?.revision],
        [ReturnStatus.RECEIVED, ReturnKind.CANCELLATION, 3700n, 1],
      );
      assert.deepEqual(
        known?.lines.map(({ received: n, restocked, locationId }) => [n, restocked, locationId]),
        [[2, 2, "berlin"]],
      );
      const { returns } = await eventually(() => {
        const start = lastStart(worker, orderId)?.order;
        assert.ok(start && start.returns.length > 0);
        return start;
      });
      assert.deepEqual(
        returns.map(({ parcelLocationId, amount, parts }) => [
          parcelLocationId,
          amount,
          parts.map(({ quantity }) => quantity),
        ]),
        [["berlin", 3700n, [2]]],
      );
    });

    it("after its return was approved is that return", async () => {
      const orderId = await away();
      await cancel(orderId);
      const { returnId } = await resolve(orderId, "berlin", TO_BE_RETURNED);
      assert.equal((await resolve(orderId, "berlin", CAME_BACK)).returnId, returnId);
      assert.equal((await returnsOf(orderId))[0]?.status, ReturnStatus.RECEIVED);
    });

    it("without that anybody had cancelled it is a return of what was undeliverable", async () => {
      const orderId = await away();
      await resolve(orderId, "munich", CAME_BACK);
      const [known] = await returnsOf(orderId);
      assert.deepEqual([known?.kind, known?.reason], [ReturnKind.UNASKED, ReturnReason.UNDELIVERABLE]);
    });

    it("and was received by hand is not received again: all of it, or a part of it", async () => {
      for (const quantity of [2, 1]) {
        const orderId = await away([berlin, munich]);
        await cancel(orderId);
        await carried(orderId);
        await settle(orderId, [{ ...berlin, turnBack: TurnBack.ASKED }, munich]);
        const byHand = await received(orderId, [{ lineNumber: 1, quantity }]);
        assert.equal(byHand.kind, quantity === 2 ? ReturnKind.CANCELLATION : ReturnKind.UNASKED);
        assert.equal(byHand.parcelLocationId, quantity === 2 ? "berlin" : "");
        await resolve(orderId, "berlin", CAME_BACK);
        const all = await returnsOf(orderId);
        const pieces = all.flatMap(({ lines }) => lines).reduce((sum, line) => sum + line.received, 0);
        const paid = all.reduce((sum, { amount }) => sum + (amount?.amount ?? 0n), 0n);
        assert.deepEqual([pieces, paid], [2, 3700n]);
      }
    });
  });

  describe("a parcel that is lost", () => {
    const lose = (orderId: string, locationId = "berlin") => resolve(orderId, locationId, ParcelFate.LOST);

    it("is paid back for what it has cost, as it was once decided", async () => {
      const orderId = await away();
      assert.equal((await lose(orderId)).refund, 3700n);
      assert.equal((await lose(orderId)).refund, 3700n);
      const [shipment] = (await get(orderId)).shipments;
      assert.deepEqual([shipment?.status, shipment?.refunded?.amount], [LOST, 3700n]);
    });

    it("after a part of it came back is paid back for the rest", async () => {
      const orderId = await away([berlin]);
      await received(orderId, [{ lineNumber: 1, quantity: 1 }]);
      assert.equal((await lose(orderId)).refund, 1850n);
      assert.equal((await lose(orderId)).refund, 1850n);
    });

    it("after something was granted for it is paid back for the rest", async () => {
      const orderId = await away([berlin]);
      const amount = { currency: "EUR", amount: 700n };
      await replica.returns.grantRefund({ requestId: unique("g"), orderId, amount, reason: ReturnReason.LATE });
      assert.equal((await lose(orderId)).refund, 3000n);
    });

    it("after its return was approved has none any more", async () => {
      const orderId = await away();
      await cancel(orderId);
      await resolve(orderId, "berlin", TO_BE_RETURNED);
      assert.equal((await lose(orderId)).refund, 3700n);
      const [known] = await returnsOf(orderId);
      assert.equal(known?.status, ReturnStatus.CANCELLED);
    });

    it("in the moment in which it is received is one or the other", async () => {
      for (let time = 0; time < 12; time += 1) {
        const orderId = await away([berlin]);
        const [{ refund }, came] = await Promise.all([
          lose(orderId),
          received(orderId, [{ lineNumber: 1, quantity: 2 }]).then(
            ({ amount }) => amount?.amount ?? 0n,
            () => 0n,
          ),
        ]);
        assert.equal(refund + came, 3700n, `${refund} ${came}`);
      }
    });
  });

  describe("the label of a return", () => {
    const arrived = () =>
      away([
        { ...berlin, status: DELIVERED },
        { ...munich, status: DELIVERED },
      ]);

    /** A return that is approved. */
    async function approved(orderId: string) {
      const ask = { requestId: unique("r"), orderId, lines: [{ lineNumber: 1, quantity: 1 }], despitePolicy: true };
      const { orderReturn } = await replica.returns.requestReturn({ ...ask, reason: ReturnReason.UNWANTED });
      return orderReturn ?? assert.fail();
    }

    async function number(orderId: string, returnId: string, trackingNumber: string) {
      const approve = { requestId: unique("a"), orderId, returnId, trackingNumber };
      const { orderReturn } = await replica.returns.approveReturn(approve);
      return orderReturn ?? assert.fail();
    }

    async function report(orderId: string, returnId: string, changes: object = {}) {
      const made = { orderId, returnId, trackingNumber: "RT-9", label: "https://carrier.example/RT-9", reason: "" };
      const { outcomes: taken } = await replica.episodes.batchReportReturnLabels({
        requests: [{ ...made, ...changes }],
      });
      const outcome = taken[0]?.outcome;
      return outcome?.case === "failure" ? outcome.value.reason : outcome?.case;
    }

    const labelOf = async (orderId: string) => {
      const [known] = await returnsOf(orderId);
      return [ReturnLabelStatus[known?.labelStatus ?? 0], known?.trackingNumber, known?.label];
    };

    it("is asked of the carrier, and shown when it is there; a report that comes again changes nothing", async () => {
      const orderId = await arrived();
      const { returnId, customerMessage } = await approved(orderId);
      assert.match(customerMessage, /label for it is being made/);
      const { labels } = await eventually(() => {
        const start = lastStart(worker, orderId)?.order;
        assert.ok(start && start.labels.length > 0);
        return start;
      });
      assert.deepEqual(
        labels.map((label) => [label.returnId, label.locationId]),
        [[returnId, "berlin"]],
      );
      assert.deepEqual(await labelOf(orderId), ["PENDING", "", ""]);
      for (let time = 0; time < 2; time += 1) assert.equal(await report(orderId, returnId), "response");
      assert.deepEqual(await labelOf(orderId), ["MADE", "RT-9", "https://carrier.example/RT-9"]);
      const late = { trackingNumber: "", label: "", reason: "NO_ANSWER" };
      assert.equal(await report(orderId, returnId, late), "response");
      assert.deepEqual(await labelOf(orderId), ["MADE", "RT-9", "https://carrier.example/RT-9"]);
      const named = number(orderId, returnId, "RT-1");
      assert.equal((await refusal(named)).findDetails(ErrorInfoSchema)[0]?.reason, "ILLEGAL_RETURN_TRANSITION");
    });

    it("that the carrier refuses is named by an agent, and so is one that takes long", async () => {
      for (const refuses of [true, false]) {
        const orderId = await arrived();
        const { returnId } = await approved(orderId);
        if (refuses) {
          const none = { trackingNumber: "", label: "", reason: "ADDRESS_NOT_SERVED" };
          assert.equal(await report(orderId, returnId, none), "response");
          assert.deepEqual(await labelOf(orderId), ["REFUSED", "", ""]);
        }
        assert.equal((await number(orderId, returnId, "RT-1")).status, ReturnStatus.APPROVED);
        assert.equal(await report(orderId, returnId), "response");
        assert.deepEqual(await labelOf(orderId), ["UNSPECIFIED", "RT-1", ""]);
      }
    });

    it("that the carrier refuses is found, with how long it has waited, until somebody has named it", async () => {
      const looking = { ...eager, EPISODE_SWEEP_AGE_MS: 600_000, RETURN_SWEEP_EVERY_MS: 20 };
      await using watcher = await startReplica(test.database, worker, looking);
      const oldest = () => metric(watcher, "orders_oldest_refused_label_seconds");
      const unlabelled = async () => {
        const request = { labelStatus: ReturnLabelStatus.REFUSED };
        return (await replica.returns.listReturns(request)).orderReturns.map(({ returnId }) => returnId);
      };
      const before = await unlabelled();
      const orderId = await arrived();
      const { returnId } = await approved(orderId);
      const other = await arrived();
      await approved(other);
      await report(orderId, returnId, { trackingNumber: "", label: "", reason: "ADDRESS_NOT_SERVED" });
      assert.deepEqual(await unlabelled(), [returnId, ...before]);
      const aged = "update order_return set update_time = update_time - interval '9 hours' where return_id = $1";
      await test.database.query(aged, [decodeId(returnId)]);
      await eventually(async () => assert.ok((await oldest()) >= 9 * 3_600));
      await number(orderId, returnId, "RT-1");
      assert.deepEqual(await unlabelled(), before);
      await eventually(async () => assert.ok((await oldest()) < 9 * 3_600));
    });

    it("of a return that has come, or that there is not, changes nothing", async () => {
      const orderId = await arrived();
      const { returnId } = await approved(orderId);
      await received(orderId, [{ lineNumber: 1, quantity: 1 }], returnId);
      assert.equal(await report(orderId, returnId), "response");
      assert.deepEqual(await labelOf(orderId), ["UNSPECIFIED", "", ""]);
      assert.equal(await report(orderId, orderId), "RETURN_NOT_FOUND");
    });

    it("is made for what could not be turned back", async () => {
      const orderId = await away();
      await cancel(orderId);
      await resolve(orderId, "munich", TO_BE_RETURNED);
      assert.deepEqual(await labelOf(orderId), ["PENDING", "", ""]);
    });
  });

  it("is accepted once by many at the same moment, and a delivery in it changes nothing", async () => {
    for (let time = 0; time < 8; time += 1) {
      const orderId = await away([berlin]);
      const calls = [1, 2, 3].map(() => cancel(orderId));
      const answers = await Promise.all(calls);
      assert.ok(answers.every(({ cancellation }) => cancellation?.outcome === CancellationOutcome.PENDING));
      await carried(orderId);
      await settle(orderId, [{ ...berlin, status: DELIVERED }], { status: OrderStatus.DELIVERED });
      const { returnId } = await resolve(orderId, "berlin", TO_BE_RETURNED);
      assert.ok(returnId);
      const log = (await readAuditLog(test.database)).filter((event) => event.orderId === orderId);
      assert.equal(log.filter(({ action }) => action === "order.return_approved").length, 1);
    }
  });
});
