// When calls are repeated, with what, and when not: over the real router in memory.
import assert from "node:assert/strict";
import { once } from "node:events";
import { constants, createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  createClient,
  createRouterTransport,
  type HandlerContext,
  type ServiceImpl,
} from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { createOrders } from "../src/create-orders.ts";
import { followOrder } from "../src/follow-order.ts";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../src/gen/google/rpc/error_details_pb.js";
import { OrderSchema, OrderStatus } from "../src/gen/shop/orders/v1/order_pb.js";
import {
  type BulkCreateOrdersRequest,
  CreateOrderRequestSchema,
  OrderService,
} from "../src/gen/shop/orders/v1/order_service_pb.js";
import { FailureSchema } from "../src/gen/shop/type/v1/failure_pb.js";
import { Ordermesh } from "../src/ordermesh.ts";
import { refusalOf } from "../src/refusal.ts";
import { type HeaderSource, RepeatingTransport } from "../src/repeating-transport.ts";
import { Retry, type RetryOptions } from "../src/retry.ts";

/** Of a client that is not closed. */
const open = new AbortController().signal;
/** Pauses as short as they can be, so that nothing is waited for. */
const hasty: RetryOptions = { firstPauseMs: 1, longestPauseMs: 1 };

function clientOf(
  service: Partial<ServiceImpl<typeof OrderService>>,
  { retry = new Retry(hasty), headers }: { retry?: Retry; headers?: HeaderSource } = {},
) {
  const inner = createRouterTransport((router) => router.service(OrderService, service));
  return createClient(
    OrderService,
    new RepeatingTransport([inner], { retry, headers, timeouts: undefined, closed: open }),
  );
}

function refusal(code: Code, retryDelayMs?: number): ConnectError {
  const error = new ConnectError("no", code);
  if (retryDelayMs !== undefined) {
    const retryDelay = { seconds: BigInt(Math.floor(retryDelayMs / 1_000)), nanos: (retryDelayMs % 1_000) * 1e6 };
    error.details = [{ desc: RetryInfoSchema, value: { retryDelay } }];
  }
  return error;
}

/** A service that fails so often with these, and then answers. */
function failing(...errors: Error[]) {
  const requestIds: string[] = [];
  const service: Partial<ServiceImpl<typeof OrderService>> = {
    createOrder: ({ requestId }) => {
      requestIds.push(requestId);
      const error = errors.shift();
      if (error) throw error;
      return {};
    },
  };
  return { service, requestIds };
}

