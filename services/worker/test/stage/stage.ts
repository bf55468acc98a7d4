import type { WorkflowHandle } from "@temporalio/client";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import type { Worker, WorkerOptions } from "@temporalio/worker";
import type { SagaOptions } from "../../src/workflows/engine/options.ts";
import { orderStatus, parkedSteps } from "../../src/workflows/messages.ts";
import type { SagaOrder } from "../../src/workflows/order-state.ts";
import type { processOrders } from "../../src/workflows/process-orders.ts";
import type { Rule } from "../world/rules.ts";
import { World } from "../world/world.ts";
import { localEnvironment, startSaga, workerFor } from "./harness.ts";

type Handle = WorkflowHandle<typeof processOrders>;

/** How long a condition may take to come true, in milliseconds. */
const patienceMs = 60_000;
const lookMs = 20;

/** A server, a worker and a world that the tests of a file share. Rules are for one order each. */
export class Stage {
  readonly environment: TestWorkflowEnvironment;
  readonly world: World;
  readonly #worker: Worker;
  readonly #running: Promise<void>;

  private constructor(environment: TestWorkflowEnvironment, world: World, worker: Worker) {
    this.environment = environment;
    this.world = world;
    this.#worker = worker;
    this.#running = worker.run();
  }

  static async open(options: Partial<WorkerOptions> = {}): Promise<Stage> {
    const environment = await localEnvironment();
    const world = new World();
    return new Stage(environment, world, await workerFor(environment, world, options));
  }

  async close(): Promise<void> {
    this.#worker.shutdown();
    await this.#running;
    await this.environment.teardown();
  }

  /** Adds rules, then starts a saga. */
  start(orders: SagaOrder[], rules: Rule[] = [], options: Partial<SagaOptions> = {}): Promise<Handle> {
    this.world.rules.push(...rules);
    return startSaga(this.environment, orders, options);
  }

  /** Starts a saga and waits for its end. Returns the stage of every order. */
  async run(orders: SagaOrder[], rules: Rule[] = [], options: Partial<SagaOptions> = {}): Promise<string[]> {
    const handle = await this.start(orders, rules, options);
    const { orders: ended } = await handle.result();
    return ended.map(({ stage }) => stage);
  }

  /** Waits until a step of an order has a status. */
  async until(handle: Handle, orderId: string, [step, status]: [step: string, status: string]): Promise<void> {
    await eventually(`${step} is ${status}`, async () => {
      const view = await handle.query(orderStatus, orderId);
      return view?.steps.some((record) => record.name === step && record.status === status) ?? false;
    });
  }

  /** Waits until a step is parked and returns what it failed with. */
  async parked(handle: Handle, step: string): Promise<string> {
    let error: string | undefined;
    await eventually(`${step} is parked`, async () => {
      error = (await handle.query(parkedSteps)).find((parked) => parked.step === step)?.error;
      return error !== undefined;
    });
    return error ?? "";
  }
}

/** Waits for a condition that comes true by the work of others. @throws when it does not in time */
export async function eventually(what: string, holds: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + patienceMs;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error(`it did not come to pass that ${what}`);
    await new Promise((resolve) => setTimeout(resolve, lookMs));
  }
}
