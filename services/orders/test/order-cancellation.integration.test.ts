import assert from "node:assert/strict";
import { after, before, beforeEach, describe, it } from "node:test";
import { Code, type ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema, RetryInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { type Order, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { newId } from "#platform/id.ts";
import { readAuditLog } from "#testing/audit-log.ts";
import type { TestDatabase } from "#testing/postgres.ts";

import { until } from "#testing/until.ts";
import {
  eager,
  episodesWith,
  giveBack,
  kinds,
  lastStart,
  patient,
  type SettlementChanges,
  settlement,
  stored,
} from "./episode-rows.ts";
import { FakeWorker, sagaRefusal } from "./fake-worker.ts";
import {
  eventually,
  newCustomer,
  orderRequest,
  ordersDatabase,
  type Replica,
  refusal,
  startReplica,
  unique,
} from "./harness.ts";

function reason(error: ConnectError): string {
  return error.findDetails(ErrorInfoSchema)[0]?.reason ?? "";
}

const rejected = { status: OrderStatus.REJECTED, cancellable: false, needsCard: false };
const ended = { status: OrderStatus.CANCELLED, cancellable: false, needsCard: false };

describe("cancelling orders", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let customerId: string;
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker, { ...eager, EPISODE_SWEEP_AGE_MS: 600_000 });
  });
  after(async () => {
    await replica.stop();
    await test[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    worker.available = true;
    worker.onCancel = () => undefined;
    worker.onStart = () => undefined;
    worker.cancels.length = 0;
    customerId = await newCustomer(replica);
  });

  /** An order that an episode carries, with its id. */
  async function carried(): Promise<{ order: Order; orderId: string; episodeId: string }> {
    const { order } = await replica.orders.createOrder(orderRequest(customerId));
    assert.ok(order);
    const { orderId } = order;
    const episodeId = await eventually(() => {
      const start = lastStart(worker, orderId);
      assert.ok(start);
      return start.episodeId;
    });
    return { order, orderId, episodeId };
  }

  async function settle(orderId: string, episodeId: string, changes: SettlementChanges = {}): Promise<void> {
    const { outcomes } = await replica.episodes.batchSettleOrders({
      requests: [settlement(orderId, episodeId, changes)],
    });
    assert.equal(outcomes[0]?.outcome.case, "response");
  }

  /** An order that rests. */
  async function resting(changes: SettlementChanges = {}): Promise<{ orderId: string; episodeId: string }> {
    const { orderId, episodeId } = await carried();
    await settle(orderId, episodeId, changes);
    return { orderId, episodeId };
  }

  async function move(orderId: string, status: OrderStatus): Promise<void> {
    await replica.lifecycle.batchTransitionOrders({ requests: [{ orderId, status }] });
  }

  const cancel = (orderId: string, requestId = unique("cancel"), reasonText = "changed my mind") =>
    replica.orders.cancelOrder({ requestId, orderId, reason: reasonText });

  describe("that rest", () => {
    it("is accepted as an event, carried, and done", async () => {
      const { orderId } = await resting();
      worker.onStart = async ({ episodeId, orders }) => {
        assert.deepEqual(
          orders.map((order) => [order.orderId, kinds(order.events)]),
          [[orderId, ["cancellation"]]],
        );
        assert.deepEqual(orders[0]?.events[0]?.event.value, {
          $typeName: "shop.sagas.v1.CancellationAccepted",
          reason: "on request",
        });
        await settle(orderId, episodeId, ended);
      };
      const requestId = unique("cancel");
      assert.equal((await cancel(orderId, requestId)).order?.status, OrderStatus.CANCELLED);
      assert.equal((await cancel(orderId, requestId)).order?.status, OrderStatus.CANCELLED, "a repetition");
      assert.equal(worker.cancels.length, 0);
      assert.equal(episodesWith(worker, orderId).length, 2);
      assert.equal(reason(await refusal(cancel(orderId))), "NOT_CANCELLABLE");
      const log = (await readAuditLog(test.database)).filter((event) => event.orderId === orderId);
      assert.deepEqual(
        log.map(({ action }) => action),
        ["order.created", "order.cancel_requested", "order.cancelled", "order.cancel_requested"],
      );
    });

    it("is accepted once, by whomever it is wanted, until it is done", async () => {
      const { orderId } = await resting();
      const requestId = unique("cancel");
      const calls = [requestId, requestId, unique("cancel")].map((id) =>
        replica.orders.cancelOrder({ requestId: id, orderId, reason: "no" }, { timeoutMs: 10_000 }),
      );
      for (const { order } of await Promise.all(calls)) assert.equal(order?.status, OrderStatus.PENDING);
      const { episodeId, order } = lastStart(worker, orderId) ?? {};
      assert.deepEqual(kinds(order?.events ?? []), ["cancellation"]);
      assert.equal(worker.cancels.length, 0);
      // What is undone waits for a service: the cancellation is accepted all the same.
      await settle(orderId, episodeId ?? "", { cancellable: false });
      const again = await replica.orders.cancelOrder({ requestId, orderId, reason: "no" }, { timeoutMs: 10_000 });
      assert.equal(again.order?.status, OrderStatus.PENDING);
    });

    it("is refused when it is too late, each time", async () => {
      const { orderId } = await resting({ cancellable: false });
      const requestId = unique("cancel");
      for (let time = 0; time < 2; time += 1) {
        const error = await refusal(cancel(orderId, requestId));
        const [info] = error.findDetails(ErrorInfoSchema);
        assert.equal(error.code, Code.FailedPrecondition);
        assert.deepEqual([info?.domain, info?.reason], ["orders.shop", "NOT_CANCELLABLE"]);
        assert.deepEqual(info?.metadata, { order_id: orderId, status: "PENDING" });
      }
      assert.deepEqual((await stored(test.database, orderId)).events, []);
    });

    it("is accepted or refused by each order's state, sixty-four at once", async () => {
      const orders = await Promise.all(
        Array.from({ length: 64 }, (_, index) => resting({ cancellable: index % 2 === 0 })),
      );
      const calls = await Promise.allSettled(
        orders.map(({ orderId }) =>
          replica.orders.cancelOrder({ requestId: unique("cancel"), orderId, reason: "no" }, { timeoutMs: 10_000 }),
        ),
      );
      assert.ok(calls.every(({ status }, index) => status === (index % 2 === 0 ? "fulfilled" : "rejected")));
    });
  });

  describe("that an episode carries", () => {
    it("asks the workflow, and returns the order as it stands", async () => {
      const { orderId, episodeId } = await carried();
      worker.onCancel = () => settle(orderId, episodeId, ended);
      const requestId = unique("cancel");
      assert.equal((await cancel(orderId, requestId)).order?.status, OrderStatus.CANCELLED);
      const [asked] = worker.cancels;
      assert.deepEqual([asked?.requestId, asked?.orderId, asked?.sagaId], [requestId, orderId, episodeId]);
      assert.equal((await cancel(orderId, requestId)).order?.status, OrderStatus.CANCELLED, "a repetition");
      assert.equal(worker.cancels.length, 1);
    });

    it("is done by the next workflow when the one that accepted it is lost", async () => {
      const { orderId, episodeId } = await carried();
      const { order } = await replica.orders.cancelOrder(
        { requestId: unique("cancel"), orderId, reason: "no" },
        { timeoutMs: 10_000 },
      );
      assert.equal(order?.status, OrderStatus.PENDING);
      worker.terminate(episodeId);
      await using _sweeping = await startReplica(test.database, worker, eager);
      await eventually(() => assert.equal(episodesWith(worker, orderId).length, 2));
      const started = lastStart(worker, orderId)?.order;
      assert.deepEqual(kinds(started?.events ?? []).sort(), ["cancellation", "placed", "retry"]);
    });

    it("is refused when the workflow says that a parcel leaves", async () => {
      const { orderId } = await carried();
      worker.onCancel = () => {
        throw sagaRefusal("NOT_CANCELLABLE", Code.FailedPrecondition);
      };
      assert.equal(reason(await refusal(cancel(orderId))), "NOT_CANCELLABLE");
    });

    it("is accepted when the order settles in the very moment in which it is wanted", async () => {
      for (const answer of ["SAGA_NOT_FOUND", "NOT_CANCELLABLE"]) {
        const { orderId, episodeId } = await carried();
        worker.onCancel = async () => {
          worker.onCancel = () => undefined;
          await settle(orderId, episodeId);
          throw sagaRefusal(answer, Code.FailedPrecondition);
        };
        await replica.orders.cancelOrder({ requestId: unique("cancel"), orderId, reason: "no" }, { timeoutMs: 10_000 });
        await eventually(() => assert.equal(episodesWith(worker, orderId).length, 2));
        assert.deepEqual(kinds(lastStart(worker, orderId)?.order.events ?? []), ["cancellation"]);
      }
    });

    it("is answered as done when the order is cancelled, and what its workflow said was lost", async () => {
      const { orderId, episodeId } = await carried();
      worker.onCancel = async () => {
        await settle(orderId, episodeId, ended);
        throw sagaRefusal("SAGA_NOT_FOUND", Code.NotFound);
      };
      const request = { requestId: unique("cancel"), orderId, reason: "no" };
      const { order } = await replica.orders.cancelOrder(request, { timeoutMs: 10_000 });
      assert.equal(order?.status, OrderStatus.CANCELLED);
      assert.equal(reason(await refusal(cancel(orderId))), "NOT_CANCELLABLE");
    });

    it("counts as accepted when the order was undone before that was noted", async () => {
      const { orderId, episodeId } = await carried();
      worker.onCancel = () => settle(orderId, episodeId, { cancellable: false });
      const request = { requestId: unique("cancel"), orderId, reason: "no" };
      const { order } = await replica.orders.cancelOrder(request, { timeoutMs: 10_000 });
      assert.equal(order?.status, OrderStatus.PENDING);
    });

    it("is not forgotten by what a run settles that was given up before another one accepted it", async () => {
      const { orderId, episodeId } = await carried();
      await replica.orders.cancelOrder({ requestId: unique("cancel"), orderId, reason: "no" }, { timeoutMs: 10_000 });
      const unheard = { cancellationHeard: false };
      for (const changes of [unheard, { ...rejected, ...unheard }, { ...ended, ...unheard }]) {
        const { outcomes } = await replica.episodes.batchSettleOrders({
          requests: [settlement(orderId, episodeId, changes)],
        });
        const { outcome } = outcomes[0] ?? {};
        assert.equal(outcome?.case === "failure" && outcome.value.reason, "EPISODE_OVER");
      }
      await settle(orderId, episodeId, { ...ended, cancellationHeard: true });
      const { order } = await replica.orders.getOrder({ orderId });
      assert.equal(order?.status, OrderStatus.CANCELLED);
    });

    it("is refused when a run that was given up rejects the order before it is noted", async () => {
      const { orderId, episodeId } = await carried();
      worker.onCancel = () => settle(orderId, episodeId, { ...rejected, cancellationHeard: false });
      assert.equal(reason(await refusal(cancel(orderId))), "NOT_CANCELLABLE");
    });

    it("is left to who settles without a word of it, as workers of the version before do", async () => {
      const { orderId, episodeId } = await carried();
      await replica.orders.cancelOrder({ requestId: unique("cancel"), orderId, reason: "no" }, { timeoutMs: 10_000 });
      await settle(orderId, episodeId, ended);
    });

    it("is accepted again when such a worker has forgotten it", async () => {
      const { orderId, episodeId } = await carried();
      const wanted = () =>
        replica.orders.cancelOrder({ requestId: unique("cancel"), orderId, reason: "no" }, { timeoutMs: 10_000 });
      await wanted();
      await settle(orderId, episodeId);
      await wanted();
      await eventually(() => assert.equal(episodesWith(worker, orderId).length, 2));
      assert.deepEqual(kinds(lastStart(worker, orderId)?.order.events ?? []), ["cancellation"]);
    });

    it("waits for a workflow that is only begun, and for one that has too much to do", async () => {
      const { orderId, episodeId } = await carried();
      const answers = [
        sagaRefusal("SAGA_NOT_FOUND", Code.NotFound),
        sagaRefusal("", Code.ResourceExhausted),
        sagaRefusal("SAGA_NOT_FOUND", Code.NotFound),
      ];
      worker.onCancel = async () => {
        const answer = answers.shift();
        if (answer) throw answer;
        await settle(orderId, episodeId, ended);
      };
      assert.equal((await cancel(orderId)).order?.status, OrderStatus.CANCELLED);
      assert.equal(worker.cancels.length, 4);
    });

    it("says that it is not known when the workflow cannot be reached in time", async () => {
      const { orderId, episodeId } = await carried();
      worker.terminate(episodeId);
      const request = { requestId: unique("cancel"), orderId, reason: "no" };
      const error = await refusal(replica.orders.cancelOrder(request, { timeoutMs: 1_000 }));
      assert.equal(error.code, Code.Unavailable);
      worker.available = false;
      assert.equal((await refusal(cancel(orderId))).code, Code.Unavailable);
    });
  });

  it("is refused when the order has ended and when there is none", async () => {
    const { orderId } = await carried();
    await move(orderId, OrderStatus.REJECTED);
    for (let time = 0; time < 2; time += 1) assert.equal(reason(await refusal(cancel(orderId))), "NOT_CANCELLABLE");
    assert.equal(worker.cancels.length, 0);
    assert.equal(reason(await refusal(cancel(newId()))), "ORDER_NOT_FOUND");
  });

  it("refuses a request id that stood for another cancellation of the order", async () => {
    const [first, second] = [await carried(), await carried()];
    const requestId = unique("cancel");
    worker.onCancel = ({ orderId, sagaId }) => settle(orderId, sagaId, ended);
    await cancel(first.orderId, requestId);
    assert.equal((await cancel(second.orderId, requestId)).order?.orderId, second.orderId);
    assert.equal(reason(await refusal(cancel(first.orderId, requestId, "another reason"))), "REQUEST_ID_REUSED");
  });

  it("refuses a text that no database stores", async () => {
    const { orderId } = await carried();
    const error = await refusal(cancel(orderId, unique("cancel"), "a\u0000b"));
    assert.equal(error.code, Code.InvalidArgument);
    assert.match(error.message, /^\[invalid_argument\] reason: must not hold the character U\+0000/);
  });
});

