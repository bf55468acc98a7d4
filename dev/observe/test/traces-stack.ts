import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { until } from "#testing/until.ts";
import { edgesOf, JaegerQuery, type JaegerTrace, serviceOf, tagOf, untilSeen } from "../../observers/jaeger-query.ts";
import { isOver } from "../../shop/demo.ts";
import { Shopper, type Wish } from "../../shop/shopper.ts";
import type { Overrides } from "../../stack/blueprint.ts";
import { freePorts } from "../../stack/free-ports.ts";
import type { Observer } from "../../stack/layout.ts";
import { Stack } from "../../stack/stack.ts";

/** Spans and log lines leave at once, and the outside world is quick, so that no test waits. */
const quick: Overrides = {
  all: { OTEL_BSP_SCHEDULE_DELAY: "100" },
  simulators: { PACKING_MS: "100", CARRIER_TRANSIT_MS: "300" },
};

/** How a stack differs from the ordinary one. */
export interface TracedOptions {
  readonly environment?: Overrides;
  /** What watches it besides Jaeger. */
  readonly besides?: readonly Observer[];
  /** Whether what dies is started again; default true. */
  readonly restart?: boolean;
}

const ordinary = { cardToken: "tok_approve", lines: [{ sku: "beans", quantity: 2 }] };

/** How long an order may take on a busy machine, and its last spans after it. */
const orderWithinMs = 60_000;
const spansWithinMs = 20_000;

/** A stack whose traces are in a real Jaeger, and somebody who orders. */
export class TracedStack {
  readonly stack: Stack;
  readonly shopper: Shopper;
  readonly jaeger: JaegerQuery;
  readonly customerId: string;
  #orders = 0;

  private constructor(stack: Stack, shopper: Shopper, customerId: string) {
    this.stack = stack;
    this.shopper = shopper;
    this.customerId = customerId;
    this.jaeger = new JaegerQuery(stack.observerUrl("jaeger"));
  }

  /** Starts one on free ports, with stock of `beans` in one place and of `cups` in another. */
  static async start({ environment = {}, besides = [], restart = true }: TracedOptions = {}): Promise<TracedStack> {
    const stack = await Stack.start({
      ports: await freePorts(),
      observers: ["jaeger", ...besides],
      environment: merged(environment),
      logLevel: besides.includes("filebeat") ? "info" : "warn",
      restart,
    });
    try {
      const shopper = new Shopper(stack);
      await shopper.stock("beans", "north", 10_000);
      await shopper.stock("cups", "south", 10_000);
      return new TracedStack(stack, shopper, await shopper.customer("Tracey"));
    } catch (error) {
      await stack.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    this.shopper[Symbol.dispose]();
    await this.stack.stop();
  }

  /** Places an order of two bags of beans, or as wished. */
  place(wish: Partial<Wish> = {}): Promise<string> {
    this.#orders += 1;
    return this.shopper.place(this.customerId, { ...ordinary, requestId: `traced-${this.#orders}`, ...wish });
  }

  /** Places an order like {@link place}, but fails when the first call fails. */
  async placeOnce(wish: Pick<Wish, "requestId">): Promise<void> {
    await this.shopper.orders.createOrder(this.shopper.request(this.customerId, { ...ordinary, ...wish }));
  }

  /** Waits until an order is at a status, or at its end. */
  async reaches(orderId: string, status?: OrderStatus): Promise<void> {
    const isThere = async () => {
      const order = await this.shopper.get(orderId);
      const isSo = status === undefined ? isOver(order) : order.status === status;
      assert.ok(isSo, `it is ${OrderStatus[order.status]} ${order.failure?.reason ?? ""}`);
      return true;
    };
    const what = `${status === undefined ? "the end" : OrderStatus[status]} of ${orderId}`;
    await until(isThere, what, { deadlineMs: orderWithinMs, everyMs: 50 });
  }

  /** The trace of an order when it is as expected; as it is after some time when it is not. */
  async trace(orderId: string, expected?: TraceShape): Promise<JaegerTrace> {
    const asExpected = (trace: JaegerTrace) => expected === undefined || isDeepStrictEqual(shapeOf(trace), expected);
    try {
      return await untilSeen(() => this.jaeger.orderTrace(orderId), asExpected, spansWithinMs);
    } catch (error) {
      const trace = await this.jaeger.orderTrace(orderId);
      if (!trace) throw error;
      return trace;
    }
  }
}

/** What a trace says of an order, without what depends on chance. */
export interface TraceShape {
  /** Which service called which, as `orders → worker`. */
  readonly edges: readonly string[];
  /** The worker's steps with their outcomes, as `reserve done`; what had to be asked again before it was decided is left out. */
  readonly steps: readonly string[];
}

/** The shape of a trace, sorted, everything once. */
export function shapeOf(trace: JaegerTrace): TraceShape {
  const steps = trace.spans
    .filter((span) => serviceOf(trace, span) === "worker" && tagOf(span, "ordermesh.step") !== undefined)
    .filter((span) => tagOf(span, "ordermesh.outcome") !== "pending")
    .map((span) => `${tagOf(span, "ordermesh.step")} ${tagOf(span, "ordermesh.outcome")}`);
  return { edges: edgesOf(trace), steps: [...new Set(steps)].sort() };
}

/** Asserts that the trace of an order that has ended says exactly this, and nothing else a second later. */
export async function assertShape(traced: TracedStack, orderId: string, expected: TraceShape): Promise<JaegerTrace> {
  assert.deepEqual(shapeOf(await traced.trace(orderId, expected)), expected);
  await delay(1_000);
  const trace = await traced.trace(orderId);
  assert.deepEqual(shapeOf(trace), expected);
  return trace;
}

function merged(environment: Overrides): Overrides {
  const services = new Set([...Object.keys(quick), ...Object.keys(environment)]) as Set<keyof Overrides>;
  return Object.fromEntries([...services].map((name) => [name, { ...quick[name], ...environment[name] }]));
}
