import { setTimeout as pause } from "node:timers/promises";
import { Client, type WorkflowHandle } from "@temporalio/client";
import type { DataConverter } from "@temporalio/common";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import type { Worker, WorkerOptions } from "@temporalio/worker";
import { EpisodeState } from "#gen/shop/sagas/v1/saga_service_pb.js";
import { type UntilOptions, until } from "#testing/until.ts";
import type { ServiceClients } from "../../src/activities/step-work.ts";
import { toCarriedOrder } from "../../src/api/episode-proto.ts";
import { Episodes } from "../../src/api/episodes.ts";
import { TemporalCalls } from "../../src/api/temporal-calls.ts";
import { traceClient } from "../../src/temporal/tracing.ts";
import type { carryOrders } from "../../src/workflows/carry-orders.ts";
import type { EpisodeOptions } from "../../src/workflows/engine/options.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import { anEvent, OrderRows } from "../world/order-rows.ts";
import type { Rule } from "../world/rules.ts";
import { World } from "../world/world.ts";
import { dataConverter } from "./encryption.ts";
import { fastEpisodes, localEnvironment, taskQueue, workerFor } from "./harness.ts";

/** How long what workflows do may take to be seen, and how often tests look. */
export const patient: UntilOptions = { deadlineMs: 30_000, everyMs: 20 };
/** How often orders looks for what is due, and for workflows that are gone; milliseconds. */
const claimEveryMs = 10;
const sweepEveryMs = 100;

/** How long an update may wait for a worker that was just started: on a busy machine that takes more than ten seconds. */
const answerWithinMs = 60_000;

/** Starts episodes for orders to which something happened, as the orders service does. */
export class Starter {
  readonly episodes: Episodes;
  /** All episodes, as they were started. */
  readonly started: { episodeId: string; orderIds: string[] }[] = [];
  /** Orders that were taken back from workflows that were gone. */
  givenBack = 0;
  readonly #rows: OrderRows;
  readonly #around: <T>(orderIds: string[], start: () => Promise<T>) => Promise<T>;
  #stopped = false;
  readonly #running: Promise<unknown>;

  constructor(
    client: Client,
    rows: OrderRows,
    options: Partial<EpisodeOptions> & { eagerStart?: boolean } = {},
    around: <T>(orderIds: string[], start: () => Promise<T>) => Promise<T> = (_, start) => start(),
  ) {
    this.#rows = rows;
    this.#around = around;
    const { eagerStart = true, ...tunables } = options;
    const settings = { taskQueue, eagerStart, options: { ...fastEpisodes, ...tunables } };
    this.episodes = new Episodes(new TemporalCalls(client, answerWithinMs), settings);
    this.#running = Promise.all([this.#claim(), this.#sweep()]);
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #claim(): Promise<void> {
    while (!this.#stopped) {
      const claimed = this.#rows.claim();
      if (claimed) {
        const { episodeId, orders } = claimed;
        const orderIds = orders.map(({ orderId }) => orderId);
        this.started.push({ episodeId, orderIds });
        await this.#around(orderIds, () => this.episodes.start(episodeId, orders.map(toCarriedOrder)));
      }
      await pause(claimEveryMs);
    }
  }

  async #sweep(): Promise<void> {
    while (!this.#stopped) {
      const claimed = new Set(
        [...this.#rows.rows.values()].map(({ episodeId }) => episodeId).filter((id) => id !== ""),
      );
      const ids = [...claimed];
      const states = (await this.episodes.look(ids)).map(({ state }) => state);
      for (const [index, id] of ids.entries()) {
        if (states[index] === EpisodeState.CLOSED) this.givenBack += this.#rows.giveBack(id);
      }
      await pause(sweepEveryMs);
    }
  }
}

/** What a stage has that others have not. */
export interface Surroundings {
  /** Runs around each start of an episode. */
  readonly around?: <T>(orderIds: string[], start: () => Promise<T>) => Promise<T>;
  /** Services that are no fakes. */
  readonly real?: Partial<ServiceClients>;
  /** How what starts episodes writes payloads; as everybody in tests by default. */
  readonly converter?: DataConverter;
}

/** A server, a worker, a world with rows of orders, and what starts episodes, shared by the tests of a file. */
export class Stage {
  readonly environment: TestWorkflowEnvironment;
  readonly world: World;
  readonly rows: OrderRows;
  readonly starter: Starter;
  readonly #worker: Worker;
  readonly #running: Promise<void>;

  private constructor(
    parts: { environment: TestWorkflowEnvironment; world: World; rows: OrderRows; worker: Worker },
    starter: Starter,
  ) {
    this.environment = parts.environment;
    this.world = parts.world;
    this.rows = parts.rows;
    this.starter = starter;
    this.#worker = parts.worker;
    this.#running = parts.worker.run();
  }

