import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { freePorts } from "../free-ports.ts";
import { allPorts } from "../layout.ts";
import { isFree } from "../ports.ts";

describe("free ports", () => {
  test("are never the same for stacks that look at the same time, although nothing listens yet", async () => {
    const stacks = await Promise.all(Array.from({ length: 60 }, () => freePorts()));
    const ports = stacks.flatMap(allPorts).map(({ port }) => port);
    assert.equal(new Set(ports).size, ports.length);
    assert.ok(Math.max(...ports) < 30_000);
    const free = await Promise.all(ports.map(isFree));
    assert.equal(free.indexOf(false), -1);
  });
});
