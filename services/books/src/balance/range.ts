import type { Ask } from "./ask.ts";

/** Ids from one to another, both among them, as the text of a `uuid`: these sort as PostgreSQL sorts them. */
export interface IdRange {
  readonly from: string;
  readonly to: string;
}

/** Every id that can be. */
export const allIds: IdRange = {
  from: "00000000-0000-0000-0000-000000000000",
  to: "ffffffff-ffff-ffff-ffff-ffffffffffff",
};

/** The next id. */
function after(id: string): string {
  return moved(id, 1n);
}

/** The id before; undefined of the first one. */
export function idBefore(id: string): string | undefined {
  return id === allIds.from ? undefined : moved(id, -1n);
}

function moved(id: string, by: bigint): string {
  const hex = (BigInt(`0x${id.replaceAll("-", "")}`) + by).toString(16).padStart(32, "0");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

/**
 * Cuts a range into pages that touch each other, so that no id is in none.
 *
 * @param endOf the last id of the next page, undefined when what is left is one
 */
export async function* pagesOf(
  ids: IdRange,
  endOf: (left: IdRange) => Promise<string | undefined>,
): AsyncGenerator<IdRange> {
  let left = ids;
  for (;;) {
    const to = await endOf(left);
    yield { from: left.from, to: to ?? left.to };
    if (to === undefined || to >= left.to) return;
    left = { from: after(to), to: left.to };
  }
}

/** Where the ids of a page are found. */
export interface PageColumn {
  readonly table: string;
  readonly column: string;
}

/** The id of the last of so many rows of a range; undefined when there are fewer. */
export async function endOfPage(
  ask: Ask,
  { table, column }: PageColumn,
  { from, to, size }: IdRange & { readonly size: number },
): Promise<string | undefined> {
  const [row] = await ask<{ id: string }>(
    `select ${column} as id from ${table} where ${column} between $1 and $2 order by ${column} offset $3 limit 1`,
    [from, to, size - 1],
  );
  return row?.id;
}
