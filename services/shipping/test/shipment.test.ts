import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { moveTo, type ShipmentStatus, shipmentStatuses, sourcesOf, transitions } from "../src/shipment/shipment.ts";
import { shipmentIn } from "./examples.ts";

describe("the transition table", () => {
  const ways: [ShipmentStatus, ShipmentStatus][] = shipmentStatuses.flatMap((from) =>
    shipmentStatuses.map((to): [ShipmentStatus, ShipmentStatus] => [from, to]),
  );
  for (const [from, to] of ways) {
    const allowed = (transitions[from] as readonly string[]).includes(to);
    it(`${allowed ? "leads" : "does not lead"} from ${from} to ${to}`, () => {
      assert.equal(sourcesOf(to).includes(from), allowed);
      if (allowed) assert.equal(moveTo(shipmentIn(from), to).status, to);
      else assert.throws(() => moveTo(shipmentIn(from), to), /cannot go from/);
    });
  }

  it("leads everywhere from the beginning", () => {
    const reached = new Set<ShipmentStatus>(["preparing"]);
    for (const status of reached) for (const next of transitions[status]) reached.add(next);
    assert.deepEqual([...reached].sort(), [...shipmentStatuses].sort());
  });
});
