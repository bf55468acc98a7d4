import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { parse } from "yaml";
import { root } from "../../deploy/command/checkout.ts";
import { readValues } from "../values-comments.ts";
import { valuesSchema } from "../values-schema.ts";
import { template } from "./charts.ts";

const mistakes: readonly (readonly [string, RegExp])[] = [
  ["orders.replcas=3", /orders:\n- at '': additional properties 'replcas' not allowed/],
  ["global.image.tga=1", /at '\/global\/image': additional properties 'tga' not allowed/],
  ["oders.replicas=3", /at '': additional properties 'oders' not allowed/],
  ["worker.resources.requests.memroy=1Gi", /at '\/resources\/requests': additional properties 'memroy' not allowed/],
  ["orders.config.MAX_INFLIHGT=3", /at '\/orders\/config': additional properties 'MAX_INFLIHGT' not allowed/],
  ["orders.config.DATABASE_URL=postgres://a:b@c/d", /additional properties 'DATABASE_URL' not allowed/],
  ["orders.replicas=three", /at '\/replicas': got string, want integer/],
  ["global.logLevel=loud", /at '\/global\/logLevel': value must be one of 'error', 'warn', 'info', 'debug'/],
  ["global.image.digest=sha256:1", /at '\/global\/image\/digest': 'sha256:1' does not match pattern/],
  ["global.tracing.exporters=jager", /at '\/global\/tracing\/exporters': 'jager' does not match pattern/],
  ["worker.canary.enabled=true,worker.blueGreen.enabled=true", /worker: canary and blueGreen cannot both be enabled/],
  ["worker.versions.enabled=true", /worker: say which version is current \(versions.current\)/],
  [
    "worker.versions.enabled=true,worker.versions.current=b,worker.versions.draining[0].id=a",
    /worker: say with a tag or a digest which image version a runs/,
  ],
  ["orders.versions.enabled=true,orders.versions.current=b", /orders: versions are for a Temporal worker/],
  ["worker.versions.current=Two!", /at '\/versions\/current': 'Two!' does not match pattern/],
  ["orders.autoscaling.minReplicas=9", /orders: autoscaling.minReplicas \(9\) is more than .*maxReplicas \(6\)/],
  ["orders.autoscaling.cpuPercent=0", /orders: autoscaling needs cpuPercent or metrics/],
];

describe("the values", () => {
  for (const [mistake, sentence] of mistakes) {
    it(`refuse ${mistake} with a sentence`, async () => {
      await assert.rejects(template("ordermesh", "--set", mistake), sentence);
    });
  }

  it("that are alike for all services are documented alike in both charts", () => {
    const [service, mesh] = ["service", "ordermesh"].map((chart) => {
      const text = readFileSync(join(root, "charts", chart, "values.yaml"), "utf8");
      return text.slice(0, text.indexOf("\n\n"));
    });
    assert.ok((parse(service ?? "") as { global?: object }).global);
    assert.equal(
      mesh?.slice(0, mesh.indexOf("\n# The public face")),
      service?.slice(0, service.indexOf("\n# The program")),
    );
  });
});

describe("the generator of schemas", () => {
  const schemaOf = (text: string) => valuesSchema("some", readValues(text), {});

  it("takes the type of the default, the sentence above it, and what is said behind @schema", () => {
    const schema = schemaOf('# How many.\n# At most nine.\n# @schema {maximum: 9}\ncount: 3\ninner:\n  name: ""\n');
    assert.deepEqual(schema.properties, {
      count: { description: "How many. At most nine.", type: "integer", maximum: 9, default: 3 },
      inner: { type: "object", additionalProperties: false, properties: { name: { type: "string", default: "" } } },
    });
  });

  it("does not take a comment that is not right above a key", () => {
    assert.deepEqual(schemaOf("# About nothing.\n\nname: x\n").properties, { name: { type: "string", default: "x" } });
  });

  for (const [text, sentence] of [
    ["list: []", "list: say what its items are"],
    ["map: {}", "map: say what it may hold"],
    ["nothing:", "nothing has a default without a type"],
  ] as const) {
    it(`refuses ${text}`, () => {
      assert.throws(() => schemaOf(text), { message: sentence });
    });
  }
});
