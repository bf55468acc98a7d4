import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import pg from "pg";
import { isAlive, see } from "../../testing/processes.ts";
import { freePorts } from "../free-ports.ts";
import { removeData } from "../postgres.ts";
import { Stack } from "../stack.ts";
import { temporalFolder, temporalStoreUrl } from "../temporal-server.ts";

/** The search attributes that a namespace has, by the name of the namespace. */
async function namespaces(stack: Stack): Promise<Map<string, string>> {
  const client = new pg.Client({ connectionString: temporalStoreUrl(stack.blueprint, "temporal") });
  await client.connect();
  try {
    const { rows } = await client.query<{ name: string; data: Buffer }>("select name, data from namespaces");
    return new Map(rows.map(({ name, data }) => [name, data.toString("latin1")]));
  } finally {
    await client.end();
  }
}

test("Temporal's server keeps what it knows in a PostgreSQL of its own, over kills and stops", async () => {
  const dataDirectory = mkdtempSync(join(tmpdir(), "ordermesh-test-"));
  const start = async () =>
    Stack.start({ dataDirectory, ports: await freePorts(), components: ["temporal"], temporal: "postgres" });
  try {
    const first = await start();
    const processes = first.pids("temporal").map(see);
    assert.equal(processes.length, 2, "the server and its PostgreSQL");
    const made = (await namespaces(first)).get("default") ?? "";
    for (const attribute of ["OrderIds", "CustomerIds", "ParkedOrderIds"]) assert.ok(made.includes(attribute));
    first.kill("temporal");
    await first.ready("temporal");
    await first.stop();
    assert.deepEqual(processes.map(isAlive), [false, false]);

    await using second = await start();
    assert.equal((await namespaces(second)).get("default"), made);
  } finally {
    removeData(temporalFolder({ dataDirectory }));
    removeData(dataDirectory);
  }
});
