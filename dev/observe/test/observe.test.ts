import assert from "node:assert/strict";
import { join } from "node:path";
import { describe, test } from "node:test";
import { defaultDataDirectory } from "../../config.ts";
import { kinds, mixOf } from "../kinds.ts";
import { parseObserveOptions } from "../options.ts";
import { troubleIn } from "../trouble.ts";

describe("the command line of npm run observe", () => {
  test("has the documented defaults", () => {
    assert.deepEqual(parseObserveOptions([]), {
      help: false,
      exit: false,
      verbose: false,
      orders: 100,
      portOffset: 0,
      dataDirectory: join(defaultDataDirectory, "observe"),
    });
  });

  test("takes what it is told", () => {
    const options = parseObserveOptions(["--exit", "--orders", "7", "--port-offset", "300", "--data", "/tmp/x"]);
    assert.deepEqual(options, {
      help: false,
      exit: true,
      verbose: false,
      orders: 7,
      portOffset: 300,
      dataDirectory: "/tmp/x",
    });
  });

  for (const [args, message] of [
    [["--orders", "4"], /whole number from 5 to 10000, not "4"/],
    [["--orders", "many"], /whole number from 5 to 10000, not "many"/],
    [["--port-offset", "-1"], /--port-offset/],
    [["--frobnicate"], /--frobnicate.*--help/],
  ] as const) {
    test(`refuses ${args.join(" ")} in one sentence`, () => {
      assert.throws(() => parseObserveOptions(args), message);
    });
  }
});

describe("a mixed load", () => {
  const counted = (count: number) => {
    const mix = mixOf(count);
    return kinds.map((kind) => mix.filter((other) => other === kind).length);
  };

  test("has the shares of each kind", () => assert.deepEqual(counted(100), [60, 10, 10, 10, 10]));
  for (const count of [5, 6, 13, 64, 500]) {
    test(`of ${count} has at least one of each kind`, () => {
      const counts = counted(count);
      assert.ok(
        counts.every((orders) => orders >= 1),
        counts.join(", "),
      );
      assert.equal(
        counts.reduce((sum, orders) => sum + orders, 0),
        count,
      );
    });
  }
});

describe("of the lines of a component people are shown", () => {
  for (const [name, component, line, shown] of [
    ["the message of an error", "orders", '{"log.level":"error","message":"no database"}', "no database"],
    ["no other line", "orders", '{"log.level":"info","message":"order confirmed"}', undefined],
    ["what is no JSON", "worker", "SyntaxError: unexpected token", "SyntaxError: unexpected token"],
    ["what was cut short", "worker", '{"log.level":"in', '{"log.level":"in'],
    ["nothing of what only watches", "elasticsearch", "Exception in thread main", undefined],
  ] as const) {
    test(name, () => assert.equal(troubleIn(component, line), shown));
  }
});
