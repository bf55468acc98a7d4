import { CancellationScope, isCancellation, proxyActivities, sleep } from "@temporalio/workflow";
import { BatchCalls } from "../../src/workflows/engine/batch-calls.ts";
import { Coalescer, maxBatchLength } from "../../src/workflows/engine/coalesce.ts";
import { Compensated, StepAway, StepRefused } from "../../src/workflows/engine/failures.ts";
import { isLocalCallRunning, LocalCalls } from "../../src/workflows/engine/local-calls.ts";
import { episodeOptionsBy } from "../../src/workflows/engine/options.ts";
import { nothing, type SagaBody, type SagaSubject, saga, together } from "../../src/workflows/engine/saga.ts";
import type { Outcome } from "../../src/workflows/engine/step-batch.ts";

const { double } = proxyActivities<{ double(numbers: number[]): Promise<Outcome<number>[]> }>({
  startToCloseTimeout: "5s",
  retry: { maximumAttempts: 1 },
});

/** A coalescing call and the sizes of the batches that it made. */
function doubling() {
  const sizes: number[] = [];
  const call = (numbers: number[]) => {
    sizes.push(numbers.length);
    return double(numbers);
  };
  return { sizes, calls: new Coalescer(() => ({ batch: call, part: call, callee: "doubler", decider: "doubler" })) };
}

/** Callers at different depths of one activation. */
export async function depths(): Promise<{ outputs: number[]; sizes: number[] }> {
  const { calls, sizes } = doubling();
  const outputs = await Promise.all(
    [0, 1, 7, 40].map(async (depth) => {
      for (let level = 0; level < depth; level++) await Promise.resolve();
      return calls.ask(depth);
    }),
  );
  return { outputs, sizes };
}

interface FailingSteps {
  usual: { input: { orderId: string }; output: null };
  stubborn: { input: { orderId: string }; output: null };
}

/** Two steps that always fail: one is tried as often as the options say, the other as often as its row says. */
export async function ownAttempts(): Promise<string[]> {
  const steps = { usual: { callee: "usual" }, stubborn: { callee: "stubborn", attempts: 5 } } as const;
  const options = { ...episodeOptionsBy(({ standard }) => standard), attempts: 3, firstRetryMs: 1, maxRetryMs: 1 };
  const calls = new BatchCalls<FailingSteps>(steps, options, []);
  const asked = [calls.of("usual"), calls.of("stubborn")].map((call) => call.ask({ orderId: "one" }));
  const settled = await Promise.allSettled(asked);
  return settled.map(({ status }) => status);
}

/** More callers than a batch takes. */
export async function crowd(size: number): Promise<{ sum: number; sizes: number[] }> {
  const { calls, sizes } = doubling();
  const outputs = await Promise.all(Array.from({ length: size }, (_, index) => calls.ask(index)));
  return { sum: outputs.reduce((sum, output) => sum + output, 0), sizes };
}

/** Entries of which three are too much for one batch, and one that is too much by itself. */
export async function heavyCrowd(): Promise<number[]> {
  const sizes: number[] = [];
  const call = async (texts: string[]) => {
    sizes.push(texts.length);
    return texts.map(() => ({ kind: "done", value: null }) as const);
  };
  const calls = new Coalescer(() => ({ batch: call, part: call, callee: "carrier", decider: "carrier", bulky: true }));
  const heavy = "x".repeat(maxBatchLength * 0.4);
  const asked = [heavy, heavy, heavy, "light", "y".repeat(maxBatchLength), heavy, "light"];
  await Promise.all(asked.map((text) => calls.ask(text)));
  return sizes;
}

/** One caller is cancelled before its batch goes out, one after it had its answer; the third does not notice. */
export async function cancelledCallers(): Promise<{ outcomes: string[]; sizes: number[] }> {
  const { calls, sizes } = doubling();
  const [early, late] = [new CancellationScope(), new CancellationScope()];
  const asked = Promise.allSettled([early.run(() => calls.ask(1)), late.run(() => calls.ask(2)), calls.ask(3)]);
  early.cancel();
  await sleep(1);
  late.cancel();
  const settled = await asked;
  return {
    outcomes: settled.map((result) => {
      if (result.status === "fulfilled") return String(result.value);
      return isCancellation(result.reason) ? "cancelled" : String(result.reason);
    }),
    sizes,
  };
}

/** Keeps a log of what a saga does. */
function logging(log: string[], decided: { resolved?: string } = {}): SagaSubject {
  return {
    note: (step, status) => log.push(`${step} ${status}`),
    again: () => 0,
    isResolved: (step) => decided.resolved === step,
    staysParked: () => false,
    park: (step, { reason }) => log.push(`${step} waits: ${reason}`),
    awaits: (whom) => log.push(`waits for ${whom}`),
    calledInvalid: () => 1,
    compensating: () => log.push("compensating"),
  };
}

const refusal = { reason: "NO", message: "", domain: "", metadata: {} };
const does = (name: string) => ({ name: () => name, ask: () => sleep(1) });
const refused = (name: string) => ({ name: () => name, ask: () => Promise.reject(new StepRefused(refusal)) });
const away = (name: string) => ({ name: () => name, ask: () => Promise.reject(new StepAway("them", "away")) });

/** A saga whose third step is refused after it was cancelled; its undos take time. */
export async function undoing(): Promise<string[]> {
  const log: string[] = [];
  const scope = new CancellationScope();
  const run = scope.run(() =>
    saga(logging(log), async ({ step }) => {
      await step(does("one"), does("undo one"), null);
      await together([
        step(does("two"), does("undo two"), null),
        step(refused("refused"), does("undo refused"), null),
        step(does("three"), nothing, null),
      ]);
    }),
  );
  await run.catch((error) => log.push(error instanceof Compensated ? "all is undone" : String(error)));
  scope.cancel();
  return log;
}

/** Sagas that rest: a step that is away, one that is parked, an undo that is parked, and one that was resolved. */
export async function resting(): Promise<string[][]> {
  const bodies: ((body: SagaBody) => Promise<unknown>)[] = [
    ({ step }) => step(away("one"), does("undo one"), null),
    ({ forward }) => forward(refused("one"), does("undo one"), null),
    async ({ step }) => {
      await step(does("one"), refused("undo one"), null);
      await step(refused("two"), does("undo two"), null);
    },
    ({ forward }) => forward({ ...refused("resolved"), resolved: () => undefined }, nothing, null),
  ];
  return await Promise.all(
    bodies.map(async (body) => {
      const log: string[] = [];
      const ends = saga(logging(log, { resolved: "resolved" }), body).then(() => "done");
      log.push(await ends.catch((error: Error) => error.name));
      return log;
    }),
  );
}

/** Waits for ever. */
export async function waits(): Promise<void> {
  await new Promise(() => undefined);
}

/** Does not come to rest. */
export async function spins(): Promise<void> {
  for (;;);
}

/** Whether it sees a local activity of its own, which does not end before it does. */
export async function asksLocally(): Promise<boolean> {
  const never = () => new Promise<never>(() => undefined);
  const calls = new LocalCalls({ stepTimeoutMs: 1_000, firstRetryMs: 1 });
  void calls.orRemote(never, never, never)([]);
  await sleep(1);
  return isLocalCallRunning();
}

/** Whether it sees a local activity that another workflow of its thread has asked for. */
export async function seesLocalCall(): Promise<boolean> {
  return isLocalCallRunning();
}
