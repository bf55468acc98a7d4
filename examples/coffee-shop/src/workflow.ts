import {
  ActivityCancellationType,
  ActivityFailure,
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  defineQuery,
  defineSignal,
  isCancellation,
  proxyActivities,
  setHandler,
} from "@temporalio/workflow";
import { Compensated, StepRefused } from "../../../services/worker/src/workflows/engine/failures.ts";
import {
  nothing,
  type SagaSubject,
  type Step,
  saga,
  type Undo,
} from "../../../services/worker/src/workflows/engine/saga.ts";
import type { CoffeeActivities } from "./activities.ts";
import type { CoffeeOrder, CoffeeState, CoffeeStatus } from "./order.ts";

/** Withdraws an order, with a reason: until it is ready. */
export const cancelOrder = defineSignal<[reason: string]>("cancel-order");
/** How an order stands. */
export const status = defineQuery<CoffeeState>("status");

/** Nobody undoes what may still be going on: a step that is cancelled has ended before its undo begins. */
const cancellationType = ActivityCancellationType.WAIT_CANCELLATION_COMPLETED;
const retry = { initialInterval: "1 second", backoffCoefficient: 2, maximumInterval: "1 minute" } as const;
const once = proxyActivities<CoffeeActivities>({
  startToCloseTimeout: "10 seconds",
  retry: { ...retry, maximumAttempts: 5 },
  cancellationType,
});
/** What is given back is given back, however long the other side is away. */
const undoing = proxyActivities<CoffeeActivities>({ startToCloseTimeout: "10 seconds", retry });
const long = proxyActivities<CoffeeActivities>({
  startToCloseTimeout: "10 minutes",
  heartbeatTimeout: "15 seconds",
  retry: { ...retry, maximumAttempts: 5 },
  cancellationType,
});

const telling = proxyActivities<CoffeeActivities>({
  startToCloseTimeout: "10 seconds",
  retry: { ...retry, maximumAttempts: 3 },
});

/** The kernel wants refusals; Temporal has failures that are not to be repeated. */
function step<O>(name: string, activity: (order: CoffeeOrder) => Promise<O>): Step<CoffeeOrder, O> {
  return {
    name: () => name,
    async ask(order) {
      try {
        return await activity(order);
      } catch (error) {
        const cause = error instanceof ActivityFailure ? error.cause : undefined;
        if (!(cause instanceof ApplicationFailure) || !cause.nonRetryable) throw error;
        const { message } = cause;
        const reason = cause.type ?? "";
        throw new StepRefused({ reason, message: message.replace(`${reason}: `, ""), domain: "", metadata: {} });
      }
    },
  };
}

const pay = step("pay", (order) => once.pay(order));
const giveBack: Undo<CoffeeOrder> = step("give money back", (order) => undoing.giveMoneyBack(order));
const setAside = step("set ingredients aside", (order) => once.setIngredientsAside(order));
const putBack: Undo<CoffeeOrder> = step("put ingredients back", (order) => undoing.putIngredientsBack(order));
const prepare = step("prepare", (order) => long.prepare(order));
const deduct = step("deduct ingredients", (order) => undoing.deductIngredients(order));

/** One order of coffee: paid, prepared, and handed out; or everything is taken back, the last first, and the guest is told. */
export async function coffee(order: CoffeeOrder): Promise<CoffeeState> {
  const counter = new Counter();
  setHandler(status, () => counter.state);
  const preparing = new CancellationScope();
  setHandler(cancelOrder, (reason) => {
    if (counter.withdraw(reason)) preparing.cancel();
  });
  try {
    await saga(counter, async ({ step, forward }) => {
      await preparing.run(async () => {
        await step(pay, giveBack, order);
        counter.is("PAID");
        await step(setAside, putBack, order);
        counter.is("PREPARING");
        await step(prepare, nothing, order);
        // It was done before the barista heard of it.
        if (preparing.consideredCancelled) throw new CancelledFailure("withdrawn");
      });
      // From here on nothing is taken back: the cup is on the counter.
      counter.is("READY");
      await forward(deduct, nothing, order);
    });
    await tell(order, "is ready");
    counter.is("COMPLETED");
  } catch (error) {
    if (!(error instanceof Compensated))
      throw ApplicationFailure.create({
        message: `somebody has to look: ${counter.describe(error)}`,
        nonRetryable: true,
      });
    counter.ended(error.cause);
    await tell(order, `failed: ${counter.state.reason}`);
  }
  return counter.state;
}

/** Who is not told still has his coffee, or his money. */
async function tell(order: CoffeeOrder, what: string): Promise<void> {
  await CancellationScope.nonCancellable(() => telling.notify(order, what)).catch(() => undefined);
}

/** What is known of one order while its workflow runs. */
class Counter implements SagaSubject {
  #status: CoffeeStatus = "PENDING";
  #reason = "";
  #paid = false;
  readonly #steps: string[] = [];

  get state(): CoffeeState {
    return { status: this.#status, reason: this.#reason, steps: this.#steps };
  }

  is(status: CoffeeStatus): void {
    this.#status = status;
    this.#paid ||= status === "PAID";
  }

  /** Whether it is not too late. */
  withdraw(reason: string): boolean {
    const isOpen = this.#reason === "" && ["PENDING", "PAID", "PREPARING"].includes(this.#status);
    if (isOpen) this.#reason = `cancelled: ${reason}`;
    return isOpen;
  }

  ended(cause: unknown): void {
    this.#reason ||= this.describe(cause);
    this.#status = this.#paid ? "REFUNDED" : "FAILED";
  }

  describe(error: unknown): string {
    if (error instanceof ActivityFailure) return this.describe(error.cause);
    return error instanceof Error ? error.message : String(error);
  }

  note(name: string, what: string): void {
    if (what !== "RUNNING") this.#steps.push(`${name} ${what}`);
  }

  /** A fault in this file is no reason to give money back. */
  compensating(cause: unknown): void {
    if (!(cause instanceof ActivityFailure || cause instanceof StepRefused || isCancellation(cause))) throw cause;
  }

  // Nobody decides about a cup of coffee later, and it never rests.
  again = () => 0;
  isResolved = () => false;
  staysParked = () => false;
  park = () => undefined;
  awaits = () => undefined;
  calledInvalid = () => 1;
}