describe("repetitions", () => {
  for (const [name, error] of [
    ["UNAVAILABLE", refusal(Code.Unavailable)],
    ["RESOURCE_EXHAUSTED that says when", refusal(Code.ResourceExhausted, 1)],
    ["ABORTED that says when", refusal(Code.Aborted, 1)],
    ["an attempt that was not answered in time", refusal(Code.DeadlineExceeded)],
  ] as const) {
    test(`come after ${name}, with the id that was made for the first attempt`, async () => {
      const { service, requestIds } = failing(error, error);
      const request = create(CreateOrderRequestSchema, { customerId: "c" });
      await clientOf(service).createOrder(request);
      assert.equal(requestIds.length, 3);
      assert.equal(new Set(requestIds).size, 1);
      assert.match(requestIds[0] ?? "", /^[\da-f-]{36}$/);
      assert.equal(request.requestId, "", "what the caller gave is as it was");
    });
  }

  for (const [name, error] of [
    ["INVALID_ARGUMENT", refusal(Code.InvalidArgument)],
    ["RESOURCE_EXHAUSTED that does not say when: the message is too large", refusal(Code.ResourceExhausted)],
    ["ABORTED that does not say when: somebody changed it", refusal(Code.Aborted)],
    ["INTERNAL", refusal(Code.Internal)],
    ["FAILED_PRECONDITION, whatever it says", refusal(Code.FailedPrecondition, 1)],
  ] as const) {
    test(`do not come after ${name}`, async () => {
      const { service, requestIds } = failing(error);
      await assert.rejects(
        clientOf(service).createOrder({ requestId: "own" }),
        (told) => ConnectError.from(told).code === error.code,
      );
      assert.deepEqual(requestIds, ["own"]);
    });
  }

  test("come after a connection that broke", async () => {
    const { service, requestIds } = failing();
    const serve = connectNodeAdapter({ routes: (router) => router.service(OrderService, service) });
    let requests = 0;
    const server = createServer((request, response) => {
      requests += 1;
      if (requests === 1) request.stream.session?.destroy();
      else serve(request, response);
    });
    await once(server.listen(0, "127.0.0.1"), "listening");
    const { port } = server.address() as AddressInfo;
    using shop = new Ordermesh({ addresses: { orders: `http://127.0.0.1:${port}` }, retry: hasty });
    await shop.orders.createOrder({});
    assert.deepEqual([requests, requestIds.length], [2, 1]);
    shop.close();
    server.close();
  });

  test("wait for as long as they are told to, with chance added", () => {
    const retry = new Retry({ firstPauseMs: 100, longestPauseMs: 300 }, () => 0.5);
    const pauses = [1, 2, 3, 4].map((attempt) =>
      retry.pauseMs(refusal(Code.Unavailable, 40), { attempt, leftMs: 60_000 }),
    );
    assert.deepEqual(pauses, [90, 140, 190, 190]);
  });

  test("end with the attempts, with the time, and with the budget, which successes fill again", () => {
    const error = refusal(Code.Unavailable, 50);
    const next = (retry: Retry, attempt = 1, leftMs = 60_000) => retry.pauseMs(error, { attempt, leftMs });
    assert.equal(next(new Retry({ attempts: 3 }), 3), undefined);
    assert.equal(next(new Retry(), 1, 50), undefined, "it would be too late");
    const retry = new Retry({ budget: 2 });
    assert.deepEqual(
      [next(retry), next(retry), next(retry)].map((pause) => pause !== undefined),
      [true, true, false],
    );
    for (let count = 0; count < 11; count += 1) retry.succeeded();
    assert.notEqual(next(retry), undefined);
    assert.equal(next(retry), undefined);
  });

  test("go to the next place", async () => {
    const asked: string[] = [];
    const places = ["a", "b"].map((place) =>
      createRouterTransport((router) =>
        router.service(OrderService, {
          getOrder: () => {
            asked.push(place);
            if (asked.length < 3) throw refusal(Code.Unavailable);
            return {};
          },
        }),
      ),
    );
    const options = { retry: new Retry(hasty), headers: undefined, timeouts: undefined, closed: open };
    await createClient(OrderService, new RepeatingTransport(places, options)).getOrder({});
    assert.deepEqual(asked, ["a", "b", "a"]);
  });

  test("end when the caller gives up", async () => {
    const stop = new AbortController();
    let calls = 0;
    const orders = clientOf(
      {
        getOrder: () => {
          calls += 1;
          stop.abort();
          throw refusal(Code.Unavailable, 60_000);
        },
      },
      { retry: new Retry() },
    );
    await assert.rejects(orders.getOrder({}, { signal: stop.signal, timeoutMs: 600_000 }), ConnectError);
    assert.equal(calls, 1);
  });

  test("give each entry of a call for many its id, and each attempt its credentials", async () => {
    const seen: string[][] = [];
    let token = 0;
    const bulkCreateOrders = (
      { requests }: { requests: { requestId: string }[] },
      { requestHeader }: HandlerContext,
    ) => {
      seen.push([requestHeader.get("authorization") ?? "", ...requests.map(({ requestId }) => requestId)]);
      if (seen.length === 1) throw refusal(Code.Unavailable);
      return {};
    };
    const headers = () => ({ authorization: `token ${++token}`, "x-own": "none" });
    const orders = clientOf({ bulkCreateOrders }, { headers });
    const entry = create(CreateOrderRequestSchema);
    await orders.bulkCreateOrders({ requests: [entry, { requestId: "own" }, {}] }, { headers: { "x-own": "call" } });
    const [first, second] = seen;
    assert.deepEqual([first?.[0], second?.[0]], ["token 1", "token 2"]);
    assert.deepEqual(first?.slice(1), second?.slice(1));
    assert.equal(first?.[2], "own");
    assert.equal(entry.requestId, "", "what the caller gave is as it was");
    assert.equal(new Set(first).size, 4);
  });
});

