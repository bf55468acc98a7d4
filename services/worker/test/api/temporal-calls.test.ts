import assert from "node:assert/strict";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { after, before, describe, test } from "node:test";
import { Code } from "@connectrpc/connect";
import { Client } from "@temporalio/client";
import { NativeConnection } from "@temporalio/worker";
import { defineUpdate } from "@temporalio/workflow";
import { toConnectError } from "#platform/errors.ts";
import { newId } from "#platform/id.ts";
import { until } from "#testing/until.ts";
import { TemporalCalls } from "../../src/api/temporal-calls.ts";
import { taskQueue } from "../stage/harness.ts";
import { patient, Stage } from "../stage/stage.ts";

const definition = defineUpdate<void, [object]>("anything");

/** What stands between a client and Temporal. */
class Way implements Disposable {
  /** What becomes of what the client sends. */
  mode: "open" | "breaks" | "silent" = "open";
  readonly #sockets = new Set<Socket>();
  readonly #server;

  constructor(port: number) {
    this.#server = createServer((client) => {
      const server = connect(port, "127.0.0.1");
      for (const socket of [client, server]) {
        this.#sockets.add(socket);
        socket.on("error", () => undefined);
      }
      client.on("data", (chunk) => {
        if (this.mode === "open") server.write(chunk);
        else if (this.mode === "breaks") client.resetAndDestroy();
      });
      server.on("data", (chunk) => client.write(chunk));
      client.on("close", () => server.destroy());
    });
  }

  async address(): Promise<string> {
    await once(this.#server.listen(0, "127.0.0.1"), "listening");
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  [Symbol.dispose](): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
  }
}

/** A workflow that cannot read its input: its task fails again and again. */
const stuck = { orders: null } as never;
/** How often it has failed when Temporal says so to whoever has an update for it. */
const failures = 3;

test("a workflow whose task fails is one that takes no update now", async () => {
  const stage = await Stage.open();
  try {
    const { client } = stage.environment;
    const options = { taskQueue, workflowId: newId(), args: [stuck] };
    const handle = await client.workflow.start("carryOrders", options);
    const attempts = async () => (await handle.describe()).raw.pendingWorkflowTask?.attempt ?? 0;
    await until(async () => (await attempts()) >= failures, "the task has failed", patient);
    const calls = new TemporalCalls(client, 1_000);
    const update = calls.update(handle.workflowId, { definition, request: {}, requestId: "stuck" });
    await assert.rejects(update, (error) => {
      assert.equal(toConnectError(error).code, Code.Unavailable, String(error));
      return true;
    });
    await handle.terminate();
  } finally {
    await stage.close();
  }
});

describe("Temporal, asked over a way that", () => {
  let stage: Stage;
  before(async () => {
    stage = await Stage.open();
  });
  after(() => stage.close());

  for (const mode of ["breaks", "silent"] as const) {
    test(`${mode}: is away, and known to be so in time`, async () => {
      using way = new Way(Number(stage.environment.address.split(":").at(-1)));
      const connection = await NativeConnection.connect({ address: await way.address() });
      way.mode = mode;
      const calls = new TemporalCalls(new Client({ connection }), 60_000);
      const hasty = new TemporalCalls(calls.client, 300);
      const update = { definition, request: {}, requestId: mode };
      const begin = performance.now();
      const refusals = [hasty.update("nobody", update), ...(mode === "breaks" ? [calls.update("nobody", update)] : [])];
      const [first = Number.NaN] = await Promise.all(
        refusals.map(async (refusal) => {
          await assert.rejects(refusal, (error) => {
            assert.equal(toConnectError(error).code, Code.Unavailable, String(error));
            return true;
          });
          return performance.now() - begin;
        }),
      );
      assert.ok(first < 3_000, `${first} ms`);
      way.mode = "open";
      await connection.close();
    });
  }
});
