import assert from "node:assert/strict";
import { Writable } from "node:stream";
import { describe, it } from "node:test";
import { Registry } from "prom-client";
import { withContext, withSubject } from "#platform/context.ts";
import { countLeftOutLines } from "#platform/log/log-metrics.ts";
import { createLogger } from "#platform/log/logger.ts";

function collecting(format: "json" | "pretty") {
  const lines: string[] = [];
  const stream = new Writable({ write: (chunk, _, done) => done(void lines.push(String(chunk))) });
  return { lines, ...createLogger({ name: "orders", level: "info", format, stream }) };
}

const personal = /4111|ada@|secret|Lovelace/;

for (const format of ["json", "pretty"] as const) {
  describe(`a line as ${format}`, () => {
    it("holds nothing personal, wherever it was: message, field, error, cause, child", () => {
      const { lines, logger } = collecting(format);
      const cause = new Error("card 4111-1111-1111-1111");
      const err = Object.assign(new Error("for ada@example.org", { cause }), { detail: "4111111111111111" });
      logger
        .child({ email: "ada@example.org" })
        .error("paid with 4111 1111 1111 1111", { err, familyName: "Lovelace" });
      logger.info("hello", { "order.id": "o-1", headers: { authorization: "Bearer secret" } });
      assert.equal(lines.length, 2);
      assert.doesNotMatch(lines.join(""), personal);
      assert.match(lines.join(""), /o-1/);
      assert.match(lines[0] ?? "", /caused by Error: card \[card number\]/);
    });

    it("is not made when the level forbids it, and is from the moment that it does not", () => {
      const { lines, logger } = collecting(format);
      let looked = 0;
      const field = { "order.id": { toString: () => `o-${++looked}`, toJSON: () => `o-${++looked}` } };
      logger.debug("hidden", field);
      assert.deepEqual([lines.length, looked], [0, 0]);
      logger.level = "debug";
      logger.debug("shown", field);
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? "", /shown/);
    });

    it("names the order and the saga of the context, unless it says so itself", () => {
      const { lines, logger } = collecting(format);
      withSubject({ "order.id": "o-1", "saga.id": "s-1" }, () => {
        logger.info("one");
        logger.info("two", { "order.id": "o-2" });
      });
      assert.match(lines[0] ?? "", /o-1.*s-1/);
      assert.match(lines[1] ?? "", /o-2.*s-1/);
      assert.doesNotMatch(lines[1] ?? "", /o-1/);
    });

    it("has the ids of the call", () => {
      const { lines, logger } = collecting(format);
      const caller = { subject: "key:A1", roles: new Set<never>() };
      withContext({ traceId: "a".repeat(32), requestId: "r-1", userId: "u-1", caller }, () => logger.info("hello"));
      if (format === "pretty") return assert.match(lines[0] ?? "", /orders hello\n$/);
      const { "trace.id": trace, "http.request.id": request, ...line } = JSON.parse(lines[0] ?? "");
      const { "user.id": said, "client.user.id": proved } = line;
      assert.deepEqual([trace, request, said, proved], ["a".repeat(32), "r-1", "u-1", "key:A1"]);
    });
  });
}

describe("repeated lines", () => {
  it("are left out after the first, with their count in the end", () => {
    const { lines, logger, repeated } = collecting("json");
    for (let i = 0; i < 1000; i++) logger.warn("no connection", { err: new Error("refused") });
    repeated.settle(true);
    assert.equal(lines.length, 11);
    assert.equal(JSON.parse(lines.at(-1) ?? "")["log.repeated"], 990);
  });

  it("are counted in a metric", async () => {
    const { logger, repeated } = collecting("json");
    const registry = new Registry();
    countLeftOutLines(registry, repeated);
    for (let i = 0; i < 15; i++) logger.warn("no connection");
    assert.match(await registry.metrics(), /log_lines_left_out_total 5/);
  });
});
