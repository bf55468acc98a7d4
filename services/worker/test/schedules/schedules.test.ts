// Schedules, with a real Temporal and the command line that people have for it. Several of these are what others met: an update that
// undoes a pause, one that is no change and yet takes away the next run, a year's runs made up for at once, two workers at once.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, afterEach, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { Code, ConnectError } from "@connectrpc/connect";
import { Client, ScheduleNotFoundError } from "@temporalio/client";
import type { TestWorkflowEnvironment } from "@temporalio/testing";
import type { Worker } from "@temporalio/worker";
import { Registry } from "prom-client";
import { keptLog } from "#testing/logger.ts";
import { until } from "#testing/until.ts";
import { tool } from "../../../../dev/tools/tool.ts";
import { TemporalCalls } from "../../src/api/temporal-calls.ts";
import { ScheduleKeeper, type ScheduleKeeperOptions, scheduleIdOf } from "../../src/schedules/schedule-keeper.ts";
import { type ScheduleSpec, scheduleNames, scheduleTable } from "../../src/schedules/schedule-table.ts";
import { dataConverter } from "../stage/encryption.ts";
import { localEnvironment, taskQueue, workerFor } from "../stage/harness.ts";
import { patient } from "../stage/stage.ts";
import { World } from "../world/world.ts";

const run = promisify(execFile);
const hour = 3_600_000;
const id = scheduleIdOf("expire-holds", taskQueue);
/** Runs only when it is told to. */
const rare: ScheduleSpec = { ...scheduleTable["expire-holds"], everyMs: 24 * hour, note: "as declared" };

let environment: TestWorkflowEnvironment;
let client: Client;
let worker: Worker;
let running: Promise<void>;
let temporal: string;
const world = new World();
before(async () => {
  environment = await localEnvironment();
  client = new Client({ connection: environment.nativeConnection, dataConverter });
  worker = await workerFor(environment, world);
  running = worker.run();
  temporal = await tool("temporal");
});
after(async () => {
  worker?.shutdown();
  await running;
  await environment?.teardown();
});
afterEach(async () => {
  world.expire = () => ({ orders: 0, more: false });
  // A list may not have what was just made, and have what is just gone.
  for (const scheduleId of new Set([
    ...scheduleNames.map((name) => scheduleIdOf(name, taskQueue)),
    ...(await listed()),
  ])) {
    const deletion = client.schedule.getHandle(scheduleId).delete();
    await deletion.catch((error: unknown) => assert.ok(error instanceof ScheduleNotFoundError, String(error)));
  }
  await until(async () => (await listed()).length === 0, "no schedules are listed", patient);
});

async function listed(): Promise<string[]> {
  const ids: string[] = [];
  for await (const { scheduleId } of client.schedule.list()) ids.push(scheduleId);
  return ids.sort();
}

/** What somebody at the command line is told. */
async function cli(...given: string[]): Promise<string> {
  const { stdout } = await run(temporal, ["schedule", ...given, "--address", environment.address, "--color", "never"]);
  return stdout;
}

function keeper(options: Partial<ScheduleKeeperOptions> = {}) {
  const { logger, text } = keptLog("worker");
  const registry = new Registry();
  const made = new ScheduleKeeper({
    calls: new TemporalCalls(client, 10_000),
    taskQueue,
    off: new Set(),
    mayChange: async () => true,
    registry,
    log: logger,
    table: { "expire-holds": rare },
    ...options,
  });
  const metric = async (name: string) => (await registry.getSingleMetric(name)?.get())?.values[0]?.value;
  return { keep: () => made.keep(), keeper: made, log: text, metric };
}

async function updates(): Promise<Date | undefined> {
  return (await client.schedule.getHandle(id).describe()).info.lastUpdatedAt;
}

