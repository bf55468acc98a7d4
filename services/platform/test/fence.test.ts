import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { serviceCaller } from "#platform/caller.ts";
import { withContext } from "#platform/context.ts";
import { fenceFacts, fenceOf, isOver } from "#platform/fence.ts";

describe("a fence", () => {
  it("counts when the saga says it, or nobody is asked who calls; a person could keep the saga out with it", () => {
    const fence = 7;
    const person = { subject: "ada", roles: new Set([Role.WAREHOUSE, Role.FINANCE]), person: true };
    const callers = [undefined, serviceCaller("worker"), serviceCaller("orders"), person];
    assert.deepEqual(
      callers.map((caller) => withContext({ caller }, () => fenceOf({ fence }))),
      [7, 7, 0, 0],
    );
  });

  it("is over below the highest, and never when there is none", () => {
    const fences = [0, 1, 4, 5, 6, 2_147_483_647];
    assert.deepEqual(
      fences.filter((fence) => isOver({ fence }, 5)),
      [1, 4],
    );
    assert.equal(isOver({ fence: 1 }, 0), false);
    assert.deepEqual(fenceFacts({ fence: 4 }, 5), { fence: "4", highest: "5" });
  });
});
