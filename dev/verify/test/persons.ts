// Persons whom nobody else could be, and where they can be read.

import { globSync, realpathSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import pg from "pg";
import type { Address } from "#gen/shop/type/v1/address_pb.js";
import { Search } from "./number-search.ts";

/** Stands in every text of every person, and nowhere else. */
export const mark = "Qzwxpers";
/** With what every telephone number of theirs begins. */
const prefix = "4930555";

/** Who the n-th person is, with a request id of its own; n is less than 10,000. */
export function personOf(n: number) {
  return {
    requestId: `person-${n}`,
    givenName: `${mark}${n}`,
    familyName: `${mark}${n}`,
    email: `${mark}${n}@persons.example`,
    phone: `+${prefix}${String(n).padStart(4, "0")}`,
  };
}

/** Where the n-th person lives. */
export function addressOf(n: number): Omit<Address, "$typeName" | "$unknown"> {
  const text = `${mark}${n}`;
  return { recipient: text, lines: [text, text], city: text, postalCode: text, country: "GB" };
}

/** Looks for all of them in one pass, in any case of the letters: who is found is named by what they are found by. */
export class Persons extends Search {
  readonly #pattern = new RegExp(`${mark}\\d*|(?<!\\d)${prefix}\\d{4}(?!\\d)`, "gi");

  override in(text: string): string[] {
    return [...new Set(text.match(this.#pattern) ?? [])];
  }
}

/**
 * The files of a stack in which somebody can be read: what its databases hold, what they held, their log, and whatever else lies there.
 * Files that go away meanwhile are left out.
 */
export async function filesWithPersons(dataDirectory: string): Promise<string[]> {
  const persons = new Persons();
  const found: string[] = [];
  // Of a stack that root runs, the cluster lies elsewhere.
  for (const folder of [dataDirectory, realpathSync(join(dataDirectory, "postgres"))]) {
    for (const entry of globSync("**/*", { cwd: folder, withFileTypes: true })) {
      const path = join(entry.parentPath, entry.name);
      const text = entry.isFile() ? await readFile(path, "latin1").catch(() => "") : "";
      const [first] = persons.in(text);
      if (first !== undefined) found.push(`${relative(folder, path)}: ${first}`);
    }
  }
  return [...new Set(found)];
}

/** How many keys of persons a database holds, and that of nobody is none. */
export async function keysOfPersons(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const text = "select count(*)::int as n from personal_key where subject <> '00000000-0000-0000-0000-000000000000'";
    return (await client.query<{ n: number }>(text)).rows[0]?.n ?? 0;
  } finally {
    await client.end();
  }
}
