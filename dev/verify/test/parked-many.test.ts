// An operator decides about hundreds of parked steps of the whole stack by one call, which is killed in the middle and made again.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import pg from "pg";
import { AuditService } from "#gen/shop/audit/v1/audit_service_pb.js";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import {
  type ParkedStepsProgress,
  type ResolveParkedStepsRequestSchema,
  type RetryParkedStepsRequestSchema,
  SagaService,
} from "#gen/shop/sagas/v1/saga_service_pb.js";
import { until } from "#testing/until.ts";
import { Shopper } from "../../shop/shopper.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { Stack } from "../../stack/stack.ts";
import { tool } from "../../tools/tool.ts";
import { each } from "./contract-caller.ts";

const many = 300;
const placedAtOnce = 32;
/** So many a second: the call takes three seconds, in which it can be killed. */
const perSecond = 100;
const patience = { deadlineMs: 120_000, everyMs: 250 };
const captures = { step: "capture" };

/** What grpcurl prints of one message; it leaves out what is zero. */
interface Shown {
  readonly progress: Readonly<Partial<Record<"matching" | "waiting" | "decided" | "refused", number>>> & {
    readonly done?: boolean;
  };
}

describe("a decision about hundreds of parked steps", () => {
  let stack: Stack;
  let shopper: Shopper;
  let grpcurl: string;
  const orderIds: string[] = [];

  before(async () => {
    const environment = { simulators: { PACKING_MS: "20", CARRIER_TRANSIT_MS: "300" } };
    stack = await Stack.start({ ports: await freePorts(), environment });
    grpcurl = await tool("grpcurl");
    shopper = new Shopper(stack);
    await shopper.stock("pen", "north", 10 * many);
    const customerId = await shopper.customer("parked");
    const wish = { cardToken: "tok_capture_decline", lines: [{ sku: "pen", quantity: 1 }] };
    const numbers = Array.from({ length: many }, (_, index) => index);
    await each(numbers, placedAtOnce, async (index) => {
      orderIds.push(await shopper.place(customerId, { ...wish, requestId: `parked-${index}` }));
    });
    await allParked("first");
  });
  after(async () => {
    shopper?.[Symbol.dispose]();
    await stack?.stop();
  });

  const over = (service: "worker" | "orders") =>
    createConnectTransport({ baseUrl: stack.httpUrl(service), httpVersion: "1.1", interceptors: [proof] });
  const sagas = () => createClient(SagaService, over("worker"));
  const audit = () => createClient(AuditService, over("orders"));
  const proof: Interceptor = (next) => (request) => {
    request.header.set("authorization", stack.headers.authorization);
    return next(request);
  };

  /** The last message of a call by the HTTP face. */
  async function retried(
    request: MessageInitShape<typeof RetryParkedStepsRequestSchema>,
  ): Promise<ParkedStepsProgress | undefined> {
    let last: ParkedStepsProgress | undefined;
    for await (const { progress } of sagas().retryParkedSteps(request)) last = progress;
    return last;
  }

  function dryRun(requestId: string): Promise<ParkedStepsProgress | undefined> {
    return retried({ requestId, which: { case: "filter", value: captures }, dryRun: true });
  }

  async function allParked(name: string): Promise<void> {
    await until(async () => (await dryRun(name))?.waiting === many, `${many} steps are parked`, patience);
  }

  /** Retries by grpcurl as the runbook does; `seen` is told each message as it comes. */
  async function retryByHand(requestId: string, seen: (shown: Shown, child: ChildProcess) => void): Promise<number> {
    const body = { request_id: requestId, filter: captures, note: "the gateway is mended", per_second: perSecond };
    const call = `${SagaService.typeName}/RetryParkedSteps`;
    const child = spawn(grpcurl, [
      ...["-plaintext", "-H", `authorization: ${stack.headers.authorization}`],
      ...["-d", JSON.stringify(body), stack.address("worker"), call],
    ]);
    const ended = once(child, "exit");
    let text = "";
    for await (const line of createInterface({ input: child.stdout })) {
      text += line;
      if (line !== "}") continue;
      seen(JSON.parse(text) as Shown, child);
      text = "";
    }
    const [code] = (await ended) as [number];
    return code;
  }

  /** How many rows of the audit log a request id has, of how many orders, and the notes that whoever may read the log sees. */
  async function audited(requestId: string): Promise<{ rows: number; orders: number; notes: string[] }> {
    const client = new pg.Client({ connectionString: stack.databaseUrl("orders", "postgres") });
    await client.connect();
    try {
      const text = `select count(*)::int as rows, count(distinct order_id)::int as orders
        from audit_event where request_id = $1`;
      const { rows } = await client.query<{ rows: number; orders: number }>(text, [requestId]);
      assert.ok(rows[0]);
      return { ...rows[0], notes: await notesOf(requestId) };
    } finally {
      await client.end();
    }
  }

  /** They lie sealed, and are opened for whoever may read the log. */
  async function notesOf(requestId: string): Promise<string[]> {
    const notes = new Set<string>();
    let pageToken = "";
    do {
      const page = await audit().listAuditEvents({ pageSize: 200, pageToken });
      const asked = page.events.filter((event) => event.requestId === requestId);
      for (const { details } of asked) notes.add(details.note ?? "");
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    return [...notes];
  }

  test("says beforehand how many it is about, and shows some of them", async () => {
    const tried = await dryRun("beforehand");
    assert.deepEqual([tried?.matching, tried?.waiting, tried?.sample.length], [many, many, 20]);
    assert.deepEqual([tried?.sample[0]?.step, tried?.sample[0]?.reason], ["capture:north", "PAYMENT_DECLINED"]);
    assert.equal((await audited("beforehand")).rows, 0);
  });

  test("is killed with the worker in the middle, made again, and has been taken once for each order", async () => {
    const first: Shown[] = [];
    const code = await retryByHand("mended", (shown) => {
      first.push(shown);
      if (shown.progress.decided && first.length === 3) stack.kill("worker");
    });
    assert.notEqual(code, 0);
    const decided = first.at(-1)?.progress.decided ?? 0;
    assert.ok(decided > 0 && decided < many, `${decided} were decided about`);
    await stack.ready("worker");
    const second: Shown[] = [];
    assert.equal(await retryByHand("mended", (shown) => second.push(shown)), 0);
    const { matching, waiting = 0, decided: others = 0, refused = 0, done } = second.at(-1)?.progress ?? {};
    assert.deepEqual([matching, others, refused, done], [many, waiting, 0, true]);
    assert.ok(waiting > 0 && waiting <= many - decided, `${waiting} waited`);
    assert.ok(second.length > 3, `${second.length} messages`);
    assert.deepEqual(await audited("mended"), { rows: many, orders: many, notes: ["the gateway is mended"] });
    // The gateway refuses them again. They waited later than the call was made, which may be made once more.
    await allParked("again");
    const third = await retried({
      requestId: "mended",
      which: { case: "filter", value: captures },
      note: "the gateway is mended",
    });
    assert.deepEqual([third?.matching, third?.waiting, third?.decided, third?.done], [many, 0, 0, true]);
    assert.equal((await audited("mended")).rows, many);
  });

  test("goes on by itself when orders is killed in the middle, and every order ends", async () => {
    const note = "charged by hand, case 4711";
    const request: MessageInitShape<typeof ResolveParkedStepsRequestSchema> = {
      requestId: "by-hand",
      which: { case: "all", value: true },
      note,
      perSecond,
    };
    const told: ParkedStepsProgress[] = [];
    for await (const { progress } of sagas().resolveParkedSteps(request)) {
      if (progress) told.push(progress);
      if (told.length === 3) stack.kill("orders");
    }
    const last = told.at(-1);
    assert.deepEqual([last?.decided, last?.refused, last?.done], [many, 0, true]);
    assert.deepEqual(await audited("by-hand"), { rows: many, orders: many, notes: [note] });
    const delivered = async () => {
      const orders = await Promise.all(orderIds.map((orderId) => shopper.get(orderId)));
      return orders.every(({ status }) => status === OrderStatus.DELIVERED);
    };
    await until(delivered, "all are delivered", patience);
  });
});
