import type { WorkflowHandle } from "@temporalio/client";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import type { Worker, WorkerOptions } from "@temporalio/worker";
import { until } from "#testing/until.ts";
import type { SagaOptions } from "../../src/workflows/legacy/engine/options.ts";
import { orderStatus, parkedSteps } from "../../src/workflows/legacy/messages.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import type { processOrders } from "../../src/workflows/legacy/process-orders.ts";
import { localEnvironment, startSaga, workerFor } from "../stage/harness.ts";
import { patient } from "../stage/stage.ts";
import type { Rule } from "../world/rules.ts";
import { World } from "../world/world.ts";

type Handle = WorkflowHandle<typeof processOrders>;

/** A server, a worker and a world for sagas of the kind before episodes. Rules are for one order each. */
export class LegacyStage {
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

  static async open(options: Partial<WorkerOptions> = {}): Promise<LegacyStage> {
    const environment = await localEnvironment();
    const world = new World();
    return new LegacyStage(environment, world, await workerFor(environment, world, options));
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
    const reached = async () => {
      const view = await handle.query(orderStatus, orderId);
      return view?.steps.some((record) => record.name === step && record.status === status);
    };
    await until(reached, `${step} is ${status}`, patient);
  }

  /** Waits until a step is parked and returns what it failed with. */
  async parked(handle: Handle, step: string): Promise<string> {
    const find = async () => (await handle.query(parkedSteps)).find((parked) => parked.step === step);
    return (await until(find, `${step} is parked`, patient)).error;
  }
}
