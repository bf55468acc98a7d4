import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { until } from "#testing/until.ts";
import { childEnvironment } from "../../config.ts";
import type { ProgramSpec } from "../guard-protocol.ts";
import { claim } from "../leftovers.ts";
import { Supervisor } from "../supervisor.ts";

describe("a program that is started", () => {
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "ordermesh-test-"));
    await claim(folder);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  /** Its first life ends with the words, its second stays. */
  function program(name: string, firstWords: string): { spec: ProgramSpec; probe: () => Promise<void> } {
    const [first, second] = ["first", "second"].map((life) => join(folder, `${name}-${life}`));
    const script = `const fs = require("node:fs");
      if (!fs.existsSync("${first}")) { fs.writeFileSync("${first}", ""); console.log("${firstWords}"); process.exit(1); }
      fs.writeFileSync("${second}", ""); setInterval(() => {}, 60000);`;
    const probe = async () => {
      if (!existsSync(second ?? "")) throw new Error("not yet");
    };
    const place = { cwd: folder, env: childEnvironment({}), logFile: join(folder, `${name}.log`) };
    const spec = {
      name,
      command: process.execPath,
      args: ["-e", script],
      stopSignal: "SIGTERM",
      stopOrder: 0,
    } as const;
    return { spec: { ...spec, ...place }, probe };
  }

  for (const [name, words, comesUp] of [
    ["unlucky", "Error: listen EADDRINUSE: address already in use 127.0.0.1:50051", true],
    ["broken", "the configuration is not usable", false],
  ] as const) {
    test(`${comesUp ? "is tried again" : "is given up"} when it ends at once with "${words}"`, async () => {
      const supervisor = await Supervisor.open(folder, {});
      try {
        const { spec, probe } = program(name, words);
        const start = supervisor.start(spec, { probe, deadlineMs: 30_000 });
        if (comesUp) await start;
        else await assert.rejects(start, /broken ended with code 1; its last line: the configuration is not usable/);
      } finally {
        await supervisor.stop(5_000);
      }
    });
  }

  test("stays away when it is taken down, until it is restarted", async () => {
    const said: string[] = [];
    const supervisor = await Supervisor.open(folder, { say: (sentence) => said.push(sentence) });
    try {
      const { spec } = program("steady", "");
      const steady = { ...spec, args: ["-e", "setInterval(() => {}, 60000)"] };
      await supervisor.start(steady, { probe: async () => undefined, deadlineMs: 30_000 });
      const first = supervisor.pid("steady");
      await supervisor.takeDown("steady", "SIGKILL");
      assert.equal(supervisor.pid("steady"), undefined);
      await supervisor.restart("steady");
      assert.notEqual(supervisor.pid("steady"), first);
      assert.equal(said.length, 0, said.join("\n"));
      supervisor.kill("steady", "SIGKILL");
      await until(() => said.some((sentence) => sentence.endsWith("is ready again.")), "it is revived as before");
    } finally {
      await supervisor.stop(5_000);
    }
  });

  test("is left out with a sentence when it keeps dying and the others do without it", async () => {
    const said: string[] = [];
    const supervisor = await Supervisor.open(folder, { say: (sentence) => said.push(sentence) });
    let failed = false;
    void supervisor.failed.then(() => {
      failed = true;
    });
    try {
      const { spec } = program("dispensable", "");
      // Long enough to be taken for ready.
      const args = ["-e", 'console.log("no disk"); setTimeout(() => process.exit(3), 100)'];
      const probe = async () => undefined;
      await supervisor.start({ ...spec, args }, { probe, deadlineMs: 30_000, dispensable: true });
      const givesUp = () => said.some((sentence) => sentence.endsWith("The rest goes on without it."));
      await until(givesUp, "giving up", { deadlineMs: 60_000, everyMs: 50 });
      assert.match(said.at(-1) ?? "", /dispensable ended with code 3; its last line: no disk/);
      assert.equal(failed, false);
    } finally {
      await supervisor.stop(5_000);
    }
  });
});
