import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { create, type DescMethod, type Message } from "@bufbuild/protobuf";
import { ConformanceService, CountResponseSchema } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { AuditService } from "#gen/shop/audit/v1/audit_service_pb.js";
import { detached } from "#platform/context.ts";
import type { Call, CallRequest, CallResponse } from "#platform/interceptors/compose.ts";
import { InFlight, type InFlightLimits, type PlaceKind } from "#platform/interceptors/in-flight.ts";
import { resting, restingPlace } from "#platform/resting.ts";

const { echo, observe, count } = ConformanceService.method;
const operators = AuditService.method.listAuditEvents;
const none = { caller: 0, saga: 0, operator: 0, waiting: 0 };

/** A call as an interceptor sees it, with an implementation of its own. */
class Calls {
  readonly refused: PlaceKind[] = [];
  readonly inFlight: InFlight;

  constructor(limits: Partial<InFlightLimits>) {
    const all = { caller: 2, saga: 2, operator: 2, waiting: 2, ...limits };
    this.inFlight = new InFlight(all, (kind) => this.refused.push(kind));
  }

  /** Makes a unary call of the method. */
  async call(method: DescMethod, work: () => Promise<unknown>): Promise<void> {
    const next = async (request: CallRequest) => {
      await work();
      return { ...request, stream: false, message: {}, trailer: new Headers() } as unknown as CallResponse;
    };
    await this.#run(method, { next, signal: new AbortController().signal });
  }

  /** Makes a call that is answered with a stream, and reads it to its end. */
  async stream(messages: () => AsyncGenerator<Message>, signal = new AbortController().signal): Promise<void> {
    const next = async (request: CallRequest) =>
      ({ ...request, message: messages(), trailer: new Headers() }) as unknown as CallResponse;
    const response = await this.#run(count, { next, signal });
    assert.ok(response.stream);
    for await (const _ of response.message) if (signal.aborted) break;
  }

  #run(method: DescMethod, { next, signal }: { next: Call; signal: AbortSignal }): Promise<CallResponse> {
    const request = { method, service: method.parent, stream: method === count, signal, header: new Headers() };
    return this.inFlight.interceptor()(next)(request as unknown as CallRequest);
  }
}

/** Work that goes on until it is told to end. */
function held(): { work: () => Promise<void>; end(error?: Error): void } {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { work: () => promise, end: (error) => (error ? reject(error) : resolve()) };
}

function refusal(queue: string): object {
  return { reasonName: "OVERLOADED", metadata: { queue } };
}

describe("admission", () => {
  const classes = [
    { kind: "caller", queue: "calls", method: echo, others: [observe, operators] },
    { kind: "saga", queue: "saga", method: observe, others: [echo, operators] },
    { kind: "operator", queue: "operator", method: operators, others: [echo, observe] },
  ] as const;
  for (const { kind, queue, method, others } of classes) {
    it(`of ${kind}s has a bound of its own`, async () => {
      const calls = new Calls({});
      const { work, end } = held();
      const running = [calls.call(method, work), calls.call(method, work)];
      assert.deepEqual(calls.inFlight.counts, { ...none, [kind]: 2 });
      await assert.rejects(calls.call(method, work), refusal(queue));
      for (const other of others) await calls.call(other, turn);
      end();
      await Promise.all(running);
      await calls.call(method, turn);
      assert.deepEqual(calls.refused, [kind]);
      assert.deepEqual(calls.inFlight.counts, none);
    });
  }

  it("leaves the working place to others while a call rests, and always lets it come back", async () => {
    const calls = new Calls({ caller: 1 });
    const [wait, rest, work] = [held(), held(), held()];
    const rested = calls.call(echo, async () => {
      await resting(wait.work);
      await rest.work();
    });
    assert.deepEqual(calls.inFlight.counts, { ...none, waiting: 1 });
    const working = calls.call(echo, work.work);
    wait.end();
    await turn();
    assert.deepEqual(calls.inFlight.counts, { ...none, caller: 2 });
    rest.end();
    await rested;
    await assert.rejects(calls.call(echo, turn), refusal("calls"));
    work.end();
    await working;
    await calls.call(echo, turn);
    assert.deepEqual(calls.inFlight.counts, none);
  });

  it("refuses what could not wait before it has an effect", async () => {
    const calls = new Calls({ waiting: 1 });
    const { work, end } = held();
    const first = calls.call(echo, async () => {
      // A call has one place, however often it is asked for.
      using one = restingPlace();
      using two = restingPlace();
      await Promise.all([one.rest(work), two.rest(work), resting(work)]);
    });
    let effects = 0;
    const second = calls.call(echo, async () => {
      using _place = restingPlace();
      effects += 1;
    });
    await assert.rejects(second, refusal("waiting"));
    assert.equal(effects, 0);
    end();
    await first;
    await calls.call(echo, () => resting(turn));
    assert.deepEqual(calls.refused, ["waiting"]);
  });

  it("lets calls of the saga rest where they are", async () => {
    const calls = new Calls({ saga: 1, waiting: 1 });
    const { work, end } = held();
    const running = calls.call(observe, () => resting(work));
    assert.deepEqual(calls.inFlight.counts, { ...none, saga: 1 });
    end();
    await running;
    assert.deepEqual(calls.inFlight.counts, none);
  });

  it("counts streams among those that wait", async () => {
    const calls = new Calls({ caller: 1, waiting: 1 });
    const { work, end } = held();
    const running = calls.stream(async function* () {
      yield create(CountResponseSchema);
      await resting(work);
    });
    await turn();
    assert.deepEqual(calls.inFlight.counts, { ...none, waiting: 1 });
    await assert.rejects(
      calls.stream(async function* () {}),
      refusal("waiting"),
    );
    await calls.call(echo, turn);
    end();
    await running;
    assert.deepEqual(calls.inFlight.counts, none);
  });

  it("gives the place of a stream back that nobody waits for when it begins", async () => {
    const calls = new Calls({});
    const reason = new Error("gone");
    const gone = calls.stream(async function* () {}, AbortSignal.abort(reason));
    await assert.rejects(gone, reason);
    await calls.inFlight.idle();
  });

  it("has nothing to do with work that goes on after the call", async () => {
    const calls = new Calls({ caller: 1, waiting: 1 });
    const late = held();
    let kept: Disposable | undefined;
    const after: Promise<unknown>[] = [];
    await calls.call(echo, async () => {
      kept = restingPlace();
      after.push(
        detached(() => resting(late.work)),
        resting(late.work),
      );
    });
    await calls.call(echo, async () => {
      const later = async () => {
        await turn();
        await resting(late.work);
      };
      after.push(later());
    });
    for (let turns = 3; turns > 0; turns -= 1) {
      assert.deepEqual(calls.inFlight.counts, none);
      await turn();
    }
    const { work, end } = held();
    const rested = calls.call(echo, () => resting(work));
    assert.deepEqual(calls.inFlight.counts, { ...none, waiting: 1 });
    late.end();
    await Promise.all(after);
    kept?.[Symbol.dispose]();
    assert.deepEqual(calls.inFlight.counts, { ...none, waiting: 1 });
    end();
    await rested;
    await calls.call(echo, () => resting(turn));
    assert.deepEqual(calls.inFlight.counts, none);
  });

  for (let seed = 1; seed <= 20; seed += 1) {
    it(`keeps its books, whatever calls do (seed ${seed})`, () => anything(seed));
  }
});

