import assert from "node:assert/strict";
import { AsyncLocalStorage } from "node:async_hooks";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { Code } from "@connectrpc/connect";
import { Batcher } from "#platform/batch/batcher.ts";
import { runInContext } from "#platform/context.ts";

/** A run that notes its lists and answers when the test says so. */
function stage<I>() {
  const lists: I[][] = [];
  const gates: PromiseWithResolvers<void>[] = [];
  const run = async (inputs: I[]): Promise<string[]> => {
    lists.push(inputs);
    const gate = Promise.withResolvers<void>();
    gates.push(gate);
    await gate.promise;
    return inputs.map((input) => `did ${input}`);
  };
  const open = async (index: number) => {
    gates[index]?.resolve();
    await turn();
    await turn();
  };
  return { lists, run, open };
}

const dataError = (code = "23505") => Object.assign(new Error("data"), { code });

describe("batcher", () => {
  it("sends the first at once and what arrives meanwhile together", async () => {
    const { lists, run, open } = stage<number>();
    const batcher = new Batcher({ name: "t", run });
    const first = batcher.submit(1);
    await turn();
    assert.deepEqual(lists, [[1]]);
    const rest = [2, 3, 4].map((input) => batcher.submit(input));
    await turn();
    assert.deepEqual(lists, [[1]]);
    assert.equal(batcher.waiting, 3);
    await open(0);
    assert.deepEqual(lists, [[1], [2, 3, 4]]);
    await open(1);
    assert.deepEqual(await Promise.all([first, ...rest]), ["did 1", "did 2", "did 3", "did 4"]);
  });

  it("bounds a list by entries and by bytes, and lets an entry that is too large go alone", async () => {
    const lists: number[][] = [];
    const run = async (inputs: number[]) => {
      lists.push(inputs);
      return inputs;
    };
    const byEntries = new Batcher({ name: "t", run, maxEntries: 2 });
    await Promise.all([1, 2, 3, 4, 5].map((input) => byEntries.submit(input)));
    assert.deepEqual(lists.splice(0), [[1, 2], [3, 4], [5]]);
    const byBytes = new Batcher({ name: "t", run, maxBytes: 10, sizeOf: (input) => input });
    await Promise.all([4, 6, 50, 3, 8].map((input) => byBytes.submit(input)));
    assert.deepEqual(lists, [[4, 6], [50], [3], [8]]);
  });

  it("runs as many lists at a time as it has lanes, and never one key in two of them", async () => {
    const { lists, run, open } = stage<string>();
    const batcher = new Batcher({ name: "t", run, lanes: 2, maxEntries: 2, keyOf: (input) => input[0] ?? "" });
    const all = ["a1", "a2", "b1", "a3", "c1"].map((input) => batcher.submit(input));
    await turn();
    assert.deepEqual(lists, [["a1", "b1"], ["c1"]]);
    await open(1);
    assert.equal(lists.length, 2);
    await open(0);
    await open(2);
    await open(3);
    assert.deepEqual(lists.slice(2), [["a2"], ["a3"]]);
    assert.equal((await Promise.all(all)).length, 5);
  });

  it("lets patient ones wait for company behind the batch before, but for a full one, somebody who hurries and the end", {
    timeout: 10_000,
  }, async (t) => {
    const lists: number[][] = [];
    const run = async (inputs: number[]) => {
      lists.push(inputs);
      return inputs;
    };
    t.mock.timers.enable({ apis: ["setTimeout"] });
    const batcher = new Batcher({ name: "t", run, maxEntries: 3, spacingMs: 60_000 });
    const submit = (input: number, patient = true) => batcher.submit(input, { patient });
    await submit(1);
    assert.deepEqual(lists.splice(0), [[1]], "after a silence");
    const together = [submit(2), submit(3)];
    await turn();
    assert.deepEqual(lists, []);
    t.mock.timers.tick(60_000);
    await Promise.all(together);
    assert.deepEqual(lists.splice(0), [[2, 3]], "after the spacing");
    await Promise.all([submit(4), submit(5), submit(6)]);
    assert.deepEqual(lists.splice(0), [[4, 5, 6]], "when full");
    await Promise.all([submit(7), submit(8, false)]);
    assert.deepEqual(lists.splice(0), [[7, 8]], "with who hurries");
    const last = submit(9);
    await turn();
    assert.deepEqual(lists, []);
    await batcher.drain();
    assert.equal(await last, 9);
    assert.deepEqual(lists, [[9]], "in the end");
  });

  it("refuses one entry without the others", async () => {
    const batcher = new Batcher<number, number>({
      name: "t",
      run: async (inputs) => inputs.map((input) => (input === 2 ? new Error("not 2") : input)),
    });
    const results = await Promise.allSettled([1, 2, 3].map((input) => batcher.submit(input)));
    assert.deepEqual(
      results.map((result) => result.status),
      ["fulfilled", "rejected", "fulfilled"],
    );
  });

  it("halves a list that the data of one entry spoils, and fails a list whose database is gone", async () => {
    const lists: number[][] = [];
    const batcher = new Batcher<number, number>({
      name: "t",
      run: async (inputs) => {
        lists.push(inputs);
        if (inputs.includes(6)) throw dataError("22003");
        if (inputs.includes(100)) throw dataError("57P01");
        return inputs;
      },
    });
    const results = await Promise.allSettled([1, 2, 3, 4, 5, 6, 7, 8].map((input) => batcher.submit(input)));
    assert.deepEqual(
      results.flatMap((result, index) => (result.status === "rejected" ? [index + 1] : [])),
      [6],
    );
    assert.equal(lists.length, 7);
    const gone = await Promise.allSettled([99, 100, 101].map((input) => batcher.submit(input)));
    assert.ok(gone.every((result) => result.status === "rejected" && result.reason.code === "57P01"));
    assert.equal(lists.length, 8);
  });

  it("fails the list when the answers do not fit it", async () => {
    const batcher = new Batcher<number, number>({ name: "t", run: async () => [1] });
    const results = await Promise.allSettled([batcher.submit(1), batcher.submit(2)]);
    assert.ok(results.every((result) => result.status === "rejected" && /answered 1 of 2/.test(String(result.reason))));
  });

  it("refuses with OVERLOADED and RetryInfo when too many wait", async () => {
    const { run, open } = stage<number>();
    const batcher = new Batcher({ name: "stock", run, maxWaiting: 2 });
    const first = batcher.submit(0);
    await turn();
    const waiting = [batcher.submit(1), batcher.submit(2)];
    await assert.rejects(batcher.submit(3), {
      reasonName: "OVERLOADED",
      metadata: { queue: "stock" },
      retryAfterMs: 50,
    });
    await open(0);
    await open(1);
    await Promise.all([first, ...waiting]);
  });

  it("takes out who gave up while waiting, and lets go on what was taken", async () => {
    const { lists, run, open } = stage<number>();
    const batcher = new Batcher({ name: "t", run });
    const taken = new AbortController();
    const first = batcher.submit(1, { signal: taken.signal });
    await turn();
    const leaving = new AbortController();
    const left = assert.rejects(batcher.submit(2, { signal: leaving.signal }), { code: Code.Canceled });
    const late = assert.rejects(batcher.submit(3, { deadline: Date.now() + 5 }), { code: Code.DeadlineExceeded });
    const timed = assert.rejects(batcher.submit(4, { signal: AbortSignal.timeout(1) }), {
      code: Code.DeadlineExceeded,
    });
    const inherited = runInContext({ deadline: Date.now() + 5 }, () =>
      assert.rejects(batcher.submit(5), { code: Code.DeadlineExceeded }),
    );
    leaving.abort();
    taken.abort();
    await Promise.all([left, late, timed, inherited]);
    const last = batcher.submit(6);
    await open(0);
    await open(1);
    assert.deepEqual(await Promise.all([first, last]), ["did 1", "did 6"]);
    assert.deepEqual(lists, [[1], [6]]);
    await assert.rejects(batcher.submit(7, { signal: leaving.signal }), { code: Code.Canceled });
  });

  it("keeps the order of one key when some of its entries give up", async () => {
    const { lists, run, open } = stage<string>();
    const batcher = new Batcher({ name: "t", run, keyOf: (input) => input[0] ?? "" });
    const leaving = new AbortController();
    const first = batcher.submit("a1");
    const left = assert.rejects(batcher.submit("a2", { signal: leaving.signal }), { code: Code.Canceled });
    const last = batcher.submit("a3");
    await turn();
    leaving.abort();
    await left;
    await open(0);
    await open(1);
    await Promise.all([first, last]);
    assert.deepEqual(lists, [["a1"], ["a3"]]);
  });

  it("does not run in the context of one of its callers", async () => {
    const storage = new AsyncLocalStorage<string>();
    const seen: (string | undefined)[] = [];
    const batcher = new Batcher({
      name: "t",
      run: async (inputs: number[]) => {
        seen.push(storage.getStore());
        return inputs;
      },
    });
    await storage.run("caller", () => batcher.submit(1));
    assert.deepEqual(seen, [undefined]);
  });

  it("drains: finishes what waits, refuses what comes", async () => {
    const { run, open } = stage<number>();
    const batcher = new Batcher({ name: "t", run });
    const first = batcher.submit(1);
    await turn();
    const second = batcher.submit(2);
    const drained = batcher.drain();
    await assert.rejects(batcher.submit(3), { reasonName: "UNAVAILABLE" });
    await open(0);
    await open(1);
    await drained;
    assert.deepEqual(await Promise.all([first, second]), ["did 1", "did 2"]);
    await new Batcher({ name: "idle", run }).drain();
  });

  it("answers everyone exactly once, whatever happens", async () => {
    for (let seed = 1; seed <= 60; seed += 1) await randomRound(seed);
  });
});

