import { Code, ConnectError } from "@connectrpc/connect";
import type { WorkflowHandle } from "@temporalio/client";
import { TrackingOutcome } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { newId } from "#platform/id.ts";
import { until } from "#testing/until.ts";
import type { carryOrders } from "../src/workflows/carry-orders.ts";
import type { SagaOrder } from "../src/workflows/legacy/order-state.ts";
import type { lookAfterShipments } from "../src/workflows/look-after-shipments.ts";
import { anOrder, taskQueue } from "./stage/harness.ts";
import { patient, type Stage } from "./stage/stage.ts";
import { anEvent } from "./world/order-rows.ts";
import { on } from "./world/rules.ts";

type Handle = WorkflowHandle<typeof carryOrders>;

function batchOf(size: number): SagaOrder[] {
  return Array.from({ length: size }, () => anOrder());
}

function idOf(orders: SagaOrder[], index: number): string {
  return orders[index]?.orderId ?? "";
}

/** The episode of an order by its number, once it is over. */
async function episodeOf(stage: Stage, orderId: string, number: number): Promise<Handle> {
  const find = () => stage.starter.started.filter(({ orderIds }) => orderIds.includes(orderId))[number];
  const { episodeId } = await until(find, "the episode has begun", patient);
  const handle = stage.workflow(episodeId);
  // It is known a moment before Temporal knows it.
  await until(async () => (await handle.describe()).status.name !== "RUNNING", "the episode is over", patient);
  return handle;
}

/** What is recorded of a scenario. */
export interface Recorded {
  readonly workflowId: string;
  /** Which of its runs; the last one when it is left out. */
  readonly runId?: string;
}

/**
 * Episodes, and a look at silent parcels, that between them take every turn that the workflows' code can take. Each returns
 * when its run has ended.
 */
