import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { defaultDataDirectory } from "../../config.ts";
import { portsAt, portsOf } from "../../stack/layout.ts";
import { parseOptions } from "../options.ts";

describe("the command line of npm start", () => {
  test("has the documented defaults", () => {
    assert.deepEqual(parseOptions([]), {
      help: false,
      exit: false,
      reset: false,
      verbose: false,
      demo: true,
      traces: true,
      portOffset: 0,
      dataDirectory: defaultDataDirectory,
    });
  });

  test("takes any free ports when told so", () => {
    assert.equal(parseOptions(["--port-offset", "free"]).portOffset, "free");
  });

  for (const [args, message] of [
    [["--port-offset", "x"], /whole number from 0 to 10000, or "free", not "x"/],
    [["--port-offset", "20000"], /whole number/],
    [["--frobnicate"], /--frobnicate.*--help/],
    [["extra"], /extra.*--help/],
  ] as const) {
    test(`refuses ${args.join(" ")} in one sentence`, () => assert.throws(() => parseOptions(args), message));
  }
});

test("an offset moves every port", () => {
  const ports = portsAt(100);
  assert.deepEqual(portsOf("orders", ports), [
    { port: 50151, use: "orders, gRPC" },
    { port: 8181, use: "orders, HTTP" },
  ]);
  assert.equal(ports.postgres, 55532);
  assert.equal(ports.temporalUi, 8333);
  assert.deepEqual(portsOf("jaeger", ports)[0], { port: 16786, use: "Jaeger" });
  assert.deepEqual(portsOf("filebeat", ports), []);
});
