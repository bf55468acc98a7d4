// What screening costs: CPU per order from its arrival to its delivery, by every rule that there is and lists of a thousand, against none.
import { randomBytes } from "node:crypto";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { listsSchema, rulesSchema } from "../services/orders/src/screening/rules.ts";
import { takeTurns } from "./turns.ts";

/** What nobody reaches here: what is counted is counted all the same. */
const amount = { EUR: 100_000_000 };
const often = { minutes: 60, review: 500, refuse: 1_000 };
/** Judged here: rules that are none would be said in a log, and nothing screened. */
const rules = rulesSchema.parse({
  amount: { review: amount, refuse: amount },
  new_customer: { minutes: 1_440, review: amount, refuse: amount },
  customer_orders: often,
  card_orders: often,
  address_orders: often,
  card_customers: often,
  name_mismatch: { review: amount, refuse: amount },
});
const hashes = (count: number) => Array.from({ length: count }, () => randomBytes(8).toString("hex"));
const lists = listsSchema.parse({
  allow: {},
  review: { cards: hashes(500) },
  refuse: { cards: hashes(500), emails: hashes(1_000), postal_codes: ["DE-99999"] },
});

function flagged(name: string, value: unknown) {
  return { state: "ENABLED", variants: { [name]: value }, defaultVariant: name };
}

/** @param args as `takeTurns` has them */
export async function bench(args: readonly string[]): Promise<void> {
  const file = join(tmpdir(), `ordermesh-bench-flags-${process.pid}.json`);
  const flags = {
    "fraud-screening": flagged("on", true),
    "fraud-rules": flagged("all", rules),
    "fraud-lists": flagged("long", lists),
  };
  writeFileSync(file, JSON.stringify({ flags }));
  const side = { name: "screened", environment: { orders: { FLAGS_FILE: file } } };
  try {
    await takeTurns({ side, against: { name: "unscreened", environment: {} }, process: "orders" }, args);
  } finally {
    rmSync(file, { force: true });
  }
}