  static async open(
    options: Partial<EpisodeOptions> & { eagerStart?: boolean } = {},
    workerOptions: Partial<WorkerOptions> = {},
    { around, real = {}, converter = dataConverter }: Surroundings = {},
  ): Promise<Stage> {
    const environment = await localEnvironment();
    const world = new World();
    const rows = new OrderRows(world);
    const worker = await workerFor(environment, world, workerOptions, { rows, real });
    const client = new Client({
      connection: environment.nativeConnection,
      dataConverter: converter,
      interceptors: { workflow: [traceClient] },
    });
    return new Stage({ environment, world, rows, worker }, new Starter(client, rows, options, around));
  }

  async close(): Promise<void> {
    await this.starter.stop();
    this.#worker.shutdown();
    await this.#running;
    await this.environment.teardown();
  }

  /** Adds rules, then places orders at once. */
  place(orders: SagaOrder[], rules: Rule[] = [], createTime?: number): void {
    this.world.rules.push(...rules);
    for (const order of orders) this.rows.place(order, createTime);
  }

  /** Places orders and waits for their ends. Returns the status of every order. */
  async run(orders: SagaOrder[], rules: Rule[] = [], createTime?: number): Promise<string[]> {
    this.place(orders, rules, createTime);
    return await this.ends(orders);
  }

  /** Waits until orders have come to their ends. */
  async ends(orders: SagaOrder[]): Promise<string[]> {
    const over = () => orders.every(({ orderId }) => this.rows.isOver(orderId));
    try {
      await until(over, "the orders have ended", patient);
    } catch (cause) {
      const open = orders.filter(({ orderId }) => !this.rows.isOver(orderId));
      throw new Error(open.map((order) => this.tell(order)).join("\n"), { cause });
    }
    return orders.map(({ orderId }) => this.world.order(orderId).status);
  }

  /** Waits until an order rests and fulfils a condition. */
  async rests(orderId: string, wanted: () => boolean = () => true): Promise<void> {
    await until(() => this.rows.rests(orderId) && wanted(), "the order rests", patient);
  }

  /** Waits until a step of an order is parked, and returns why. */
  async parked(orderId: string, step: string): Promise<string> {
    const find = () => (this.rows.row(orderId).parked?.step === step ? this.rows.row(orderId).parked : undefined);
    return (await until(find, `${step} is parked`, patient)).error;
  }

  decide(orderId: string, step: string, resolved: boolean): void {
    this.rows.decide(orderId, step, { resolved, requestId: `${orderId}-${step}-${Math.random()}` });
  }

  /** Has an order cancelled as the orders service does: in an episode by its workflow, at rest by its row. */
  async cancel(orderId: string): Promise<"accepted" | "refused"> {
    const row = this.rows.row(orderId);
    const reason = "changed my mind";
    for (;;) {
      if (row.episodeId === "") {
        if (!row.cancellable) return "refused";
        row.cancellable = false;
        this.rows.happens(orderId, anEvent("cancellation", { reason }));
        return "accepted";
      }
      const { episodeId } = row;
      try {
        const requestId = `cancel-${orderId}`;
        if (await this.starter.episodes.cancel(episodeId, orderId, { reason, requestId })) {
          if (row.episodeId === episodeId) row.taken.push(anEvent("cancellation", { reason }));
          return "accepted";
        }
      } catch (error) {
        if (/is being undone|has left|has ended/.test(String(error))) return "refused";
        if (!/is over|any more/.test(String(error))) throw error;
      }
      await pause(claimEveryMs);
    }
  }

  /** The same, also when parcels have left: then its row decides, wherever it is. */
  async recall(orderId: string): Promise<"accepted" | "recalled" | "refused"> {
    const answer = await this.cancel(orderId);
    if (answer === "accepted") return answer;
    return this.rows.recall(orderId) ? "recalled" : "refused";
  }

  /** The workflow of an episode. */
  workflow(episodeId: string): WorkflowHandle<typeof carryOrders> {
    return this.environment.client.workflow.getHandle<typeof carryOrders>(episodeId);
  }

  /** The workflow that carries an order is gone, and with it the process that ran it: what it would still settle comes too late. */
  async loses(orderId: string): Promise<void> {
    const { episodeId, lastEpisodeId } = this.rows.row(orderId);
    if (episodeId !== "") this.rows.giveBack(episodeId);
    await this.workflow(episodeId || lastEpisodeId).terminate();
  }

  /** How many effects an order had more than once; each is named by its request. */
  doubles(orderId: string): string[] {
    const ids = this.world.effects.filter((effect) => effect.orderId === orderId).map(({ id }) => id);
    return ids.filter((id, index) => ids.indexOf(id) !== index);
  }

  tell({ orderId }: SagaOrder): string {
    const { episodeId, saga, parked, waitsFor } = this.rows.row(orderId);
    return `${orderId} ${this.world.order(orderId).status} ${episodeId} ${JSON.stringify({ parked, waitsFor })} ${saga}`;
  }
}
