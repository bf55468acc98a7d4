import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { delimiter, join } from "node:path";
import { describe, test } from "node:test";
import { promisify } from "node:util";
import { root } from "../../../deploy/command/checkout.ts";
import { fullEnvironment } from "../../config.ts";
import { demonstrate } from "../../shop/demo.ts";
import type { Blueprint } from "../../stack/blueprint.ts";
import { freePorts } from "../../stack/free-ports.ts";
import { allPorts, portsAt } from "../../stack/layout.ts";
import { Stack } from "../../stack/stack.ts";
import { Screen } from "../../terminal/screen.ts";
import { tool, toolLinks } from "../../tools/tool.ts";
import { differenceOf, type Example, examplesOf } from "../readme.ts";

const execute = promisify(execFile);

describe("examples of a document", () => {
  const document = [
    "# Title",
    "```sh",
    "$ not run",
    "```",
    "<!-- run -->",
    "```sh",
    "$ first \\",
    "  --more",
    "one",
    "two",
    "$ second '{",
    "  \"a\": '$b' }' c",
    "three",
    "```",
    "<!-- run -->",
    "",
    "```console",
    "$ third",
    '{ "a": 1 }',
    "```",
  ].join("\n");

  test("are the marked blocks' commands with what they print", () => {
    assert.deepEqual(examplesOf(document), [
      { command: "first \\\n  --more", output: "one\ntwo" },
      { command: "second '{\n  \"a\": '$b' }' c", output: "three" },
      { command: "third", output: '{ "a": 1 }' },
    ] satisfies Example[]);
  });

  const order = '{"id":"01","status":"ORDER_STATUS_PENDING","lines":[{"n":1}]}';
  for (const [name, documented, actual, same] of [
    ["other ids", order, '{"id":"02","status":"ORDER_STATUS_PENDING","lines":[{"n":5},{"n":7}]}', true],
    ["a later status", order, '{"id":"02","status":"ORDER_STATUS_SHIPPED","lines":[{"n":1}]}', true],
    ["another constant", order, '{"id":"02","status":"PAYMENT_STATUS_PENDING","lines":[{"n":1}]}', false],
    ["a field more", order, '{"id":"02","status":"ORDER_STATUS_PENDING","lines":[{"n":1}],"x":1}', false],
    ["another type", order, '{"id":2,"status":"ORDER_STATUS_PENDING","lines":[{"n":1}]}', false],
    ["no JSON", order, "oops", false],
    ["lines among others", "shop.A\n…\nshop.B", "shop.A\nshop.X\nshop.B", true],
    ["a line that is missing", "shop.A\nshop.C", "shop.A\nshop.B", false],
    ["nothing documented", "", "anything", true],
  ] as const) {
    test(`${name}: ${same ? "the same shape" : "a difference"}`, () => {
      assert.equal(differenceOf(documented, actual) === undefined, same);
    });
  }
});

/** The document speaks of the default ports and folder; the test's stack is elsewhere. */
function moved(command: string, { ports, dataDirectory }: Blueprint): string {
  const to = allPorts(ports);
  return allPorts(portsAt(0)).reduce(
    (text, { port }, index) => text.replaceAll(`:${port}`, `:${to[index]?.port}`),
    command.replaceAll(".data/", `${dataDirectory}/`),
  );
}

/** One shell for all examples, so that a later one may use what an earlier one has set. */
async function runAll(examples: readonly Example[], blueprint: Blueprint): Promise<string[]> {
  const mark = "=== end of an example ===";
  const script = examples.map(({ command }) => `${moved(command, blueprint)}\necho; echo '${mark}'`).join("\n");
  const PATH = [toolLinks, fullEnvironment().PATH].join(delimiter);
  const options = { env: fullEnvironment({ PATH }), cwd: root, timeout: 120_000, maxBuffer: 16 * 1024 * 1024 };
  const { stdout } = await execute("bash", ["-euo", "pipefail", "-c", script], options);
  return stdout.split(mark).map((output) => output.trim());
}

/** Documents with examples, and what has to be among them. */
const documents = {
  "README.md": ["grpcurl", "curl -"],
  "docs/identity.md": ["grpcurl"],
  "docs/calling.md": ["grpcurl"],
  "docs/refunds.md": ["grpcurl"],
  "docs/disputes.md": ["grpcurl"],
  "docs/returns.md": ["grpcurl"],
  "docs/statistics.md": ["grpcurl"],
  "docs/back-orders.md": ["grpcurl"],
  "docs/amending.md": ["grpcurl"],
  "docs/warehouse.md": ["grpcurl"],
  "docs/simulators.md": ["grpcurl"],
  "docs/notifications.md": ["grpcurl"],
  "docs/webhooks.md": ["grpcurl"],
} as const;

function examplesIn(document: keyof typeof documents): Example[] {
  const file = join(root, document);
  const examples = existsSync(file) ? examplesOf(readFileSync(file, "utf8")) : [];
  for (const call of documents[document]) {
    const isThere = examples.some(({ command }) => command.includes(call));
    assert.ok(isThere, `${document} shows no call of ${call} to run`);
  }
  return examples;
}

test("every example of a document prints what it says", { timeout: 300_000 }, async (context) => {
  await tool("grpcurl");
  await using stack = await Stack.start({ ports: await freePorts() });
  await demonstrate(stack, new Screen(false), context.signal);
  for (const document of Object.keys(documents) as (keyof typeof documents)[]) {
    const examples = examplesIn(document);
    const outputs = await runAll(examples, stack.blueprint);
    for (const [index, { command, output }] of examples.entries()) {
      await context.test(`${document}: ${command.split("\n")[0]}`, () => {
        assert.equal(differenceOf(output, outputs[index] ?? ""), undefined);
      });
    }
  }
});
