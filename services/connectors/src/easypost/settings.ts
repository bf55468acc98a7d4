import { z } from "zod";
import type { Rate } from "./easypost-messages.ts";

const text = (longest: number) => z.string().trim().min(1).max(longest);

const sender = z.strictObject({
  recipient: text(200),
  lines: z.array(text(200)).min(1).max(3),
  city: text(100),
  postalCode: z.string().max(20).default(""),
  country: z.string().regex(/^[A-Z]{2}$/, "is no country of two capitals"),
  phone: text(40).optional(),
  email: text(200).optional(),
});

/** Who sends from a location. */
export type Sender = z.infer<typeof sender>;

/** Who sends from a location; undefined where nobody has said it. */
export type Senders = (locationId: string) => Sender | undefined;

/** Which prices a service level means; undefined where nobody has said it. */
export type Services = (serviceLevel: string) => ((rate: Rate) => boolean) | undefined;

const side = z.int().min(1).max(10_000);

const comingBack = z.strictObject({
  weightGrams: z.int().min(1).max(1_000_000).default(1_000),
  sizeMm: z.tuple([side, side, side]).default([300, 200, 150]),
  serviceLevel: z.string().max(64).default("standard"),
});

/** What a parcel is taken for that comes back. */
export type ReturnParcel = z.infer<typeof comingBack>;

/** Reads `EASYPOST_RETURN_PARCEL`, a JSON object. */
export const returnParcel = jsonOf(comingBack);

/** Reads `EASYPOST_SENDERS`: a JSON object by stock location; that of `*` is the sender of all others. */
export const senders = jsonOf(z.record(z.string(), sender)).transform((said): Senders => {
  const byLocation = new Map(Object.entries(said));
  return (locationId) => byLocation.get(locationId) ?? byLocation.get("*");
});

/**
 * Reads `EASYPOST_SERVICES`: a JSON object by service level; each lists a carrier, or a carrier and its service, as EasyPost calls them. The cheapest of them is
 * taken, and of all there are where a list is empty. `*` is any other level.
 */
export const services = jsonOf(z.record(z.string().max(64), z.array(text(100)).max(32))).transform((said): Services => {
  const byLevel = new Map(Object.entries(said));
  return (serviceLevel) => {
    const names = byLevel.get(serviceLevel) ?? byLevel.get("*");
    if (!names) return undefined;
    return ({ carrier, service }) =>
      names.length === 0 || names.includes(carrier) || names.includes(`${carrier} ${service}`);
  };
});

/** A text that is JSON of such a form. */
function jsonOf<T>(form: z.ZodType<T>) {
  return z.string().transform((json, context): T => {
    const { data, error } = form.safeParse(parsed(json));
    if (!error) return data;
    context.issues.push({
      code: "custom",
      input: json,
      message: `is not what it has to be: ${z.prettifyError(error)}`,
    });
    return z.NEVER;
  });
}

function parsed(json: string): unknown {
  try {
    // biome-ignore lint/plugin/json: it is a setting, by whoever runs the connector; how long it is, bounds the environment
    return JSON.parse(json);
  } catch {
    return json;
  }
}