describe("deadlines", () => {
  test("are there for each call, also when it says none", async () => {
    const left: number[] = [];
    const note = (_: unknown, context: HandlerContext) => {
      left.push(context.timeoutMs() ?? Number.POSITIVE_INFINITY);
      return {};
    };
    const orders = clientOf({ createOrder: note, getOrder: note, bulkCreateOrders: note });
    await orders.getOrder({});
    await orders.createOrder({});
    await orders.createOrder({ waitFor: 2 });
    await orders.bulkCreateOrders({});
    await orders.getOrder({}, { timeoutMs: 500 });
    const bounds = [3_000, 10_000, 35_000, 30_000, 500];
    assert.deepEqual(
      left.map((ms, index) => ms > 0 && ms <= (bounds[index] ?? 0) && ms > (bounds[index] ?? 0) / 2),
      [true, true, true, true, true],
      left.join(" "),
    );
  });
});

describe("a refusal", () => {
  const fields = [{ field: "lines[0].sku", description: "must be a code", reason: "string.code" }];

  test("of a call says reason, metadata, fields and when to come again", () => {
    const error = refusal(Code.NotFound, 1_500);
    error.details.push({ desc: ErrorInfoSchema, value: { reason: "R", domain: "orders.shop", metadata: { a: "b" } } });
    error.details.push({ desc: BadRequestSchema, value: { fieldViolations: fields } });
    const told = {
      code: Code.NotFound,
      reason: "R",
      domain: "orders.shop",
      message: "no",
      metadata: { a: "b" },
      fields,
    };
    assert.deepEqual(refusalOf(error), { ...told, retryDelayMs: 1_500 });
    const retryDelay = { seconds: 1n, nanos: 500_000_000 };
    const failure = create(FailureSchema, { ...told, fieldViolations: fields, retryDelay });
    assert.deepEqual(refusalOf(failure), { ...told, retryDelayMs: 1_500 }, "and so does that of an entry");
  });

  test("is there for whatever a call failed with", () => {
    const nothing = { reason: "", domain: "", metadata: {}, fields: [], retryDelayMs: undefined };
    assert.deepEqual(refusalOf(new Error("broken")), { ...nothing, code: Code.Unknown, message: "broken" });
  });
});

test("any number of orders go in calls for many, and what is refused for the moment is asked for again", async () => {
  const sizes: number[] = [];
  const asked = new Map<string, number>();
  const bulkCreateOrders = ({ requests }: BulkCreateOrdersRequest) => {
    sizes.push(requests.length);
    const outcomes = requests.map(({ requestId, cardToken }) => {
      asked.set(requestId, (asked.get(requestId) ?? 0) + 1);
      const isFirst = asked.get(requestId) === 1;
      const retryDelay = { seconds: 0n, nanos: 1_000_000 };
      const fail = (code: Code, again = false) => {
        const value = create(FailureSchema, { code, ...(again && { retryDelay }) });
        return { outcome: { case: "failure" as const, value } };
      };
      if (cardToken === "bad") return fail(Code.InvalidArgument);
      if (cardToken === "late" && isFirst) return fail(Code.DeadlineExceeded);
      if (cardToken === "busy" && isFirst) return fail(Code.ResourceExhausted, true);
      if (cardToken === "never") return fail(Code.ResourceExhausted, true);
      const value = { order: { orderId: cardToken } };
      return { outcome: { case: "response" as const, value } };
    });
    return { outcomes };
  };
  const orders = clientOf({ bulkCreateOrders });
  const tokens = ["bad", "late", "busy", ...Array.from({ length: 1_500 }, (_, index) => `${index}`)];
  const outcomes = await createOrders(
    orders,
    tokens.map((cardToken) => ({ cardToken })),
  );
  assert.deepEqual(
    outcomes.map(({ outcome }) => (outcome.case === "response" ? outcome.value.order?.orderId : "refused")),
    ["refused", ...tokens.slice(1)],
  );
  assert.deepEqual(sizes, [1_000, 505]);
  assert.equal(asked.size, tokens.length, "each keeps its id");

  const large = "x".repeat(3 * 1024 * 1024);
  await createOrders(
    orders,
    [large, large, "small"].map((cardToken) => ({ cardToken })),
  );
  assert.deepEqual(sizes.slice(2), [1, 2]);
  const [still] = await createOrders(orders, [{ cardToken: "never" }], { withinMs: 0 });
  assert.equal(still?.outcome.case, "failure");
});

