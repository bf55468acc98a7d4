import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import pg from "pg";
import { until } from "#testing/until.ts";
import { StackError } from "../../errors.ts";
import { isAlive, patient, see } from "../../testing/processes.ts";
import { freePorts } from "../free-ports.ts";
import { removeData } from "../postgres.ts";
import { Stack } from "../stack.ts";

async function scalar(url: string, sql: string): Promise<unknown> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const { rows } = await client.query<{ value: unknown }>(sql);
    return rows[0]?.value;
  } finally {
    await client.end();
  }
}

describe("a stack", () => {
  let dataDirectory: string;
  before(() => {
    // Not to be entered by others, like many a home: PostgreSQL must come up as another user when we are root.
    dataDirectory = mkdtempSync(join(tmpdir(), "ordermesh-test-"));
  });
  after(() => removeData(dataDirectory));

  test("starts, keeps its data over a stop, and leaves no process", async () => {
    const first = await Stack.start({ dataDirectory, ports: await freePorts(), components: ["postgres"] });
    const process = see(first.pid("postgres"));
    await scalar(first.databaseUrl("postgres"), "create table kept as select 42 as value");
    await first.stop();
    assert.equal(isAlive(process), false);

    await using second = await Stack.start({
      dataDirectory,
      ports: await freePorts(),
      components: ["postgres", "temporal"],
    });
    assert.equal(await scalar(second.databaseUrl("postgres"), "select value from kept"), 42);
    assert.ok(second.pid("temporal"));
  });

  test("refuses to run twice from the same folder, in one sentence", async () => {
    await using _running = await Stack.start({
      dataDirectory,
      ports: await freePorts(),
      components: ["postgres"],
    });
    const again = Stack.start({ dataDirectory, ports: await freePorts(), components: ["postgres"] });
    await assert.rejects(
      again,
      (error: Error) => error instanceof StackError && /already runs from .* process \d+/.test(error.message),
    );
  });

  test("names a port in use, who uses it and a way out, and leaves nothing behind", async () => {
    const ports = await freePorts();
    const { temporal } = ports;
    const intruder = createServer().listen(temporal, "127.0.0.1");
    try {
      await assert.rejects(
        Stack.start({ dataDirectory, ports, components: ["postgres", "temporal"] }),
        (error: Error) => {
          assert.match(error.message, new RegExp(`^Port ${temporal} \\(Temporal\\).* is in use: .*--port-offset`));
          return error instanceof StackError;
        },
      );
    } finally {
      intruder.close();
    }
    await using _fine = await Stack.start({ dataDirectory, ports, components: ["postgres"] });
  });

  test("says which component ended while it started, with its last words", async () => {
    const failing = Stack.start({
      dataDirectory,
      ports: await freePorts(),
      components: ["postgres"],
      postgresSettings: ["shared_buffers=nonsense"],
    });
    await assert.rejects(failing, /postgres ended with code 1; its last line: .*shared_buffers/);
  });
});

describe("a component that dies", () => {
  test("is started again a bounded number of times, then the stack gives up with a sentence", async () => {
    const said: string[] = [];
    await using stack = await Stack.start({
      ports: await freePorts(),
      components: ["postgres"],
      say: (sentence) => said.push(sentence),
    });
    let failure: StackError | undefined;
    void stack.failed.then((error) => {
      failure = error;
    });
    for (let kills = 0; kills < 6; kills += 1) {
      await stack.ready("postgres");
      const victim = see(stack.pid("postgres"));
      stack.kill("postgres");
      const isGone = () => !isAlive(victim) && stack.pid("postgres") !== victim.pid;
      await until(isGone, "the end of the process", patient);
    }
    await until(() => failure !== undefined, "giving up", patient);
    assert.match(failure?.message ?? "", /^postgres ended by SIGKILL.*restarted 5 times within a minute; giving up\.$/);
    assert.equal(said.filter((sentence) => sentence.includes("Starting it again")).length, 5);
  });

  test("stays down when restarts are off, until it is restarted by hand", async () => {
    await using stack = await Stack.start({
      ports: await freePorts(),
      components: ["postgres"],
      restart: false,
    });
    stack.kill("postgres");
    await until(() => stack.pid("postgres") === undefined, "the end of the process", patient);
    await stack.restart("postgres");
    assert.equal(await scalar(stack.databaseUrl("postgres"), "select 1 as value"), 1);
  });
});