describe("the schedules that are declared", () => {
  it("are made as they are declared, and not touched again", async () => {
    await keeper({ table: scheduleTable }).keep();
    for (const name of scheduleNames) {
      const spec: ScheduleSpec = scheduleTable[name];
      const found = await client.schedule.getHandle(scheduleIdOf(name, taskQueue)).describe();
      assert.deepEqual(
        [found.spec.intervals, found.spec.jitter],
        [[{ every: spec.everyMs, offset: undefined }], spec.jitterMs],
      );
      const { overlap, catchupWindow, pauseOnFailure } = found.policies;
      assert.deepEqual([overlap, catchupWindow, pauseOnFailure], ["SKIP", spec.catchupMs, false]);
      assert.equal(found.state.note, spec.note);
      assert.equal(found.action.workflowType, spec.workflow);
      assert.equal(found.action.taskQueue, taskQueue);
      assert.equal(found.action.workflowExecutionTimeout, spec.deadlineMs);
      assert.ok(spec.deadlineMs <= spec.everyMs, "a run ends before the next one begins");
      assert.ok(spec.jitterMs < spec.everyMs && spec.catchupMs <= spec.everyMs);
    }
    const { keep, log } = keeper({ table: scheduleTable });
    await keep();
    // An update to the very same would take away a run that is due within its jitter.
    assert.equal(await updates(), undefined);
    assert.equal(log(), "");
  });

  it("are made once, however many workers see that they are missing", async () => {
    const keepers = Array.from({ length: 5 }, () => keeper());
    await Promise.all(keepers.map(({ keep }) => keep()));
    assert.equal(keepers.filter(({ log }) => log().includes("was made")).length, 1);
    assert.equal(await updates(), undefined);
  });

  it("are set right when they differ, and stay paused, with what was noted", async () => {
    await keeper().keep();
    await cli("toggle", "--schedule-id", id, "--pause", "--reason", "stocktaking, back on Monday");
    await keeper({ table: { "expire-holds": { ...rare, everyMs: 12 * hour } } }).keep();
    const { spec, state } = await client.schedule.getHandle(id).describe();
    assert.equal(spec.intervals?.[0]?.every, 12 * hour);
    assert.deepEqual([state.paused, state.note], [true, "stocktaking, back on Monday"]);
  });

  it("are set right when somebody has changed them by hand", async () => {
    await keeper().keep();
    await cli(
      "update",
      "--schedule-id",
      id,
      "--interval",
      "1m",
      "--task-queue",
      "elsewhere",
      "--type",
      "expireHolds",
      "--workflow-id",
      "w",
    );
    await keeper().keep();
    const { spec, action } = await client.schedule.getHandle(id).describe();
    assert.deepEqual([spec.intervals?.[0]?.every, action.taskQueue], [24 * hour, taskQueue]);
  });

  it("keep a pause that comes while they are set right", async () => {
    await keeper().keep();
    const calls = new TemporalCalls(client, 10_000);
    const { workflowService } = client;
    let meddled = false;
    const meddling = Object.create(client) as Client;
    Object.defineProperty(meddling, "workflowService", {
      value: new Proxy(workflowService, {
        get: (target, name) => {
          if (name !== "updateSchedule" || meddled) return Reflect.get(target, name);
          return async (request: never) => {
            meddled = true;
            await client.schedule.getHandle(id).pause("just now");
            return target.updateSchedule(request);
          };
        },
      }),
    });
    Object.defineProperty(calls, "client", { value: meddling });
    await keeper({ calls, table: { "expire-holds": { ...rare, everyMs: hour } } }).keep();
    const { spec, state } = await client.schedule.getHandle(id).describe();
    assert.deepEqual([meddled, spec.intervals?.[0]?.every, state.paused, state.note], [true, hour, true, "just now"]);
  });

  it("are taken away when they are not declared any more, or switched off; those of others are left alone", async () => {
    const action = { type: "startWorkflow", workflowType: "theirs", taskQueue } as const;
    await client.schedule.create({ scheduleId: "theirs", spec: { intervals: [{ every: "1 day" }] }, action });
    await keeper({ table: { "expire-holds": rare, former: rare } }).keep();
    await keeper({ table: { "expire-holds": rare }, taskQueue: "another" }).keep();
    const all = [id, scheduleIdOf("expire-holds", "another"), scheduleIdOf("former", taskQueue), "theirs"].sort();
    await until(async () => (await listed()).length === all.length, "all are listed", patient);
    assert.deepEqual(await listed(), all);
    await keeper().keep();
    await until(async () => (await listed()).length === 3, "the former one is gone", patient);
    await keeper({ off: new Set(["expire-holds"]) }).keep();
    await until(async () => (await listed()).length === 2, "none is there", patient);
    assert.deepEqual(await listed(), [scheduleIdOf("expire-holds", "another"), "theirs"]);
  });

  it("are not made of a schedule that somebody else has under the same name", async () => {
    const action = { type: "startWorkflow", workflowType: "theirs", taskQueue } as const;
    await client.schedule.create({ scheduleId: id, spec: { intervals: [{ every: "1 day" }] }, action });
    await assert.rejects(keeper().keep(), /there is a schedule expire-holds:test that no worker made/);
    assert.equal((await client.schedule.getHandle(id).describe()).action.workflowType, "theirs");
  });

  it("are left alone by a version of the worker that is not the current one", async () => {
    await keeper({ mayChange: async () => false }).keep();
    const handle = client.schedule.getHandle(id);
    await assert.rejects(handle.describe(), ScheduleNotFoundError);
    await keeper().keep();
    await keeper({ mayChange: async () => false, table: {} }).keep();
    assert.equal((await handle.describe()).scheduleId, id);
  });
});

