import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { encodeId, newId, timeOf } from "#platform/id.ts";
import { defaultDataDirectory } from "../../config.ts";
import { parseVerifyOptions } from "../verify-options.ts";

describe("the command line of npm run verify", () => {
  test("compares everything unless told otherwise", () => {
    assert.deepEqual(parseVerifyOptions([]), { help: false, dataDirectory: defaultDataDirectory, ids: undefined });
  });

  test("takes a time, an age or an order as the limit", () => {
    const { ids } = parseVerifyOptions(["--since", "2026-11-29T12:00Z", "--until", newId()]);
    assert.equal(timeOf(encodeId(ids?.from ?? "")).toISOString(), "2026-11-29T12:00:00.000Z");
    assert.ok(parseVerifyOptions(["--since", "24h"]).ids);
  });

  for (const [args, message] of [
    [["--since", "soon"], /^--since is an order's id, a time .* not "soon"\.$/],
    [["--frobnicate"], /^Unknown option '--frobnicate'\. Try --help\.$/],
    [["extra"], /extra.*Try --help\.$/],
  ] as const) {
    test(`refuses ${args.join(" ")}`, () => assert.throws(() => parseVerifyOptions(args), { message }));
  }
});
