import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, test } from "node:test";
import { until } from "#testing/until.ts";
import type { Ledger } from "../../process/guard-protocol.ts";
import { identityOf } from "../../process/identity.ts";
import { ledgerFile } from "../../process/leftovers.ts";
import { isAlive, patient, type Seen, see } from "../../testing/processes.ts";
import { freePorts } from "../free-ports.ts";
import type { Ports } from "../layout.ts";
import { removeData } from "../postgres.ts";
import { Stack } from "../stack.ts";

/** A stack in a process of its own, with everything that runs for it. */
interface Victim {
  readonly child: ChildProcess;
  readonly guard: Seen;
  readonly programs: readonly Seen[];
}

async function startVictim(dataDirectory: string, ports: Ports): Promise<Victim> {
  const script = join(import.meta.dirname, "stack-process.ts");
  const child = spawn(process.execPath, [script, dataDirectory, JSON.stringify(ports)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
  const { postgres, temporal } = JSON.parse(line) as { postgres: number; temporal: number };
  const ledger = JSON.parse(readFileSync(ledgerFile(dataDirectory), "utf8")) as Ledger;
  return { child, guard: see(ledger.guard.pid), programs: [see(postgres), see(temporal)] };
}

describe("no orphans", () => {
  let dataDirectory: string;
  let ports: Ports;
  before(async () => {
    dataDirectory = mkdtempSync(join(tmpdir(), "ordermesh-test-"));
    ports = await freePorts();
  });
  after(() => removeData(dataDirectory));

  test("kill -9 of the stack's process ends everything it started", async () => {
    const { child, guard, programs } = await startVictim(dataDirectory, ports);
    child.kill("SIGKILL");
    await until(() => ![guard, ...programs].some(isAlive), "the end of all", patient);
  });

  test("a new start right after kill -9 waits for the old programs to end and takes over their data", async () => {
    const { child, programs } = await startVictim(dataDirectory, ports);
    child.kill("SIGKILL");
    await using stack = await Stack.start({ dataDirectory, ports, components: ["postgres", "temporal"] });
    assert.deepEqual(programs.filter(isAlive), []);
    assert.ok(stack.pid("temporal"));
  });

  test("what even the guard could not end is ended by the next start", async () => {
    const { child, guard, programs } = await startVictim(dataDirectory, ports);
    process.kill(guard.pid, "SIGKILL");
    child.kill("SIGKILL");
    // The stack's process may have noticed the guard's end and killed the programs in the instant it had.
    await once(child, "exit");
    await using _stack = await Stack.start({ dataDirectory, ports, components: ["postgres"] });
    assert.deepEqual(programs.filter(isAlive), []);
  });

  test("kill -9 of the guard alone ends its programs and tells the stack", async () => {
    await using stack = await Stack.start({ dataDirectory, ports, components: ["postgres"] });
    const postgres = see(stack.pid("postgres"));
    const ledger = JSON.parse(readFileSync(ledgerFile(dataDirectory), "utf8")) as Ledger;
    process.kill(ledger.guard.pid, "SIGKILL");
    assert.match((await stack.failed).message, /guard process was killed/);
    await until(() => !isAlive(postgres), "the end of PostgreSQL", patient);
  });

  test("a process that has got an old number since is left alone", async () => {
    const bystander = spawn("sleep", ["60"]);
    try {
      const life = { name: "postgres", pid: bystander.pid ?? 0, started: "1" };
      writeFileSync(ledgerFile(dataDirectory), JSON.stringify({ owner: life, guard: life, programs: [life] }));
      await using _stack = await Stack.start({ dataDirectory, ports, components: ["postgres"] });
      assert.ok(identityOf(life.pid));
    } finally {
      bystander.kill("SIGKILL");
    }
  });
});