/** Random callers, keys, refusals, poison, cancellations and lanes; checks outcome, bounds, order and exclusion by key. */
async function randomRound(seed: number): Promise<void> {
  const random = generator(seed);
  const running = new Set<string>();
  const order = new Map<string, number>();
  interface Input {
    readonly id: number;
    readonly key: string;
    readonly fate: number;
  }
  const batcher = new Batcher<Input, number>({
    name: "random",
    lanes: 1 + Math.floor(random() * 3),
    maxEntries: 1 + Math.floor(random() * 9),
    maxWaiting: 150,
    keyOf: (input) => input.key,
    run: async (inputs) => {
      assert.equal(new Set(inputs.map((input) => input.key)).size, inputs.length);
      for (const { key } of inputs) assert.ok(!running.has(key), "one key runs twice at a time");
      for (const { key } of inputs) running.add(key);
      for (let turns = Math.floor(random() * 4); turns > 0; turns -= 1) await turn();
      for (const { key } of inputs) running.delete(key);
      if (inputs.some((input) => input.fate < 0.05)) throw dataError();
      for (const { id, key } of inputs) {
        assert.ok((order.get(key) ?? -1) < id, "one key runs out of order");
        order.set(key, id);
      }
      return inputs.map((input) => (input.fate < 0.2 ? new Error("refused") : input.id));
    },
  });
  const outcomes: Promise<void>[] = [];
  for (let id = 0; id < 200; id += 1) {
    const input = { id, key: `k${Math.floor(random() * 20)}`, fate: random() };
    const leaving = random() < 0.1 ? new AbortController() : undefined;
    const outcome = batcher.submit(input, leaving ? { signal: leaving.signal } : {}).then(
      (output) => assert.ok(output === id && input.fate >= 0.2),
      (error: Error & { reasonName?: string; code?: unknown }) => {
        if (error.reasonName === "OVERLOADED") return;
        if (error.code === Code.Canceled) return assert.ok(leaving);
        if (error.code === "23505") return assert.ok(input.fate < 0.05);
        assert.ok(error.message === "refused" && input.fate >= 0.05 && input.fate < 0.2, String(error));
      },
    );
    outcomes.push(outcome);
    if (random() < 0.2) await turn();
    leaving?.abort();
  }
  await Promise.all(outcomes);
  await batcher.drain();
  assert.equal(batcher.waiting, 0);
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