describe("a run", () => {
  it("does all that there is to do, is seen and triggered at the command line, and counts as a success", async () => {
    const { keep, metric } = keeper();
    await keep();
    const made = (await metric("worker_schedule_last_success_seconds")) ?? 0;
    assert.equal(await metric("worker_schedule_paused"), 0);
    const rounds = [
      { orders: 256, more: true },
      { orders: 44, more: false },
    ];
    let asked = 0;
    world.expire = () => rounds[asked++] ?? { orders: 0, more: false };
    await until(async () => (await cli("list")).includes(id), "it is listed", patient);
    await cli("trigger", "--schedule-id", id);
    const ended = async () => {
      const { info } = await client.schedule.getHandle(id).describe();
      const [last] = info.recentActions;
      return last && info.runningActions.length === 0 ? last.action.workflow : undefined;
    };
    const { workflowId } = await until(ended, "the run has ended", patient);
    assert.match(workflowId, /^expire-holds:test-/);
    assert.deepEqual(await client.workflow.getHandle(workflowId).result(), { handled: 300 });
    assert.equal(asked, 2);
    const described = await cli("describe", "--schedule-id", id);
    for (const text of [id, "expireHolds", "as declared", "Skip"]) assert.ok(described.includes(text), described);
    const later = async () => {
      await keep();
      return ((await metric("worker_schedule_last_success_seconds")) ?? 0) > made;
    };
    await until(later, "it is seen to have succeeded", patient);
  });

  it("that is told to begin beside another one does no harm, and one that is due is left out", async () => {
    await keeper().keep();
    const gate = Promise.withResolvers<{ orders: number; more: boolean }>();
    let asked = 0;
    world.expire = () => {
      asked++;
      return gate.promise;
    };
    await cli("trigger", "--schedule-id", id);
    await until(() => asked === 1, "it runs", patient);
    await cli("trigger", "--schedule-id", id, "--overlap-policy", "Skip");
    const skipped = async () => (await client.schedule.getHandle(id).describe()).info.numActionsSkippedOverlap === 1;
    await until(skipped, "the second one is left out", patient);
    // Temporal names a run by the second: of two in the same one, it begins the first alone.
    const second = Math.floor(Date.now() / 1_000);
    await until(() => Math.floor(Date.now() / 1_000) > second, "a second is over", patient);
    await cli("trigger", "--schedule-id", id, "--overlap-policy", "AllowAll");
    await until(() => asked === 2, "the third one runs beside it", patient);
    const query = `TemporalScheduledById = "${id}" AND ExecutionStatus = "Running"`;
    const beside = async () => (await client.workflow.count(query)).count === 2;
    await until(beside, "both run", patient);
    gate.resolve({ orders: 0, more: false });
  });

  it("is tried again while the service is away, and fails for good when it refuses", async () => {
    await keeper().keep();
    let asked = 0;
    world.expire = () => {
      asked++;
      if (asked === 1) throw new ConnectError("away", Code.Unavailable);
      throw new ConnectError("not to you", Code.PermissionDenied);
    };
    await cli("trigger", "--schedule-id", id);
    const failed = async () => {
      const query = `TemporalScheduledById = "${id}" AND ExecutionStatus = "Failed"`;
      for await (const execution of client.workflow.list({ query })) return execution;
      return undefined;
    };
    await until(failed, "it has failed", patient);
    assert.equal(asked, 2);
    // It is not paused by that: the next run may do better.
    assert.equal((await client.schedule.getHandle(id).describe()).state.paused, false);
  });

  it("is not made up for, when it is long over", async () => {
    await keeper({ table: { "expire-holds": { ...rare, everyMs: 1_000, jitterMs: 0, catchupMs: 10_000 } } }).keep();
    const taken = async () => (await client.schedule.getHandle(id).describe()).info.numActionsTaken;
    await until(async () => (await taken()) >= 1, "it runs by itself", patient);
    await cli("toggle", "--schedule-id", id, "--pause");
    const before = await taken();
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    assert.ok((await taken()) <= before + 1);
  });
});

it("a worker that may not keep schedules says what to do, and goes on", async () => {
  const [permissionDenied] = [7];
  const refusing = {
    options: { namespace: "shop", identity: "worker" },
    withDeadline: (_: number, call: () => unknown) => call(),
    workflowService: {
      async describeSchedule() {
        throw Object.assign(new Error("no"), { code: permissionDenied, details: "no", metadata: {} });
      },
    },
  } as unknown as Client;
  const { keeper: made, log } = keeper({ calls: new TemporalCalls(refusing, 1_000) });
  made.start();
  await until(() => log().includes("SCHEDULES_OFF=all"), "it says so", patient);
  assert.match(log(), /Temporal refuses to let this worker keep schedules in the namespace shop/);
  await made.stop();
});
