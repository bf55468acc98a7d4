import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { describe, it } from "node:test";
import { cpuSeconds } from "../cpu.ts";

describe("the CPU time of a process", () => {
  it("has that of its descendants, also when they have ended", async () => {
    const burn = "while (process.cpuUsage().user < 300_000);";
    const child = spawn("sh", ["-c", `"${process.execPath}" -e "${burn}"; echo burnt; read -r end`]);
    await once(child.stdout, "data");
    const used = await cpuSeconds(child.pid);
    child.stdin.end("\n");
    await once(child, "exit");
    assert.ok(used >= 0.3, `${used} s`);
    assert.equal(await cpuSeconds(child.pid), 0);
  });

  it("is none of a process that does not run", async () => {
    assert.equal(await cpuSeconds(undefined), 0);
  });
});
