import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { roundsOf } from "#platform/events/rounds.ts";

const initial = (text: string) => text.charAt(0);

describe("the rounds of a list", () => {
  it("have one event of each thing, in the order of the list", () => {
    assert.deepEqual(roundsOf(["a1", "b1", "a2", "c1", "a3", "b2"], initial, 10), [
      ["a1", "b1", "c1"],
      ["a2", "b2"],
      ["a3"],
    ]);
  });

  it("take no more than may be on their way", () => {
    assert.deepEqual(roundsOf(["a1", "b1", "c1", "d1", "a2"], initial, 2), [["a1", "b1"], ["c1", "d1"], ["a2"]]);
  });

  it("lose nothing, and put nothing before what it comes after", () => {
    const lists = fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 60 });
    fc.assert(
      fc.property(lists, fc.integer({ min: 1, max: 5 }), (letters, most) => {
        const list = letters.map((letter, index) => `${letter}${index}`);
        const rounds = roundsOf(list, initial, most);
        assert.deepEqual(rounds.flat().sort(), [...list].sort());
        for (const round of rounds) {
          assert.ok(round.length > 0 && round.length <= most);
          assert.equal(new Set(round.map(initial)).size, round.length);
        }
        for (const letter of "abcd") {
          const own = (texts: readonly string[]) => texts.filter((text) => initial(text) === letter);
          assert.deepEqual(own(rounds.flat()), own(list));
        }
      }),
    );
  });
});
