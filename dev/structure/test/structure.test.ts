import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import { type Import, readImports } from "../imports.ts";
import { faultsOf } from "../structure.ts";

const orders = "services/orders/src";

/** Imports as "from to", of everything. */
function imports(...arrows: string[]): Import[] {
  return arrows.map((arrow) => {
    const [from = "", to = ""] = arrow.split(" ");
    return { from, to, names: [] };
  });
}

describe("the structure", () => {
  const sound = [
    `${orders}/main.ts ${orders}/api/order-api.ts`,
    `${orders}/api/order-api.ts services/platform/src/errors.ts`,
    `${orders}/api/order-api.ts services/platform/src/gen/ordermesh/testing/v1/conformance_service_pb.js`,
    "services/orders/test/harness.ts services/inventory/src/inventory.ts",
    "services/orders/test/harness.ts services/platform/testing/postgres.ts",
    "services/platform/testing/postgres.ts services/platform/src/database/database.ts",
    "services/worker/src/main.ts @temporalio/worker",
    "dev/stack/temporal.ts @temporalio/client",
    "dev/stack/stack.ts deploy/command/run.ts",
    "bench/stock.ts services/platform/testing/postgres.ts",
  ];
  test("is sound when every arrow is one that may be", () => {
    assert.deepEqual(faultsOf(imports(...sound)), []);
  });

  const faults = [
    [
      "deploy/rollout/rollout.ts dev/stack/stack.ts",
      /^deploy\/rollout\/rollout\.ts imports dev\/stack\/stack\.ts: deploy\//,
    ],
    [`${orders}/main.ts services/payments/src/payments.ts`, /a service calls another one, and never imports it$/],
    [
      "services/platform/src/id.ts services/orders/src/order.ts",
      /services\/platform knows nothing about the services$/,
    ],
    ["services/platform/test/id.test.ts services/orders/src/order.ts", /services\/platform knows nothing/],
    [
      `${orders}/main.ts @temporalio/client`,
      /^services\/orders\/src\/main\.ts imports @temporalio\/client: .* only services\/worker/,
    ],
    ["services/platform/src/wait.ts @temporalio/common", /only services\/worker/],
    [`${orders}/main.ts services/orders/test/harness.ts`, /is imported by tests only$/],
    [`${orders}/main.ts services/platform/testing/until.ts`, /is imported by tests only$/],
    ["dev/commands/start.ts dev/testing/command.ts", /is imported by tests only$/],
  ] as const;
  for (const [arrow, expected] of faults) {
    test(`has no ${arrow.replace(" ", " → ")}`, () => {
      const [fault = "", ...more] = faultsOf(imports(arrow));
      assert.match(fault, expected);
      assert.deepEqual(more, []);
    });
  }

  test("names the files of a circle, the shortest that there is", () => {
    const circle = imports(
      "dev/a/x.ts dev/a/y.ts",
      "dev/a/y.ts dev/a/z.ts",
      "dev/a/z.ts dev/a/x.ts",
      "dev/a/z.ts dev/a/y.ts",
    );
    assert.deepEqual(faultsOf(circle), ["files form a circle: dev/a/y.ts → dev/a/z.ts → dev/a/y.ts"]);
  });

  test("names the folders of a circle and what leads from one to the next", () => {
    const names = ["Order", "open"];
    const circle = [{ from: `${orders}/orders.ts`, to: `${orders}/api/order-api.ts`, names }];
    const back = imports(...["a", "b", "c", "d", "e"].map((name) => `${orders}/api/${name}.ts ${orders}/config.ts`));
    assert.deepEqual(faultsOf([...circle, ...back]), [
      [
        "folders form a circle: services/orders/src → services/orders/src/api → services/orders/src",
        "    services/orders/src/orders.ts imports Order, open of services/orders/src/api/order-api.ts",
        ...["a", "b", "c"].map(
          (name) => `    services/orders/src/api/${name}.ts imports services/orders/src/config.ts`,
        ),
        "    and 2 more",
      ].join("\n"),
    ]);
  });

  test("finds a circle of three folders whose files import nothing else", () => {
    const [fault = ""] = faultsOf(imports("dev/a/1.ts dev/b/1.ts", "dev/b/2.ts dev/c/1.ts", "dev/c/2.ts dev/a/2.ts"));
    assert.match(fault, /^folders form a circle: dev\/a → dev\/b → dev\/c → dev\/a\n/);
  });
});

describe("the imports of a file", () => {
  const text = `
    import "./effects.ts";
    import type { Type } from "./type.ts";
    import { one as first, type Two } from "#platform/values.ts";
    import * as all from "package/part.js";
    export { three } from "../other/again.ts";
    export * from "./everything.ts";
    const dynamic = await import("./dynamic.ts");
    type Inline = typeof import("./inline.ts");
    await using resource = dynamic.open();
    const text = 'import { no } from "./text.ts"'; // import "./comment.ts";
  `;
  const expected = [
    ["dev/a/effects.ts"],
    ["dev/a/type.ts", "Type"],
    ["services/platform/src/values.ts", "one", "Two"],
    ["package/part.js", "all"],
    ["dev/other/again.ts", "three"],
    ["dev/a/everything.ts"],
    ["dev/a/dynamic.ts"],
    ["dev/a/inline.ts"],
  ];

  test("are read in every form, and nothing that only looks like one", () => {
    const root = mkdtempSync(join(tmpdir(), "ordermesh-structure-"));
    try {
      const files = {
        "package.json": JSON.stringify({ imports: { "#platform/*": "./services/platform/src/*" } }),
        "dev/a/file.ts": text,
        "services/platform/src/gen/left_pb.ts": text,
        "elsewhere/left.ts": text,
      };
      for (const [path, content] of Object.entries(files)) {
        mkdirSync(dirname(join(root, path)), { recursive: true });
        writeFileSync(join(root, path), content);
      }
      const found = readImports(root);
      assert.deepEqual([...new Set(found.map(({ from }) => from))], ["dev/a/file.ts"]);
      assert.deepEqual(
        found.map(({ to, names }) => [to, ...names]),
        expected,
      );
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  });
});
