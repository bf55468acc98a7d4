// Persons whom nobody else could be, and where on a disk they can be read.

import { globSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import pg from "pg";
import type { Address } from "#gen/shop/type/v1/address_pb.js";

/** Stands in every text of every person, and nowhere else. */
export const mark = "Qzwxpers";

/** Who the n-th person is, with a request id of its own. */
export function personOf(n: number) {
  return {
    requestId: `person-${n}`,
    givenName: `${mark}${n}`,
    familyName: `${mark}${n}`,
    email: `${mark}${n}@persons.example`,
    phone: `+4930${String(5_550_000 + n)}`,
  };
}

/** Where the n-th person lives. */
export function addressOf(n: number): Omit<Address, "$typeName" | "$unknown"> {
  const text = `${mark}${n}`;
  return { recipient: text, lines: [text, text], city: text, postalCode: text, country: "GB" };
}

/**
 * The files below a folder in which somebody can be read, in any case of the letters: what a database holds, what it held, its log, and
 * whatever else lies there. Files that go away meanwhile are left out.
 */
export async function filesWithPersons(folder: string): Promise<string[]> {
  const paths = globSync("**/*", { cwd: folder, withFileTypes: true }).filter((entry) => entry.isFile());
  const found: string[] = [];
  for (const entry of paths) {
    const path = join(entry.parentPath, entry.name);
    const text = await readFile(path, "latin1").catch(() => "");
    if (text.includes(mark) || text.toLowerCase().includes(mark.toLowerCase()))
      found.push(path.slice(folder.length + 1));
  }
  return found;
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
