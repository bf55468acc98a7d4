import { z } from "zod";
import type { ParcelFacts } from "./carrier.ts";

/** A parcel of which nobody has said anything: a kilogram in a box that every carrier takes. */
export const ordinaryParcel: ParcelFacts = {
  weightGrams: 1_000,
  sizeMm: [300, 200, 150],
  serviceLevel: "standard",
  sender: undefined,
};

const side = z.int().min(1).max(10_000);
const text = (longest: number) => z.string().trim().min(1).max(longest);

const sender = z.strictObject({
  recipient: text(200),
  lines: z.array(text(200)).min(1).max(3),
  city: text(100),
  postalCode: z.string().max(20).default(""),
  country: z.string().regex(/^[A-Z]{2}$/),
});

const facts = z.strictObject({
  weightGrams: z.int().min(1).max(1_000_000).optional(),
  sizeMm: z.tuple([side, side, side]).optional(),
  serviceLevel: z.string().max(64).optional(),
  sender: sender.optional(),
});

/** What is said of parcels, by their location; of the location `*` what is said of all others. */
const parcels = z.record(z.string(), facts);

/** What is known of the parcels of a location. */
export type ParcelFactsOf = (locationId: string) => ParcelFacts;

/** Reads `CARRIER_PARCELS`: a JSON object by stock location. What a location does not say, `*` does, and what that does not say is ordinary. */
export const parcelFacts = z.string().transform((json, context): ParcelFactsOf => {
  const said = parcels.safeParse(parsed(json));
  if (said.error) {
    context.issues.push({
      code: "custom",
      input: json,
      message: `is not what parcels are: ${z.prettifyError(said.error)}`,
    });
    return z.NEVER;
  }
  const { "*": others, ...places } = said.data;
  const byLocation = new Map(Object.entries(places));
  return (locationId) => ({ ...ordinaryParcel, ...others, ...byLocation.get(locationId) }) as ParcelFacts;
});

function parsed(json: string): unknown {
  try {
    // biome-ignore lint/plugin/json: it is a setting, by whoever runs the service; how long it is, bounds the environment
    return JSON.parse(json);
  } catch {
    return json;
  }
}