/** Calls that work, rest, stop resting and fail in any order, and at the end every place is there. */
async function anything(seed: number): Promise<void> {
  const random = generator(seed);
  const limits = { caller: 3, saga: 2, operator: 1, waiting: 4 };
  const calls = new Calls(limits);
  const pick = <T>(...choices: T[]) => choices[Math.floor(random() * choices.length)] as T;
  const pause = async () => {
    for (let turns = Math.floor(random() * 4); turns > 0; turns -= 1) await turn();
    if (random() < 0.15) throw new Error("failed");
  };
  const step = async (): Promise<unknown> => {
    if (random() < 0.3) return await pause();
    if (random() < 0.5) return await resting(pause);
    using place = restingPlace();
    if (random() < 0.2) place[Symbol.dispose]();
    return await Promise.all([
      place.rest(pause),
      pick(
        pause,
        () => resting(pause),
        () => place.rest(step),
      )(),
    ]);
  };
  const work = async () => {
    for (let steps = Math.floor(random() * 4); steps > 0; steps -= 1) await step();
  };
  const messages = async function* () {
    for (let steps = Math.floor(random() * 4); steps > 0; steps -= 1) {
      yield create(CountResponseSchema);
      await step();
    }
  };
  const running: Promise<unknown>[] = [];
  for (let number = 0; number < 300; number += 1) {
    const leaving = new AbortController();
    const stream = () => calls.stream(messages, leaving.signal);
    const call = () => calls.call(pick<DescMethod>(echo, echo, echo, observe, operators), work);
    running.push(pick(stream, call, call)().catch((error: Error) => assert.match(error.message, /failed|takes|gone/)));
    if (random() < 0.5) await turn();
    if (random() < 0.2) leaving.abort(new Error("gone"));
    for (const [kind, now] of Object.entries(calls.inFlight.counts)) assert.ok(now >= 0, `${kind}: ${now}`);
    assert.ok(calls.inFlight.counts.waiting <= limits.waiting);
    assert.ok(calls.inFlight.count <= limits.caller + limits.saga + limits.operator + limits.waiting);
  }
  await Promise.all(running);
  await calls.inFlight.idle();
  assert.deepEqual(calls.inFlight.counts, none);
  assert.ok(calls.refused.length > 0);
  await everyPlaceIsThere(calls, limits);
}

async function everyPlaceIsThere(calls: Calls, limits: InFlightLimits): Promise<void> {
  const { work, end } = held();
  const many = (count: number, start: () => Promise<void>) => Array.from({ length: count }, start);
  const running = [
    ...many(limits.waiting, () => calls.call(echo, () => resting(work))),
    ...many(limits.caller, () => calls.call(echo, work)),
    ...many(limits.saga, () => calls.call(observe, work)),
    ...many(limits.operator, () => calls.call(operators, work)),
  ];
  assert.deepEqual(calls.inFlight.counts, limits);
  for (const method of [echo, observe, operators]) await assert.rejects(calls.call(method, work));
  end();
  await Promise.all(running);
}

/** Mulberry32: the same numbers for the same seed. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