describe("cancelling an order whose workflow is gone, which may have handed a parcel to the carrier", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker, patient);
  });
  after(async () => {
    await replica.stop();
    await test[Symbol.asyncDispose]();
  });

  beforeEach(() => {
    worker.onStart = () => undefined;
    worker.onCancel = () => undefined;
    worker.cancels.length = 0;
  });

  /** An order that was carried by another process, which is gone. */
  async function carried(): Promise<{ orderId: string; episodeId: string }> {
    await using other = await looking();
    const { order } = await other.orders.createOrder(orderRequest(await newCustomer(other)));
    const orderId = order?.orderId ?? "";
    const { episodeId } = await until(() => lastStart(worker, orderId), "the order is carried");
    return { orderId, episodeId };
  }

  /** A process that carries what is due. */
  const looking = () => startReplica(test.database, worker, { ...eager, EPISODE_SWEEP_AGE_MS: 600_000 });

  /** An order that rests because its workflow is gone. */
  async function givenBack(): Promise<string> {
    const { orderId, episodeId } = await carried();
    worker.terminate(episodeId);
    await giveBack(test.database, episodeId);
    return orderId;
  }

  const cancelWithin = (orderId: string, timeoutMs: number) =>
    replica.orders.cancelOrder({ requestId: unique("cancel"), orderId, reason: "no" }, { timeoutMs });

  it("is neither accepted nor refused until it was carried again", async () => {
    const orderId = await givenBack();
    const error = await refusal(cancelWithin(orderId, 1_000));
    assert.equal(error.code, Code.Unavailable);
    assert.equal(error.findDetails(RetryInfoSchema).length, 1);
    assert.deepEqual((await stored(test.database, orderId)).events, ["placed", "retry"]);
  });

  for (const cancellable of [true, false]) {
    it(`is ${cancellable ? "accepted" : "refused"} as the next workflow has settled it`, async () => {
      const orderId = await givenBack();
      worker.onStart = async ({ episodeId }) => {
        await replica.episodes.batchSettleOrders({ requests: [settlement(orderId, episodeId, { cancellable })] });
      };
      worker.onCancel = () => {
        throw sagaRefusal("SAGA_NOT_FOUND", Code.NotFound);
      };
      const answer = cancelWithin(orderId, 10_000);
      answer.catch(() => undefined);
      await using _looking = await looking();
      if (cancellable) assert.equal((await answer).order?.status, OrderStatus.PENDING);
      else assert.equal(reason(await refusal(answer)), "NOT_CANCELLABLE");
    });
  }

  it("is done when the workflow accepted it, and was lost before that was written down", async () => {
    const { orderId, episodeId } = await carried();
    worker.onCancel = async () => {
      worker.onCancel = () => undefined;
      await giveBack(test.database, episodeId);
    };
    const answer = cancelWithin(orderId, 10_000);
    await until(() => worker.cancels.length === 1, "the workflow is asked");
    await using _looking = await looking();
    assert.equal((await answer).order?.status, OrderStatus.PENDING);
    // On a busy machine it may be asked again: that is as if it was asked once.
    assert.ok(worker.cancels.length >= 2, "the next one is asked as well");
  });
});
