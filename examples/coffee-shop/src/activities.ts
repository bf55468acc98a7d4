import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import { ApplicationFailure, CancelledFailure, Context } from "@temporalio/activity";
import type { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import { PaymentStatus } from "#gen/shop/payments/v1/payment_pb.js";
import type { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { guarded } from "../../../services/worker/src/activities/batch-call.ts";
import { type CoffeeOrder, menu, type Recipe } from "./order.ts";

/** What coffee is made with. */
export interface Machine {
  /** Does one step of a recipe. @throws BrokenMachine */
  work(order: CoffeeOrder, step: string, signal: AbortSignal): Promise<void>;
}

/** It does not go on today. */
export class BrokenMachine extends Error {
  override readonly name = "BrokenMachine";
}

/** What the activities work with. */
export interface CoffeeParts {
  readonly payments: Client<typeof PaymentService>;
  readonly inventory: Client<typeof InventoryService>;
  readonly machine: Machine;
  readonly notify: (order: CoffeeOrder, what: string) => Promise<void>;
}

/** A hold of so many seconds outlasts the preparation of any drink. */
const holdSeconds = 900n;
/** Nothing was charged, or all of it went back before. */
const nothingToRefund = new Set(["AMOUNT_EXCEEDS_CAPTURE", "PAYMENT_NOT_FOUND"]);

/** What the workflow of an order may have done. */
export type CoffeeActivities = ReturnType<typeof createActivities>;

/** Every call has a request id of order and step, so that repeating has no second effect. */
export function createActivities(parts: CoffeeParts) {
  return {
    ...moneyActivities(parts),
    ...ingredientActivities(parts),
    prepare: (order: CoffeeOrder) => prepare(parts.machine, order),
    notify: (order: CoffeeOrder, what: string): Promise<void> => parts.notify(order, what),
  };
}

function moneyActivities({ payments }: CoffeeParts) {
  const ids = ({ orderId }: CoffeeOrder, what: string) => ({ requestId: `${orderId}:${what}`, paymentId: orderId });
  return {
    async pay(order: CoffeeOrder): Promise<void> {
      const { orderId, customerId, cardToken } = order;
      const amount = { currency: "EUR", amount: BigInt(menu[order.drink].price) };
      const wanted = { ...ids(order, "authorize"), orderId, customerId, cardToken, amount };
      const { payment } = await guarded((options) => payments.authorizePayment(wanted, options));
      decided({ pending: payment?.status === PaymentStatus.PENDING });
      decided(await guarded((options) => payments.capturePayment({ ...ids(order, "capture"), amount }, options)));
    },

    /** Whatever became of the payment: what is held is freed, so that nothing comes after, and what was charged goes back. */
    async giveMoneyBack(order: CoffeeOrder): Promise<void> {
      decided(await guarded((options) => payments.voidPayment(ids(order, "void"), options)));
      const refund = { ...ids(order, "refund"), reason: "no coffee" };
      try {
        decided(await guarded((options) => payments.refundPayment(refund, options)));
      } catch (error) {
        if (!(error instanceof ApplicationFailure) || !nothingToRefund.has(error.type ?? "")) throw error;
      }
    },
  };
}

function ingredientActivities({ inventory }: CoffeeParts) {
  const ids = ({ orderId }: CoffeeOrder, what: string) => ({ requestId: `${orderId}:${what}`, orderId });
  return {
    async setIngredientsAside(order: CoffeeOrder): Promise<void> {
      const { ingredients }: Recipe = menu[order.drink];
      const lines = Object.entries(ingredients).map(([sku, quantity]) => ({ sku, quantity: BigInt(quantity) }));
      const wanted = { ...ids(order, "reserve"), lines, timeToLive: { seconds: holdSeconds } };
      await guarded((options) => inventory.reserveStock(wanted, options));
    },

    async putIngredientsBack(order: CoffeeOrder): Promise<void> {
      await guarded((options) => inventory.releaseReservation(ids(order, "release"), options));
    },

    async deductIngredients(order: CoffeeOrder): Promise<void> {
      await guarded((options) => inventory.confirmReservation(ids(order, "confirm"), options));
      await guarded((options) => inventory.commitReservation(ids(order, "commit"), options));
    },
  };
}

/** Says after each step of the recipe how far it is: whoever goes on after a crash does not begin again. */
async function prepare(machine: Machine, order: CoffeeOrder): Promise<void> {
  const context = Context.current();
  const { steps }: Recipe = menu[order.drink];
  for (let done: number = context.info.heartbeatDetails ?? 0; done < steps.length; done += 1) {
    context.heartbeat(done);
    await worked(machine.work(order, steps[done] ?? "", context.cancellationSignal));
    context.heartbeat(done + 1);
  }
}

function decided({ pending }: { readonly pending: boolean }): void {
  if (pending) throw new Error("the gateway has not decided");
}

async function worked(work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    if (Context.current().cancellationSignal.aborted) throw new CancelledFailure("nobody wants it any more");
    if (error instanceof BrokenMachine) throw ApplicationFailure.nonRetryable(error.message, "MACHINE_BROKEN");
    throw error;
  }
}

/** A machine that takes its time, and that a barista can watch. */
export class WatchedMachine implements Machine {
  readonly #stepMs: number;
  readonly #watch: (order: CoffeeOrder, step: string) => void;
  /** Steps that it cannot do. */
  readonly broken: Set<string> = new Set();

  constructor(stepMs: number, watch: (order: CoffeeOrder, step: string) => void) {
    this.#stepMs = stepMs;
    this.#watch = watch;
  }

  async work(order: CoffeeOrder, step: string, signal: AbortSignal): Promise<void> {
    if (this.broken.has(step)) throw new BrokenMachine(`the machine cannot ${step}`);
    this.#watch(order, step);
    await pause(this.#stepMs, undefined, { signal });
  }
}