const turns = {
  /** Confirmed, refused and undecided, all in the first workflow task. */
  async checkout(stage: Stage) {
    const orders = batchOf(6);
    stage.place(orders, [
      on("reserve", { kind: "refuse", reason: "OUT_OF_STOCK" }, { orderId: idOf(orders, 0) }),
      on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId: idOf(orders, 1) }),
      on("authorize", { kind: "pending" }, { orderId: idOf(orders, 2), times: 2 }),
      on("prepare", { kind: "refuse", reason: "NOT_NOW" }, { orderId: idOf(orders, 3), times: 1 }),
    ]);
    return await episodeOf(stage, idOf(orders, 5), 0);
  },

  /** Retries by timers, halving, an entry that stands alone, a service that is away. */
  async troubled(stage: Stage) {
    const orders = batchOf(5);
    stage.place(orders, [
      on("authorize", { kind: "invalid" }, { orderId: idOf(orders, 3), times: 5 }),
      on("confirm", { kind: "unavailable" }, { orderId: idOf(orders, 0), times: 3 }),
    ]);
    return await episodeOf(stage, idOf(orders, 4), 0);
  },

  /** Of several parcels one leaves, one cannot, one is undecided; the news of its arrival comes early. */
  async departure(stage: Stage) {
    const [order] = batchOf(1) as [SagaOrder];
    const { orderId } = order;
    split(stage, orderId);
    stage.place(
      [order],
      [
        on("ship:HAM", { kind: "refuse", reason: "CARRIER_REFUSED" }, { orderId }),
        on("ship:MUC", { kind: "pending" }, { orderId, times: 1 }),
      ],
    );
    return await episodeOf(stage, orderId, 1);
  },

  async arrival(stage: Stage) {
    const [order] = batchOf(1) as [SagaOrder];
    const { orderId } = order;
    split(stage, orderId);
    stage.world.arrives = (id, locationId) => (id === orderId && locationId === "HAM" ? "LOST" : "DELIVERED");
    stage.place([order]);
    return await episodeOf(stage, orderId, 2);
  },

  async cancelledInEpisode(stage: Stage) {
    const [order] = batchOf(1) as [SagaOrder];
    const { orderId } = order;
    let asked: Promise<string> | undefined;
    stage.place(
      [order],
      [
        (call) => {
          if (call.step !== "authorize" || call.orderId !== orderId) return undefined;
          if (call.repetition === 0) return { kind: "lost" };
          asked ??= stage.cancel(orderId);
          return undefined;
        },
      ],
    );
    const handle = await episodeOf(stage, orderId, 0);
    await asked;
    return handle;
  },

  /** A compensation that waited for somebody who was away, and one that an operator resolved. */
  async undoneLater(stage: Stage) {
    const orders = batchOf(2);
    const rules = orders.map(({ orderId }) =>
      on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId }),
    );
    stage.place(orders, [...rules, on("void", { kind: "unavailable" }, { orderId: idOf(orders, 0), times: 2 })]);
    return await episodeOf(stage, idOf(orders, 0), 1);
  },

  async decided(stage: Stage) {
    const [order] = batchOf(1) as [SagaOrder];
    const { orderId } = order;
    stage.place([order], [on("capture", { kind: "refuse", reason: "GATEWAY_REFUSED" }, { orderId, times: 1 })]);
    await stage.parked(orderId, "capture:BER");
    await stage.rests(orderId);
    stage.decide(orderId, "capture:BER", false);
    await stage.ends([order]);
    const { episodeId } = stage.starter.started.findLast(({ orderIds }) => orderIds.includes(orderId)) ?? {};
    return stage.workflow(episodeId ?? "");
  },

  /** Screened: one goes on, one is refused, one waits for a person and one is not looked at at all. */
  async screened(stage: Stage) {
    const orders = batchOf(4);
    for (const [index, found] of (["pass", "refuse", "review"] as const).entries()) {
      stage.world.screens.set(idOf(orders, index), found);
    }
    stage.place(orders);
    return await episodeOf(stage, idOf(orders, 3), 0);
  },

  /** Released after a review. */
  async released(stage: Stage) {
    const [order] = batchOf(1) as [SagaOrder];
    const { orderId } = order;
    stage.world.screens.set(orderId, "review");
    stage.place([order]);
    await stage.rests(orderId, () => stage.rows.row(orderId).settlements.length > 0);
    stage.rows.review(orderId, "released");
    return await episodeOf(stage, orderId, 1);
  },

  /** Withdrawn during a review. */
  async cancelledInReview(stage: Stage) {
    const [order] = batchOf(1) as [SagaOrder];
    const { orderId } = order;
    stage.world.screens.set(orderId, "review");
    stage.place([order]);
    await stage.rests(orderId, () => stage.rows.row(orderId).settlements.length > 0);
    await stage.cancel(orderId);
    return await episodeOf(stage, orderId, 1);
  },

  /** One waits for stock, one has it at once although it would wait, and one would not. */
  async backOrdered(stage: Stage) {
    const orders = batchOf(3);
    for (const index of [0, 1]) stage.world.backOrders.add(idOf(orders, index));
    for (const index of [0, 2]) stage.world.short.add(idOf(orders, index));
    stage.place(orders);
    return await episodeOf(stage, idOf(orders, 1), 0);
  },

  /** Of one a part is missing, of one all of it, and one that would take a part has all. */
  async shipAvailable(stage: Stage) {
    const orders = batchOf(3);
    const missing = (index: number, ...lines: { sku: string; quantity: number }[]) =>
      stage.world.missing.set(idOf(orders, index), lines);
    missing(0, { sku: "tea", quantity: 1 });
    missing(1, { sku: "tea", quantity: 2 }, { sku: "cup", quantity: 1 });
    missing(2);
    stage.place(orders);
    return await episodeOf(stage, idOf(orders, 0), 0);
  },

  /** Of one a part follows in an order of its own, one waits as a whole, and one loses what is missing. */
  async shipAndBackOrder(stage: Stage) {
    const orders = batchOf(3);
    for (const index of [0, 1]) stage.world.rests.set(idOf(orders, index), 0);
    for (const index of [0, 2]) stage.world.missing.set(idOf(orders, index), [{ sku: "tea", quantity: 1 }]);
    stage.world.short.add(idOf(orders, 1));
    stage.place(orders);
    return await episodeOf(stage, idOf(orders, 0), 0);
  },

  /** Stock has arrived for one, one is withdrawn while it waits, and one has waited for too long. */
  async stockArrived(stage: Stage) {
    const orders = batchOf(3);
    for (const { orderId } of orders) {
      stage.world.backOrders.add(orderId);
      stage.world.short.add(orderId);
    }
    stage.place(orders);
    for (const { orderId } of orders) await stage.rests(orderId, () => stage.rows.row(orderId).awaitsStock);
    // All at once, so that one episode takes them.
    const cancelled = stage.cancel(idOf(orders, 1));
    stage.rows.waitedTooLong(idOf(orders, 2));
    stage.rows.served(idOf(orders, 0));
    await cancelled;
    return await episodeOf(stage, idOf(orders, 0), 1);
  },

  /** What came back of one order is put back, that of another waits for an operator; and a parcel arrives meanwhile. */
  async cameBack(stage: Stage) {
    const orders = batchOf(3);
    const [back, delayed, underWay] = [idOf(orders, 0), idOf(orders, 1), idOf(orders, 2)];
    const parts = [{ sku: "tea", locationId: "BER", quantity: 1 }];
    stage.world.arrives = (id) => (id === underWay ? undefined : "DELIVERED");
    stage.place(orders, [on("refund", { kind: "refuse", reason: "GATEWAY_REFUSED" }, { orderId: delayed })]);
    await stage.ends(orders.slice(0, 2));
    await stage.rests(underWay, () => stage.world.order(underWay).status === "SHIPPED");
    // In one moment, so that one episode carries all three.
    stage.rows.comesBack(back, { returnId: newId(), parts, amount: 100 });
    stage.rows.comesBack(back, { returnId: newId(), parts: [], amount: 0 });
    stage.rows.comesBack(delayed, { returnId: newId(), parts, amount: 100 });
    stage.rows.happens(underWay, anEvent("shipment", { locationId: "BER", news: "DELIVERED" }));
    await stage.rests(back, () => stage.world.cameBack.get(back)?.size === 0);
    return await episodeOf(
      stage,
      back,
      stage.starter.started.filter(({ orderIds }) => orderIds.includes(back)).length - 1,
    );
  },

  /** Cancelled when it has left, and when it is packed; another one is lost, and of one a label is wanted. */
  async recalled(stage: Stage) {
    const orders = batchOf(4);
    const [away, here, lost, labelled] = [idOf(orders, 0), idOf(orders, 1), idOf(orders, 2), idOf(orders, 3)];
    const standsAt = (id: string, status: string) => stage.rests(id, () => stage.world.order(id).status === status);
    stage.world.packs = later(stage, here);
    stage.world.arrives = (id) => (id === labelled ? "DELIVERED" : undefined);
    stage.world.turnsBack = () => "REFUSED";
    stage.place(orders);
    await Promise.all([standsAt(away, "SHIPPED"), standsAt(lost, "SHIPPED")]);
    await Promise.all([standsAt(here, "PREPARING"), standsAt(labelled, "DELIVERED")]);
    // In one moment, so that one episode carries all four.
    stage.rows.recall(away);
    stage.rows.recall(here);
    stage.rows.happens(lost, anEvent("shipment", { locationId: "BER", news: "LOST" }));
    stage.rows.wantsLabel(labelled, newId());
    await standsAt(lost, "FAILED");
    return await episodeOf(
      stage,
      lost,
      stage.starter.started.filter(({ orderIds }) => orderIds.includes(lost)).length - 1,
    );
  },

  /** Amended: one gets more, one less, and of one the amendment is undone after a parcel was taken back. */
  async amended(stage: Stage) {
    const orders = batchOf(3);
    for (const { orderId } of orders) stage.world.packs = later(stage, orderId);
    stage.place(orders, [on("decide", { kind: "refuse", reason: "NOT_NOW" }, { orderId: idOf(orders, 2), times: 1 })]);
    for (const { orderId } of orders)
      await stage.rests(orderId, () => stage.world.order(orderId).status === "PREPARING");
    const cup = { sku: "cup", quantity: 1, unitPrice: 500 };
    const tea = (quantity: number) => ({ sku: "tea", quantity, unitPrice: 1_000 });
    const total = (amount: number) => ({ currency: "EUR", amount });
    stage.rows.amend(idOf(orders, 1), { lines: [tea(1), cup], total: total(1_500) });
    for (const index of [0, 2]) {
      stage.rows.amend(idOf(orders, index), { lines: [tea(4), cup], total: total(4_500), cardToken: "tok_approve" });
    }
    return await episodeOf(stage, idOf(orders, 2), 1);
  },

  /** For what came back of one order another one is sent, for that of two others none is: nothing can be credited, or nobody is there. */
  async exchanged(stage: Stage) {
    const orders = batchOf(3);
    await stage.run(orders);
    const parts = [{ sku: "tea", locationId: "BER", quantity: 1 }];
    const came = orders.map(() => ({ returnId: newId(), parts, amount: 1_500 }));
    const [back, , gone] = came;
    stage.world.rules.push(on("credit", { kind: "refuse", reason: "PAYMENT_ELSEWHERE" }, { orderId: idOf(orders, 1) }));
    const lines = [{ sku: "tea", quantity: 1, unitPrice: 1_000 }];
    for (const [index, each] of came.entries()) {
      stage.rows.isExchanged(idOf(orders, index), each, anOrder({ lines, total: { currency: "EUR", amount: 1_000 } }));
    }
    const known = stage.rows.exchanges.get(gone?.returnId ?? "");
    if (known) known.state = "refused";
    for (const { orderId } of orders) await stage.rests(orderId, () => stage.world.cameBack.get(orderId)?.size === 0);
    const { order } = stage.rows.exchanges.get(back?.returnId ?? "") ?? {};
    if (order) await stage.ends([order]);
    return await episodeOf(
      stage,
      idOf(orders, 0),
      stage.starter.started.filter(({ orderIds }) => orderIds.includes(idOf(orders, 0))).length - 1,
    );
  },

  /** Sent in exchange, paid by a credit and a card: one leaves, the other is declined, and its credit goes back. */
  async sentInExchange(stage: Stage) {
    const orders = batchOf(2);
    await stage.run(orders);
    const wanted = orders.map(() => anOrder());
    const declined = { kind: "refuse", reason: "PAYMENT_DECLINED" } as const;
    stage.world.rules.push(on("authorize", declined, { orderId: wanted[1]?.orderId ?? "" }));
    for (const [index, order] of wanted.entries()) {
      const parts = [{ sku: "tea", locationId: "BER", quantity: 1 }];
      stage.rows.isExchanged(idOf(orders, index), { returnId: newId(), parts, amount: 1_000 }, order);
    }
    for (const { orderId } of orders) await stage.rests(orderId, () => stage.world.cameBack.get(orderId)?.size === 0);
    await stage.ends(wanted);
    return await episodeOf(stage, wanted[0]?.orderId ?? "", 0);
  },

  /** Several pages, one of which is asked for again; then a day's wait. */
  async look(stage: Stage) {
    const asked: string[] = [];
    stage.world.track = (token) => {
      asked.push(token);
      if (asked.length === 2) throw new ConnectError("away", Code.Unavailable);
      return { shipments: [{ outcome: TrackingOutcome.ENDED }], nextPageToken: token === "" ? "next" : "" };
    };
    return await lookOf(stage, () => asked.length === 3);
  },

  /** Shipping refuses what it is asked; an hour's wait. */
  async lookRefused(stage: Stage) {
    let asked = 0;
    stage.world.track = () => {
      asked += 1;
      throw new ConnectError("no such page", Code.InvalidArgument);
    };
    return await lookOf(stage, () => asked > 0);
  },
} satisfies Record<string, (stage: Stage) => Promise<Recorded>>;

