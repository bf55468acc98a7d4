import assert from "node:assert/strict";
import { randomInt } from "node:crypto";
import { mkdtempSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { until } from "#testing/until.ts";
import type { Ledger } from "../../process/guard-protocol.ts";
import { ledgerFile } from "../../process/leftovers.ts";
import { maxPortOffset, portsAt, portsOf } from "../../stack/layout.ts";
import { removeData } from "../../stack/postgres.ts";
import { Command } from "../../testing/command.ts";
import { isAlive, patient, see } from "../../testing/processes.ts";

/** Moves PostgreSQL's port, which is needed twice, beyond those that Linux gives to outgoing connections. */
const beyondOutgoing = randomInt(6_000, maxPortOffset);

describe("npm start", () => {
  let args: string[];
  let dataDirectory: string;
  before(() => {
    dataDirectory = mkdtempSync(join(tmpdir(), "ordermesh-test-"));
    args = ["--only", "postgres", "--data", dataDirectory, "--port-offset", String(beyondOutgoing)];
  });
  after(() => removeData(dataDirectory));

  const ledger = () => JSON.parse(readFileSync(ledgerFile(dataDirectory), "utf8")) as Ledger;
  const livesOf = ({ guard, programs, owner }: Ledger) => [guard, owner, ...programs].map(({ pid }) => see(pid));

  test("--help explains itself", async () => {
    const command = new Command("start", ["--help"]);
    assert.equal(await command.exitCode(), 0);
    for (const word of ["--exit", "--reset", "--port-offset", "Ctrl-C", "npm test"])
      assert.ok(command.output.includes(word));
  });

  test("refuses an unknown option with one sentence and a code", async () => {
    const command = new Command("start", ["--frobnicate"]);
    assert.equal(await command.exitCode(), 1);
    assert.match(command.output, /--frobnicate.*Try --help\./);
    assert.doesNotMatch(command.output, /^\s+at /m);
  });

  test("Ctrl-C stops everything and ends with 0", async () => {
    const command = new Command("start", args);
    await command.prints("Ctrl-C stops it");
    const lives = livesOf(ledger());
    command.controlC();
    assert.equal(await command.exitCode(), 0);
    assert.match(command.output, /the data is kept/);
    assert.deepEqual(lives.filter(isAlive), []);
  });

  test("a second start from the same folder is told that, and nothing of the ports that the first one has", async () => {
    const first = new Command("start", args);
    await first.prints("Ctrl-C stops it");
    const jaeger = portsOf("jaeger", portsAt(beyondOutgoing)).map(({ port }) =>
      createServer().listen(port, "127.0.0.1"),
    );
    const second = new Command("start", ["--data", dataDirectory, "--port-offset", String(beyondOutgoing)]);
    assert.equal(await second.exitCode(), 1);
    assert.match(second.output, /already runs from/);
    assert.doesNotMatch(second.output, /in use/);
    for (const server of jaeger) server.close();
    first.controlC();
    assert.equal(await first.exitCode(), 0);
  });

  test("kill -9 of npm itself ends everything, and a new start works at once", async () => {
    const first = new Command("start", args);
    await first.prints("Ctrl-C stops it");
    const lives = livesOf(ledger());
    first.child.kill("SIGKILL");
    await until(() => !lives.some(isAlive), "the end of all", patient);
    const second = new Command("start", args);
    await second.prints("Ctrl-C stops it");
    second.controlC();
    assert.equal(await second.exitCode(), 0);
  });

  test("kill -9 of the stack's process, and a new start at once, leave one stack", async () => {
    const first = new Command("start", args);
    await first.prints("Ctrl-C stops it");
    const before = ledger();
    const lives = livesOf(before);
    process.kill(before.owner.pid, "SIGKILL");
    const second = new Command("start", args);
    await second.prints("Ctrl-C stops it");
    assert.deepEqual(lives.filter(isAlive), []);
    second.controlC();
    assert.equal(await second.exitCode(), 0);
  });
});
