import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { root } from "../../../deploy/command/checkout.ts";
import type { Standard } from "../requirement-ids.ts";
import { standards } from "../requirement-ids.ts";
import { requirementFaults } from "../requirement-pages.ts";
import { mapFaults, toMap } from "../requirements.ts";

const standard: Standard = { name: "example", levels: new Map([["A1.1", "1"]]) };
const whole = { ids: ["A1.1"], about: "doors", status: "met", evidence: { "SECURITY.md": "Security" } };
const here = "dev/supply/test/requirements.test.ts";

/** What is wrong when one thing differs from a map that is whole. */
function faultsOf(change: object, chapter = "A1"): string[] {
  const requirements = [{ ...whole, ...change }];
  return mapFaults(
    root,
    standard,
    toMap(JSON.stringify({ standard: "", chapters: [{ id: chapter, name: "", requirements }] })),
  );
}

describe("a map of requirements", () => {
  test("that is whole has no fault", () => {
    assert.deepEqual(faultsOf({}), []);
    assert.deepEqual(faultsOf({ evidence: { [here]: ["a map of requirements", "that is whole has no fault"] } }), []);
    assert.deepEqual(faultsOf({ status: "open", evidence: {}, why: "Nobody has built it." }), []);
  });

  const cases: readonly (readonly [what: string, change: object, says: RegExp])[] = [
    ["a requirement that there is not", { ids: ["A1.1", "A1.2"] }, /^A1\.2: the standard has no such requirement$/],
    ["a requirement twice", { ids: ["A1.1", "A1.1"] }, /^A1\.1: is there twice$/],
    ["a file that is not there", { evidence: { "NOWHERE.md": "Security" } }, /there is no file NOWHERE\.md/],
    ["a folder", { evidence: { docs: "Security", "SECURITY.md": "Security" } }, /there is no file docs$/],
    ["a heading that is not there", { evidence: { "SECURITY.md": "Secur" } }, /SECURITY\.md has no "Secur"/],
    // The name stands in this file, and is no test's.
    ["a test that is not there", { evidence: { [here]: "A1.1" } }, /requirements\.test\.ts has no "A1\.1"/],
    ["half of a test's name", { evidence: { [here]: "a map of" } }, /has no "a map of"/],
    ["a text that is not there", { evidence: { "biome.json": "no such rule" } }, /biome\.json has no "no such rule"/],
    ["code alone", { evidence: { "services/services.ts": "export" } }, /names neither a test nor a page/],
    ["nothing, and being met", { evidence: {} }, /names nothing where that is seen/],
    ["nothing, and being met in part", { status: "partly", evidence: {}, why: "Half of it." }, /names nothing/],
    ["no reason, and being met in part", { status: "partly" }, /does not say why it is partly/],
    ["no reason, and being open", { status: "open", evidence: {} }, /does not say why it is open/],
    ["no reason, and not applying", { status: "not applicable", evidence: {} }, /does not say why/],
    ["evidence, and being open", { status: "open", why: "Nobody has built it." }, /and is said to be open/],
  ];
  for (const [what, change, says] of cases) {
    test(`with ${what} is refused`, () => {
      const faults = faultsOf(change);
      assert.equal(faults.length, 1, faults.join("\n"));
      assert.match(faults[0] ?? "", says);
    });
  }

  test("with a chapter of another name, or without a requirement, is refused", () => {
    assert.deepEqual(faultsOf({}, "A2"), ["A1.1: stands in chapter A2"]);
    assert.deepEqual(mapFaults(root, standard, { standard: "", chapters: [] }), ["A1.1: is missing"]);
  });

  test("with a status that there is not, or a word too many, is none", () => {
    assert.throws(() => faultsOf({ status: "done" }), /status/);
    assert.throws(() => faultsOf({ because: "of it" }), /because/);
  });
});

describe("the standards", () => {
  test("have as many requirements as they say", () => {
    const [asvs] = standards;
    const levels = [...(asvs?.levels.values() ?? [])];
    assert.deepEqual(
      ["1", "2", "3"].map((level) => levels.filter((one) => one === level).length),
      [70, 183, 92],
    );
  });

  test("are mapped as a whole, by what there is, and their pages are of today", () => {
    assert.deepEqual(requirementFaults(root), []);
  });
});
