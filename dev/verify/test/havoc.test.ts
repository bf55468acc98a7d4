import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { until } from "#testing/until.ts";
import type { Stack } from "../../stack/stack.ts";
import type { Fault } from "../faults.ts";
import { Havoc } from "../havoc.ts";

const away = (atMs: number, forMs: number): Fault => ({
  kind: "outage",
  victim: "payments",
  takes: ["payments"],
  atMs,
  forMs,
  by: 0,
});

/** Havoc on a stack of which only is seen what is taken down and brought back. */
function havocOn(restart: () => Promise<void>): { havoc: Havoc; seen: string[] } {
  const seen: string[] = [];
  const stack: Partial<Stack> = {
    address: () => "127.0.0.1:1",
    databaseUrl: () => "postgres://nobody@127.0.0.1:1/none",
    takeDown: async (member) => void seen.push(`${member} goes`),
    restart: async (member) => {
      await restart();
      seen.push(`${member} is back`);
    },
  };
  return { havoc: new Havoc(stack as Stack), seen };
}

describe("a campaign that is stopped", () => {
  test("brings back what is away, and takes nothing more away", async () => {
    const { havoc, seen } = havocOn(async () => undefined);
    const stop = new AbortController();
    const wreaked = havoc.wreak([away(0, 200), away(0, 0), away(60_000, 0)], stop.signal);
    await until(() => seen.length > 0, "the first is away", { deadlineMs: 5_000, everyMs: 1 });
    stop.abort();
    await wreaked;
    assert.deepEqual(seen, ["payments goes", "payments is back"]);
    assert.equal(havoc.done.get("outage"), 1);
  });

  test("says what does not come back", async () => {
    const gone = new Error("it does not start");
    const { havoc, seen } = havocOn(() => Promise.reject(gone));
    const stop = new AbortController();
    const wreaked = havoc.wreak([away(0, 200), away(60_000, 0)], stop.signal);
    await until(() => seen.length > 0, "the first is away", { deadlineMs: 5_000, everyMs: 1 });
    stop.abort();
    await assert.rejects(wreaked, gone);
  });
});