test("an order is followed over streams that break, each state once, to its end", async () => {
  const at = (revision: number, status: OrderStatus) => ({ order: create(OrderSchema, { revision, status }) });
  const streams = [
    [at(1, OrderStatus.PENDING), at(2, OrderStatus.CONFIRMED)],
    [at(2, OrderStatus.CONFIRMED), at(3, OrderStatus.DELIVERED)],
  ];
  const orders = clientOf({
    async *watchOrder() {
      yield* streams.shift() ?? [];
      throw refusal(Code.Unavailable);
    },
  });
  const seen: number[] = [];
  for await (const { revision } of followOrder(orders, "id")) seen.push(revision);
  assert.deepEqual(seen, [1, 2, 3]);
  await assert.rejects(async () => {
    const missing = clientOf({
      // biome-ignore lint/correctness/useYield: it is refused before anything is sent
      async *watchOrder() {
        throw refusal(Code.NotFound);
      },
    });
    for await (const _ of followOrder(missing, "id"));
  }, ConnectError);
});

/** A server of orders, and a client of it. */
async function serve(service: Partial<ServiceImpl<typeof OrderService>>) {
  const server = createServer(connectNodeAdapter({ routes: (router) => router.service(OrderService, service) }));
  const sessions: ServerHttp2Session[] = [];
  server.on("session", (session) => sessions.push(session));
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as AddressInfo;
  const shop = new Ordermesh({ addresses: { orders: `http://127.0.0.1:${port}` }, retry: hasty });
  const close = () => {
    shop.close();
    server.close();
    for (const session of sessions) session.destroy();
  };
  return { sessions, shop, [Symbol.dispose]: close };
}

/** One who follows an order that was placed, whatever becomes of it. */
const placed: Partial<ServiceImpl<typeof OrderService>> = {
  async *watchOrder(_, { signal }) {
    yield { order: create(OrderSchema, { revision: 1, status: OrderStatus.PENDING }) };
    if (!signal.aborted) await once(signal, "abort");
  },
};

test("an order is followed over connections that are taken away", async () => {
  const delivered = { order: create(OrderSchema, { revision: 2, status: OrderStatus.DELIVERED }) };
  let streams = 0;
  using served = await serve({
    async *watchOrder(request, context) {
      streams += 1;
      if (streams === 1) yield* placed.watchOrder?.(request, context) ?? [];
      yield delivered;
    },
  });
  const { sessions, shop } = served;
  const seen: number[] = [];
  for await (const { revision } of followOrder(shop.orders, "id")) {
    seen.push(revision);
    if (revision === 1) sessions[0]?.destroy(undefined, constants.NGHTTP2_CANCEL);
  }
  assert.deepEqual([seen, streams], [[1, 2], 2]);
});

test("a client that was closed calls nobody any more, whatever is under way", async () => {
  using served = await serve({ ...placed, getOrder: () => new Promise(() => undefined) });
  const { sessions, shop } = served;
  const { orders } = shop;
  const said = { code: Code.FailedPrecondition, rawMessage: "this client was closed; make a new one" };
  const call = orders.getOrder({ orderId: "id" });
  const following = followOrder(orders, "id");
  await following.next();
  shop.close();
  await Promise.all(
    [call, following.next(), orders.getOrder({}), shop.orders.getOrder({})].map((each) => assert.rejects(each, said)),
  );
  assert.equal(sessions.length, 1);
});
