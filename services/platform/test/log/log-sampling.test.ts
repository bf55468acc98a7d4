import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import winston from "winston";
import { setLogLevel, toggleDebugOn } from "#platform/log/log-level.ts";
import { type Repeated, RepeatedLines, repeatedField, sampling } from "#platform/log/log-sampling.ts";

function sampler(options: { first?: number; kinds?: number } = {}) {
  const reports: Repeated[] = [];
  const clock = { now: 0 };
  const lines = new RepeatedLines({
    ...options,
    periodMs: 1000,
    now: () => clock.now,
    report: (repeated) => reports.push(repeated),
  });
  const admit = (message: string, fields: object = {}) => lines.admit({ level: "warn", message, ...fields });
  return { lines, reports, clock, admit };
}

describe("sampling of repeated lines", () => {
  it("writes the first of each period, and reports how many were left out", () => {
    const { lines, reports, clock, admit } = sampler({ first: 3 });
    const written = Array.from({ length: 100 }, () => admit("no connection")).filter(Boolean);
    assert.equal(written.length, 3);
    assert.equal(lines.leftOut, 97);
    clock.now = 1000;
    assert.equal(admit("no connection"), true);
    assert.deepEqual(reports, [{ level: "warn", message: "no connection", count: 97 }]);
    lines.settle(true);
    assert.equal(reports.length, 1);
  });

  it("reports at the end of the period though no further line comes, and at the end of the process", () => {
    const { lines, reports, clock, admit } = sampler({ first: 1 });
    for (let i = 0; i < 5; i++) admit("a");
    clock.now = 999;
    lines.settle();
    assert.equal(reports.length, 0);
    clock.now = 1000;
    lines.settle();
    assert.equal(reports[0]?.count, 4);
    for (let i = 0; i < 5; i++) admit("b");
    lines.settle(true);
    assert.equal(reports[1]?.count, 4);
  });

  it("takes lines that differ in numbers and ids for one kind, and others for others", () => {
    const { admit } = sampler({ first: 1 });
    assert.equal(admit("took 12 ms for 01h3zk5m8q"), true);
    assert.equal(admit("took 7 ms for 01h3zk5m8r"), false);
    assert.equal(admit("took 7 ms for 01h3zk5m8r", { "log.logger": "relay" }), true);
    assert.equal(admit("took 7 ms for 01h3zk5m8r", { err: new RangeError() }), true);
    assert.equal(admit("took ages"), true);
  });

  it("never takes lines about different orders for repetitions, and those about one order for them", () => {
    const { lines, admit } = sampler({ first: 2, kinds: 10 });
    for (let i = 0; i < 1000; i++) assert.equal(admit("step failed", { "order.id": `order-${i}` }), true);
    for (let i = 0; i < 1000; i++) admit("step failed", { "order.id": "one" });
    assert.equal(lines.leftOut, 998);
  });

  it("still leaves out what repeats while many orders have a line each", () => {
    const { lines, admit } = sampler({ first: 1, kinds: 10 });
    for (let i = 0; i < 1000; i++) {
      admit("no connection");
      admit("step failed", { "order.id": `order-${i}` });
    }
    assert.equal(lines.leftOut, 999);
  });

  it("remembers a bounded number of kinds and forgets none of the counts", () => {
    const { lines, reports, admit } = sampler({ first: 1, kinds: 10 });
    const words = Array.from({ length: 1000 }, (_, i) => `kind ${"abcdefghij"[i % 10]}${"x".repeat(i / 10)}`);
    for (const word of words) for (let i = 0; i < 3; i++) admit(word);
    lines.settle(true);
    assert.equal(
      reports.reduce((sum, { count }) => sum + count, 0),
      lines.leftOut,
    );
    assert.equal(lines.leftOut, 2000);
  });
});

function written(level: string, ...formats: winston.Logform.Format[]) {
  const lines: { level: string; message: string; [repeatedField]?: number }[] = [];
  const stream = new Writable({ write: (chunk, _, done) => done(void lines.push(JSON.parse(String(chunk)))) });
  const logger = winston.createLogger({
    level,
    format: winston.format.combine(...formats, winston.format.json()),
    transports: [new winston.transports.Stream({ stream })],
  });
  return { lines, logger };
}

describe("in a logger", () => {
  it("left-out lines do not come out, their count does", () => {
    const lines = new RepeatedLines({
      first: 2,
      report: ({ level, message, count }) => out.logger.log(level, message, { [repeatedField]: count }),
    });
    const out = written("info", sampling({ lines }));
    for (let i = 0; i < 9; i++) out.logger.info("again");
    lines.settle(true);
    assert.deepEqual(
      out.lines.map((line) => line[repeatedField]),
      [undefined, undefined, 7],
    );
  });

  it("the level changes while running, for children as well, and by signal", async () => {
    const { lines, logger } = written("info");
    const child = logger.child({ "log.logger": "relay" });
    child.debug("one");
    setLogLevel(logger, "debug");
    child.debug("two");
    // Not SIGUSR2: the test runner has its children write a diagnostic report on that.
    const end = toggleDebugOn("SIGHUP", logger);
    const signalled = new Promise((resolve) => process.once("SIGHUP", resolve));
    process.kill(process.pid, "SIGHUP");
    await signalled;
    end();
    child.debug("three");
    assert.equal(logger.level, "info");
    const messages = ["log level is now debug, was info", "two", "log level is now info, was debug"];
    assert.deepEqual(
      lines.map((line) => line.message),
      messages,
    );
  });
});
