import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createRouterTransport } from "@connectrpc/connect";
import {
  DecideParkedStepOutcomeSchema,
  type DecideParkedStepRequest,
  OrderEpisodeService,
  ParkedStepDecision,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import {
  type ParkedStepsProgress,
  type RetryParkedStepsRequest,
  RetryParkedStepsRequestSchema,
} from "#gen/shop/sagas/v1/saga_service_pb.js";
import { newId } from "#platform/id.ts";
import { contractValidator } from "#platform/interceptors/validation.ts";
import { quietLogger } from "#testing/logger.ts";
import type { LegacySagas } from "../../src/api/legacy-sagas.ts";
import { OrderRows } from "../../src/api/order-rows.ts";
import { ParkedDecisions } from "../../src/api/parked-decisions.ts";
import { ParkedSteps } from "../../src/api/parked-steps.ts";
import { clientsOver } from "../stage/harness.ts";

/** Orders with so many parked steps of one reason, in memory; what workflows of the kind before know has none. */
class Rows {
  readonly steps: { orderId: string; step: string }[];
  /** Every batch that was decided, in turn. */
  readonly batches: DecideParkedStepRequest[][] = [];
  /** What the next calls fail with instead. */
  readonly failures: Code[] = [];
  readonly decisions: ParkedDecisions;
  readonly #decided = new Set<string>();

  constructor(names: string[]) {
    this.steps = names.map((step) => ({ orderId: newId(), step }));
    const transport = createRouterTransport(({ service }) => {
      service(OrderEpisodeService, {
        beginParkedDecisions: () => {
          const waiting = this.steps.filter(({ orderId }) => !this.#decided.has(orderId)).length;
          return { parkedBefore: timestampFromMs(Date.now()), matching: this.steps.length, waiting };
        },
        listParkedOrders: ({ pageSize, pageToken }) => this.#list(pageSize, Number(pageToken || 0)),
        batchDecideParkedSteps: ({ requests }) => this.#decide(requests),
      });
    });
    const { episodes, orders: audit } = clientsOver(transport);
    const rows = new OrderRows(episodes);
    const steps = new ParkedSteps({ rows, legacy: {} as LegacySagas, audit });
    this.decisions = new ParkedDecisions({ rows, steps, logger: quietLogger() });
  }

  #list(size: number, from: number) {
    const open = this.steps.map((each, index) => ({ ...each, index }));
    const page = open.filter(({ orderId, index }) => index >= from && !this.#decided.has(orderId)).slice(0, size);
    const last = page.at(-1)?.index ?? this.steps.length;
    const orders = page.map(({ orderId, step }) => ({ orderId, step: { step, reason: "DECLINED", error: "no" } }));
    return { orders, nextPageToken: last < this.steps.length - 1 ? String(last + 1) : "" };
  }

  #decide(requests: DecideParkedStepRequest[]) {
    const failure = this.failures.shift();
    if (failure) throw new ConnectError("not now", failure);
    this.batches.push(requests);
    const outcomes = requests.map(({ orderId, step }) => {
      const failure = { code: Code.FailedPrecondition, domain: "orders.shop", reason: "STEP_NOT_PARKED" };
      if (step === "gone")
        return create(DecideParkedStepOutcomeSchema, { outcome: { case: "failure", value: failure } });
      this.#decided.add(orderId);
      return create(DecideParkedStepOutcomeSchema, { outcome: { case: "response", value: {} } });
    });
    return { outcomes };
  }
}

function request(changes: Partial<RetryParkedStepsRequest> = {}): RetryParkedStepsRequest {
  const which = { case: "filter", value: { reason: "DECLINED" } } as const;
  return Object.assign(create(RetryParkedStepsRequestSchema, { requestId: "many", which, perSecond: 1_000 }), changes);
}

const never = new AbortController().signal;
const names = (count: number) => Array.from({ length: count }, () => "capture:BER");

async function all(told: AsyncIterable<ParkedStepsProgress>): Promise<ParkedStepsProgress[]> {
  const messages: ParkedStepsProgress[] = [];
  for await (const message of told) messages.push(message);
  return messages;
}

describe("a decision about many parked steps", () => {
  test("goes batch by batch, and tells after each how far it is", async () => {
    const rows = new Rows(names(150));
    const told = await all(rows.decisions.decide(request(), { resolve: false, signal: never }));
    assert.deepEqual(
      told.map(({ waiting, decided, done }) => [waiting, decided, done]),
      [
        [150, 0, false],
        [150, 64, false],
        [150, 128, false],
        [150, 150, false],
        [150, 150, true],
      ],
    );
    const sent = rows.batches.flat();
    assert.deepEqual(
      sent.map(({ orderId }) => orderId),
      rows.steps.map(({ orderId }) => orderId),
    );
    assert.ok(sent.every(({ requestId, decision }) => requestId === "many" && decision === ParkedStepDecision.RETRY));
  });

  test("tells each refusal with its reason, and resolves no move of an order", async () => {
    const rows = new Rows(["void", "gone", "shipped", "void"]);
    const told = await all(rows.decisions.decide(request({ note: "by hand" }), { resolve: true, signal: never }));
    const refused = told.flatMap(({ refusals }) => refusals.map(({ step, failure }) => [step, failure?.reason]));
    assert.deepEqual(refused, [
      ["gone", "STEP_NOT_PARKED"],
      ["shipped", "STEP_NOT_RESOLVABLE"],
    ]);
    const { decided, refused: count, done } = told.at(-1) ?? {};
    assert.deepEqual([decided, count, done], [2, 2, true]);
    assert.deepEqual(
      rows.batches.map((batch) => batch.map(({ step, note }) => `${step} ${note}`)),
      [["void by hand", "gone by hand", "void by hand"]],
    );
  });

  test("is not faster than asked for, two calls together", async () => {
    const rows = new Rows(names(30));
    const since = performance.now();
    const slow = () => all(rows.decisions.decide(request({ perSecond: 20 }), { resolve: false, signal: never }));
    const [first, second] = await Promise.all([slow(), slow()]);
    const batches = rows.batches.length;
    const spent = performance.now() - since;
    assert.equal((first.at(-1)?.decided ?? 0) + (second.at(-1)?.decided ?? 0), rows.batches.flat().length);
    // The first batch goes at once.
    assert.ok(spent >= (rows.batches.slice(0, batches - 1).flat().length / 20) * 1_000 - 50, `${spent} ms`);
  });

  test("waits for orders that are away or have too much to do, and stops when its caller goes", async () => {
    const rows = new Rows(names(100));
    rows.failures.push(Code.Unavailable, Code.ResourceExhausted);
    const gone = new AbortController();
    const told: ParkedStepsProgress[] = [];
    const call = async () => {
      for await (const each of rows.decisions.decide(request(), { resolve: false, signal: gone.signal })) {
        told.push(each);
        if (each.decided > 0) gone.abort();
      }
    };
    await assert.rejects(call(), { name: "AbortError" });
    assert.deepEqual(
      told.map(({ decided }) => decided),
      [0, 64],
    );
    const again = await all(rows.decisions.decide(request(), { resolve: false, signal: never }));
    const { matching, waiting, decided, done } = again.at(-1) ?? {};
    assert.deepEqual([matching, waiting, decided, done], [100, 36, 36, true]);
  });

  test("ends with what does not pass", async () => {
    const rows = new Rows(names(1));
    rows.failures.push(Code.Internal);
    await assert.rejects(all(rows.decisions.decide(request(), { resolve: false, signal: never })), /not now/);
  });

  test("needs a criterion, or all, said", () => {
    const validator = contractValidator();
    const told = (body: object) => {
      const { violations = [] } = validator.validate(
        RetryParkedStepsRequestSchema,
        create(RetryParkedStepsRequestSchema, { requestId: "r", ...body }),
      );
      return violations.map(({ message }) => message).join();
    };
    assert.match(told({}), /required/);
    assert.match(told({ which: { case: "filter", value: {} } }), /at least one criterion: step, reason/);
    assert.match(told({ which: { case: "all", value: false } }), /true/);
    assert.equal(told({ which: { case: "all", value: true } }), "");
    assert.equal(told({ which: { case: "filter", value: { step: "capture" } } }), "");
  });
});
