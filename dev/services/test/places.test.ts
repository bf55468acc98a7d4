import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { root } from "../../../deploy/command/checkout.ts";
import { serviceFacts, services } from "../../../services/services.ts";
import { places } from "./places.ts";

const checkout = { root, services: services.map((name) => ({ name, ...serviceFacts[name] })) };

describe("what names services and cannot read services.json", () => {
  for (const place of places) {
    it(`${place.path}: is right about every service`, () => assert.deepEqual(place.mistakes(checkout), []));
  }
});
