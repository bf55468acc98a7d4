import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Http2Server, type Http2Session } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import type { Attributes } from "@opentelemetry/api";
import { Client } from "@temporalio/client";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import { killed } from "#testing/killed.ts";
import { until } from "#testing/until.ts";
import { traceClient } from "../../src/temporal/tracing.ts";
import { OrderRows } from "../world/order-rows.ts";
import { shippingRoutes } from "../world/shipping-routes.ts";
import { shopRoutes } from "../world/shop-routes.ts";
import { World } from "../world/world.ts";
import { dataConverter } from "./encryption.ts";
import { bundleOf, localEnvironment } from "./harness.ts";
import { Starter } from "./stage.ts";

const script = fileURLToPath(new URL("./worker-process.ts", import.meta.url));
/** A span that ended in a worker. */
export interface ToldSpan {
  name: string;
  traceId: string;
  attributes: Attributes;
}

/** A server, a world that outlives its workers, and a worker in a process of its own that is killed and started again. */
export class Killable implements AsyncDisposable {
  readonly environment: TestWorkflowEnvironment;
  readonly world = new World();
  readonly rows = new OrderRows(this.world);
  readonly starter: Starter;
  /** What goes around the start of an episode. */
  around: <T>(orderIds: string[], start: () => Promise<T>) => Promise<T> = (_, start) => start();
  /** The spans of all workers, as they ended. */
  readonly spans: ToldSpan[] = [];
  readonly #shop: Http2Server;
  readonly #sessions = new Set<Http2Session>();
  readonly #folder: string;
  #worker: ChildProcess | undefined;
  readonly #frozen: ChildProcess[] = [];

  private constructor(environment: TestWorkflowEnvironment, folder: string) {
    this.environment = environment;
    this.#folder = folder;
    const { world, rows } = this;
    const client = new Client({
      connection: environment.connection,
      dataConverter,
      interceptors: { workflow: [traceClient] },
    });
    const around = <T>(orderIds: string[], start: () => Promise<T>) => this.around(orderIds, start);
    this.starter = new Starter(client, rows, { stepTimeoutMs: 1_000, attempts: 5, eagerStart: false }, around);
    const routes = (router: Parameters<typeof shopRoutes>[0]) => {
      shopRoutes(router, world);
      shippingRoutes(router, world);
      rows.routes(router);
    };
    this.#shop = createServer(connectNodeAdapter({ routes })).listen(0, "127.0.0.1");
    this.#shop.on("session", (session) =>
      this.#sessions.add(session.once("close", () => this.#sessions.delete(session))),
    );
  }

  static async open(): Promise<Killable> {
    const environment = await localEnvironment();
    const folder = await mkdtemp(join(tmpdir(), "ordermesh-kill-"));
    await writeFile(join(folder, "bundle.js"), (await bundleOf()).code);
    const killable = new Killable(environment, folder);
    await once(killable.#shop, "listening");
    return killable;
  }

  /** Starts a worker unless there is one. */
  async start(): Promise<void> {
    if (this.#worker) return;
    const address = this.#shop.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const child = fork(script, [this.environment.address, `http://127.0.0.1:${port}`, join(this.#folder, "bundle.js")]);
    this.#worker = child;
    const { promise: ready, resolve, reject } = Promise.withResolvers<void>();
    child.once("exit", () => reject(new Error("the worker does not start")));
    child.on("message", (message: "ready" | ToldSpan) => (message === "ready" ? resolve() : this.spans.push(message)));
    await ready;
  }

  async kill(): Promise<void> {
    const child = this.#worker;
    this.#worker = undefined;
    await killed(child);
  }

  /**
   * Stops the worker as it is, and leaves it: another one may be started in its place.
   *
   * @returns lets it go on as if nothing had happened
   */
  freeze(): () => void {
    const child = this.#worker;
    if (!child) throw new Error("there is no worker");
    this.#worker = undefined;
    this.#frozen.push(child);
    child.kill("SIGSTOP");
    return () => child.kill("SIGCONT");
  }

  /** Kills the worker once after each of these steps, in turn, when a service has done it and has not answered. */
  killAfter(steps: string[]): { killed: string[] } {
    const open = [...steps];
    const killed: string[] = [];
    this.world.onCall = async (step, when) => {
      if (when !== "after" || step !== open[0]) return;
      open.shift();
      await this.kill();
      killed.push(step);
      await this.start();
    };
    return { killed };
  }

  /** Waits until orders have come to their ends: each death costs them more than ten seconds. */
  async ends(orders: { orderId: string }[]): Promise<void> {
    const over = () => orders.every(({ orderId }) => this.rows.isOver(orderId));
    await until(over, "the orders have ended", { deadlineMs: 180_000, everyMs: 20 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.starter.stop();
    await this.kill();
    for (const child of this.#frozen) child.kill("SIGKILL");
    for (const session of this.#sessions) session.destroy();
    this.#shop.close();
    await this.environment.teardown();
    await rm(this.#folder, { recursive: true });
  }
}
