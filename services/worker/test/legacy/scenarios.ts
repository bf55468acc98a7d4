import type { WorkflowHandle } from "@temporalio/client";
import { cancelOrder, resolveStep, retryStep } from "../../src/workflows/legacy/messages.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import type { processOrders } from "../../src/workflows/legacy/process-orders.ts";
import { anOrder } from "../stage/harness.ts";
import { on } from "../world/rules.ts";
import type { LegacyStage } from "./legacy-stage.ts";

type Handle = WorkflowHandle<typeof processOrders>;

function batchOf(size: number): SagaOrder[] {
  return Array.from({ length: size }, () => anOrder());
}

function idOf(orders: SagaOrder[], index: number): string {
  return orders[index]?.orderId ?? "";
}

/** What was recorded of sagas of the kind before episodes: between them they take every turn that its code can take. */
export const legacyScenarios: Record<string, (stage: LegacyStage) => Promise<Handle>> = {
  async delivered(stage) {
    const handle = await stage.start(batchOf(2));
    await handle.result();
    return handle;
  },

  async mixed(stage) {
    const orders = batchOf(6);
    const handle = await stage.start(orders, [
      on("reserve", { kind: "refuse", reason: "OUT_OF_STOCK" }, { orderId: idOf(orders, 0) }),
      on("authorize", { kind: "refuse", reason: "PAYMENT_DECLINED" }, { orderId: idOf(orders, 1) }),
      on("authorize", { kind: "pending" }, { orderId: idOf(orders, 2), times: 3 }),
      on("prepare", { kind: "refuse", reason: "PACKING_FAILED" }, { orderId: idOf(orders, 3) }),
      on("ship", { kind: "pending" }, { orderId: idOf(orders, 4), times: 2 }),
    ]);
    await handle.result();
    return handle;
  },

  /** Retries by timers, halving, an entry that stands alone, an operator. */
  async poisoned(stage) {
    const orders = batchOf(5);
    const orderId = idOf(orders, 3);
    const rules = [
      on("authorize", { kind: "invalid" }, { orderId, times: 5 }),
      on("capture", { kind: "unavailable" }, { orderId: idOf(orders, 0), times: 4 }),
    ];
    const handle = await stage.start(orders, rules, { firstRetryMs: 300, maxRetryMs: 300 });
    await stage.parked(handle, "authorize");
    stage.world.rules.splice(stage.world.rules.indexOf(rules[0] ?? rules[1] ?? (() => undefined)), 1);
    await handle.executeUpdate(retryStep, { args: [{ orderId, step: "authorize" }] });
    await handle.result();
    return handle;
  },

  async resolved(stage) {
    const orders = batchOf(2);
    const orderId = idOf(orders, 1);
    const handle = await stage.start(orders, [on("commit", { kind: "refuse", reason: "NOT_CONFIRMED" }, { orderId })]);
    await stage.parked(handle, "commit:BER");
    await handle.executeUpdate(resolveStep, { args: [{ orderId, step: "commit:BER", note: "counted by hand" }] });
    await handle.result();
    return handle;
  },

  /** A refusal that the callee remembers; the operator's retry is another request. */
  async askedAnew(stage) {
    const orders = batchOf(2);
    const orderId = idOf(orders, 0);
    const refused = `${orderId}:capture:BER`;
    const handle = await stage.start(orders, [
      ({ step, id }) =>
        step === "capture" && id === refused ? { kind: "refuse", reason: "GATEWAY_REFUSED" } : undefined,
    ]);
    await stage.parked(handle, "capture:BER");
    await handle.executeUpdate(retryStep, { args: [{ orderId, step: "capture:BER" }] });
    await handle.result();
    return handle;
  },

  async cancelled(stage) {
    const orders = batchOf(3);
    const orderId = idOf(orders, 1);
    const handle = await stage.start(orders, [on("authorize", { kind: "pending" }, { orderId })]);
    await stage.until(handle, orderId, ["authorize", "RUNNING"]);
    await handle.executeUpdate(cancelOrder, { args: [{ orderId, reason: "changed my mind" }] });
    await handle.result();
    return handle;
  },

  /** A local activity outlasts its workflow task: the cancellation comes while it runs, and nobody waits for it then. */
  async cancelledDuringLocalActivity(stage) {
    const orders = batchOf(2);
    const orderId = idOf(orders, 0);
    const handle = await stage.start(orders, [], { stepTimeoutMs: 20_000 });
    stage.world.onCall = (step, when) =>
      step === "reserve" && when === "before" ? new Promise((resolve) => setTimeout(resolve, 7_000)) : undefined;
    await handle.executeUpdate(cancelOrder, { args: [{ orderId, reason: "too slow" }] });
    stage.world.onCall = () => {};
    await handle.result();
    return handle;
  },

  async severalParcels(stage) {
    const orders = batchOf(2);
    const orderId = idOf(orders, 0);
    stage.world.allocate = (id, lines) =>
      lines.map((line, index) => ({ ...line, locationId: id === orderId && index > 0 ? "HAM" : "BER" }));
    stage.world.loses = (id, locationId) => id === orderId && locationId === "HAM";
    const handle = await stage.start(orders);
    await handle.result();
    stage.world.loses = () => false;
    return handle;
  },

  async continuedAsNew(stage) {
    const orders = batchOf(2);
    const orderId = idOf(orders, 1);
    const rule = on("look", { kind: "pending" }, { orderId, times: 6 });
    const handle = await stage.start(orders, [rule], { maxHistory: 60 });
    await stage.environment.client.workflow.getHandle(handle.workflowId).result();
    return stage.environment.client.workflow.getHandle<typeof processOrders>(handle.workflowId);
  },
};
