import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { asLines, savedObjects } from "../elk/kibana/objects.ts";
import type { SavedObject } from "../elk/kibana/parts.ts";
import type { Rule } from "../elk/setup/install.ts";
import { fieldsOfQuery, knownFields, read, valuesUnder } from "./elk-fields.ts";

const objects = read("setup/kibana.ndjson")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as SavedObject);
const rules = JSON.parse(read("setup/rules.json")) as Rule[];

/** The JSON texts that Kibana keeps inside of an object's attributes. */
function insides(object: SavedObject): unknown[] {
  const texts = [...Object.values(object.attributes), ...valuesUnder(object.attributes, new Set(["searchSourceJSON"]))];
  return texts
    .filter((text) => typeof text === "string" && /^[[{]/.test(text))
    .map((text) => JSON.parse(text as string));
}

const view = objects.find(({ type }) => type === "index-pattern");
const runtime = Object.keys(JSON.parse(String(view?.attributes.runtimeFieldMap)) as object);
const known = new Set([...knownFields().keys(), ...runtime]);

describe("what Kibana is given", () => {
  it("is what the objects make", () => assert.equal(read("setup/kibana.ndjson"), asLines(savedObjects)));

  for (const object of objects) {
    it(`${object.type} ${object.id} refers only to what is there, and to all of it`, () => {
      const names = ["indexRefName", "panelRefName"];
      const used = insides(object).flatMap((inside) => valuesUnder(inside, new Set(names)));
      const given = object.references.map(({ name }) => name.replace(/^\d+:/, ""));
      assert.deepEqual([...used].sort(), [...given].sort());
      for (const { id, type } of object.references) {
        const at = objects.findIndex((other) => other.id === id && other.type === type);
        assert.ok(at >= 0 && at < objects.indexOf(object), `${type} ${id} comes before`);
      }
      assert.equal(typeof object.attributes.title, "string");
    });

    it(`${object.type} ${object.id} names only fields that the index has`, () => {
      const everything = [object.attributes, ...insides(object)];
      const fields = everything.flatMap((part) => valuesUnder(part, new Set(["field"])));
      const columns = (object.attributes.columns ?? []) as string[];
      const queries = everything.flatMap((part) => valuesUnder(part, new Set(["query"])));
      const queried = queries.filter((query) => typeof query === "string").flatMap(fieldsOfQuery);
      const formatted = Object.keys(JSON.parse(String(object.attributes.fieldFormatMap ?? "{}")) as object);
      const scripts = everything.flatMap((part) => valuesUnder(part, new Set(["source"]))).map(String);
      const scripted = scripts.flatMap((script) => [...script.matchAll(/doc\['([^']+)'\]/g)].map((match) => match[1]));
      for (const field of [...fields, ...columns, ...queried, ...formatted, ...scripted]) {
        assert.ok(known.has(String(field)), String(field));
      }
    });
  }

  it("charts order their buckets by a metric that they have", () => {
    for (const object of objects.filter(({ type }) => type === "visualization")) {
      const state = JSON.parse(String(object.attributes.visState)) as {
        aggs: { id: string; schema: string; params: { orderBy?: string } }[];
      };
      const metrics = state.aggs.filter(({ schema }) => schema === "metric").map(({ id }) => id);
      for (const { params } of state.aggs) {
        if (params.orderBy) assert.ok(metrics.includes(params.orderBy.split(".")[0] ?? ""), object.id);
      }
      assert.equal(new Set(state.aggs.map(({ id }) => id)).size, state.aggs.length);
    }
  });

  it("panels do not overlap, and stay on the grid", () => {
    const dashboard = objects.find(({ type }) => type === "dashboard");
    const panels = JSON.parse(String(dashboard?.attributes.panelsJSON)) as {
      gridData: { x: number; y: number; w: number; h: number };
    }[];
    const taken = new Set<string>();
    for (const { gridData } of panels) {
      assert.ok(gridData.x + gridData.w <= 48);
      for (let x = gridData.x; x < gridData.x + gridData.w; x++) {
        for (let y = gridData.y; y < gridData.y + gridData.h; y++) {
          assert.ok(!taken.has(`${x},${y}`), `${x},${y}`);
          taken.add(`${x},${y}`);
        }
      }
    }
  });

  for (const { id, rule } of rules) {
    it(`the rule "${rule.name}" asks for fields that the index has, and has a severity and a runbook`, () => {
      assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      const { params, tags } = rule;
      const query = JSON.parse(String(params.esQuery)) as object;
      const terms = valuesUnder(query, new Set(["term"])).flatMap((term) => Object.keys(term as object));
      const exists = valuesUnder(query, new Set(["field"]));
      for (const field of [...terms, ...exists, params.timeField, ...(params.termField ? [params.termField] : [])]) {
        assert.ok(known.has(String(field)), String(field));
      }
      assert.ok(tags.some((tag) => /^severity:(critical|warning|info)$/.test(tag)));
      const runbook = tags.find((tag) => tag.startsWith("runbook:"))?.slice("runbook:".length);
      assert.ok(read("../../../docs/logs.md").includes(`id="${runbook}"`), `docs/logs.md has ${runbook}`);
    });
  }
});
