import { Registry } from "prom-client";
import { loadConfig } from "#platform/config.ts";
import { newId } from "#platform/id.ts";
import { quietLogger } from "#testing/logger.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { easypostConfig } from "../../src/easypost/config.ts";
import { type ComposedEasypost, composeEasypost, type EasypostConfig } from "../../src/easypost/easypost.ts";
import { migrations } from "../../src/easypost/migrations/list.ts";
import type { Outcome } from "../../src/easypost/parcel.ts";
import type { ParcelOrder } from "../../src/easypost/parcel-fields.ts";
import { OutsideMetrics } from "../../src/metrics.ts";
import { FakeEasypost } from "./fake-easypost.ts";

/** A fake of EasyPost, and processes of the connector before it. */
export interface World extends AsyncDisposable {
  readonly fake: FakeEasypost;
  readonly test: TestDatabase;
  process(settings?: Readonly<Record<string, string>>): ComposedEasypost;
}

/** Who sends from everywhere. */
export const sender = {
  recipient: "Shop",
  lines: ["1 Dock Street"],
  city: "San Francisco, CA",
  postalCode: "94104",
  country: "US",
  phone: "4155550100",
};

/** Settings of the connector for tests: what waits in the world, hardly waits here. */
export function settingsFor(easypostUrl: string): Readonly<Record<string, string>> {
  return {
    EASYPOST_API_KEY: "EZTKofafakeofours",
    EASYPOST_API_URL: easypostUrl,
    EASYPOST_SENDERS: JSON.stringify({ "*": sender }),
    EASYPOST_TIMEOUT_MS: "200",
    EASYPOST_SETTLE_MS: "0",
    EASYPOST_VOID_LOOK_MS: "0",
    EASYPOST_REQUESTS_PER_SECOND: "100000",
  };
}

export function configOf(
  url: string,
  easypostUrl: string,
  given: Readonly<Record<string, string>> = {},
): EasypostConfig {
  return loadConfig(easypostConfig, { DATABASE_URL: url, ...settingsFor(easypostUrl), ...given });
}

export function newMetrics(registry = new Registry()): OutsideMetrics {
  return new OutsideMetrics(registry, { prefix: "easypost", name: "EasyPost" });
}

/** Opens a fresh one. */
export async function openWorld(): Promise<World> {
  const test = await testDatabase("easypost", { entities: [], migrations });
  const fake = await FakeEasypost.start();
  const made: ComposedEasypost[] = [];
  return {
    fake,
    test,
    process(settings) {
      const telling = { log: quietLogger(), metrics: newMetrics() };
      const process = composeEasypost(configOf(test.url, fake.url, settings), test.database, telling);
      made.push(process);
      return process;
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(made.map(({ carrier }) => carrier.drain()));
      await fake[Symbol.asyncDispose]();
      await test[Symbol.asyncDispose]();
    },
  };
}

/** A parcel of half a kilogram, if nothing else is said. */
export function parcel(given: Partial<ParcelOrder> = {}): ParcelOrder {
  return {
    kind: "parcel",
    key: newId(),
    locationId: "SFO-1",
    sender: undefined,
    customer: {
      recipient: "Ada",
      lines: ["179 N Harbor Dr", "Flat 2"],
      city: "Redondo Beach, CA",
      postalCode: "90277",
      country: "US",
    },
    weightGrams: 500,
    sizeMm: [254, 200, 100],
    serviceLevel: "standard",
    expireTime: new Date(Date.now() + 10_000),
    ...given,
  };
}

/** A label with which it comes back. */
export function comingBack(given: Partial<ParcelOrder> = {}): ParcelOrder {
  return parcel({ kind: "label", expireTime: new Date(8.64e15), ...given });
}

/** An outcome in a word: the code of a refusal, else its state. */
export function said(outcome: Outcome): string {
  return outcome.state === "refused" ? outcome.code : outcome.state;
}

type Carrier = Pick<ComposedEasypost, "carrier">;

/** What shipping does until a parcel is decided: after the first time it asks before it sends. */
export async function settle({ carrier }: Carrier, order: ParcelOrder, sent = false): Promise<Outcome> {
  let ask = sent;
  return await untilDecided(`${order.kind} ${order.key}`, async () => {
    const found = ask ? await carrier.find(order) : undefined;
    ask = true;
    if (found && found.state !== "unknown") return found;
    const booked = await carrier.book({ ...order, expireTime: new Date(Date.now() + 10_000) });
    return booked.state === "unknown" ? { state: "undecided" } : booked;
  });
}

/** Calls a parcel off until that is decided. */
export function callOff({ carrier }: Carrier, key: string): Promise<Outcome> {
  return untilDecided(`calling off ${key}`, () => carrier.cancel(key));
}

async function untilDecided(what: string, ask: () => Promise<Outcome>): Promise<Outcome> {
  const until = performance.now() + 20_000;
  while (performance.now() < until) {
    const outcome = await ask();
    if (outcome.state !== "undecided") return outcome;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  throw new Error(`${what} is not decided`);
}