/** What is recorded: each turn once, and some again since what Temporal keeps is encrypted. */
export const scenarios: Record<string, (stage: Stage) => Promise<Recorded>> = {
  ...turns,
  encryptedCheckout: turns.checkout,
  encryptedTroubled: turns.troubled,
  encryptedArrival: turns.arrival,
  encryptedCancelled: turns.cancelledInEpisode,
  encryptedLookRefused: turns.lookRefused,
};

/** The first run of a look, once another one waits. */
async function lookOf({ environment }: Stage, asked: () => boolean): Promise<Recorded> {
  const { client } = environment;
  const workflowId = `look-${Math.random()}`;
  const { firstExecutionRunId: runId } = await client.workflow.start<typeof lookAfterShipments>("lookAfterShipments", {
    taskQueue,
    workflowId,
    args: [],
  });
  await until(asked, "it has asked", patient);
  const { workflow } = client;
  const isOver = async () => (await workflow.getHandle(workflowId, runId).describe()).status.name !== "RUNNING";
  await until(isOver, "the run is over", patient);
  return { workflowId, runId };
}

/** What the warehouse tells of parcels: of this order nothing. */
function later(stage: Stage, slow: string): Stage["world"]["packs"] {
  const known = stage.world.packs;
  return (orderId, locationId) => (orderId === slow ? undefined : known(orderId, locationId));
}

function split(stage: Stage, orderId: string): void {
  const known = stage.world.allocate;
  stage.world.allocate = (id, lines) => {
    if (id !== orderId) return known(id, lines);
    return [
      { sku: "tea", quantity: 1, locationId: "BER" },
      { sku: "tea", quantity: 1, locationId: "HAM" },
      { sku: "cup", quantity: 1, locationId: "MUC" },
    ];
  };
}
