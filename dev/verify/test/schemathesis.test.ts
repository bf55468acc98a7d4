// The running services against what they say of themselves: schemathesis makes requests from each OpenAPI document, and every answer
// has to be one that the document has, in status, headers and body, and none may be an error of ours.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { run } from "../../../deploy/command/run.ts";
import { serviceFacts, services } from "../../../services/services.ts";
import { fullEnvironment } from "../../config.ts";
import { Shopper } from "../../shop/shopper.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { Stack } from "../../stack/stack.ts";
import { tool } from "../../tools/tool.ts";

/**
 * How many requests are made up for each call. With `SCHEMATHESIS_EXAMPLES` more, for a run by hand, which then has the phase "coverage" too: every
 * bound of every field, ten thousand requests.
 */
const byHand = fullEnvironment().SCHEMATHESIS_EXAMPLES;
const examples = byHand ?? "3";
const phases = byHand ? "examples,coverage,fuzzing" : "examples,fuzzing";

/**
 * Left out: what a document cannot tell. Requests that break it may be taken, since Protobuf reads `null`, "5" for 5 and any header; and such that obey it
 * may be refused, by rules that are no keyword.
 */
const leftOut = "negative_data_rejection,positive_data_acceptance";

/** Reads and writes the frames of streams. */
const streams = fileURLToPath(new URL("schemathesis_streams.py", import.meta.url));

describe("what the services answer, held against their OpenAPI documents", { concurrency: 2 }, () => {
  const folder = mkdtempSync(join(tmpdir(), "ordermesh-schemathesis-"));
  let program: string;
  let stack: Stack;

  before(async () => {
    program = await tool("schemathesis");
    const environment = { all: { RATE_LIMIT_SENSITIVE: "off" } };
    stack = await Stack.start({ ports: await freePorts(), logLevel: "error", environment });
    using shopper = new Shopper(stack);
    await shopper.stock("beans-1kg", "BER", 1_000_000);
  });
  after(async () => {
    await stack?.stop();
    rmSync(folder, { recursive: true });
  });

  // What is outside speaks gRPC alone, by a contract that is not the shop's.
  for (const service of services.filter((name) => !serviceFacts[name].outside)) {
    test(service, async () => {
      const options = [
        ...["--phases", phases, "--max-examples", examples, "--seed", "1", "--generation-database", "none"],
        ...["--checks", "all", "--exclude-checks", leftOut, "--continue-on-failure"],
        // Shorter timeouts would be answered with 504, and rightly.
        ...["--header", "Connect-Timeout-Ms: 20000", "--warnings", "off"],
        // Who asks for a credential gets one that may do everything; without it schemathesis looks whether each call is refused.
        ...["--header", `Authorization: ${stack.headers.authorization}`],
      ];
      const env = { ...fullEnvironment(), no_proxy: "127.0.0.1", SCHEMATHESIS_HOOKS: streams };
      const document = `${stack.httpUrl(service)}/openapi.json`;
      const said = await run(program, ["--no-color", "run", document, ...options], {
        cwd: folder,
        env,
        keepOutput: true,
        timeoutMs: byHand ? 30 * 60_000 : 5 * 60_000,
      });
      const [, passed = "0"] = /(\d+) generated, \d+ passed/.exec(said) ?? [];
      assert.ok(Number(passed) >= 40, said.slice(-2_000));
      if (byHand) console.log(`${service}: ${passed} requests`);
    });
  }
});
