// What a broker has of what happened, against what the services know to have happened.
import type pg from "pg";
import { encodeId } from "#platform/id.ts";
import { type AuditedService, toldActions } from "../dev/structure/events-page.ts";
import { replay } from "../examples/events/src/replay.ts";

/** How what was told compares with what happened. */
export interface ToldEvents {
  readonly happened: number;
  readonly told: number;
  /** Happened, and was not told. */
  readonly lost: number;
  /** Told after what happened later to the same subject. */
  readonly reordered: number;
}

/** Reads everything that the broker has, once; `databases` are those of the services. */
export async function compareTold(
  server: string,
  databases: ReadonlyMap<AuditedService, pg.Client>,
): Promise<ToldEvents> {
  const places = new Map<string, number>();
  for (const [service, database] of databases) {
    const { rows } = await database.query<{ id: string }>(
      "select event_id as id from audit_event where action = any($1) order by sequence",
      [[...toldActions(service)]],
    );
    for (const [place, { id }] of rows.entries()) places.set(encodeId(id), place);
  }
  const happened = places.size;
  const latest = new Map<string, number>();
  let reordered = 0;
  for await (const { id, type, subject } of replay({ server, since: new Date(0) })) {
    const place = places.get(id);
    // Told again.
    if (place === undefined) continue;
    places.delete(id);
    const [, service] = type.split(".");
    const about = `${service} ${subject}`;
    if (place < (latest.get(about) ?? -1)) reordered += 1;
    latest.set(about, place);
  }
  return { happened, told: happened - places.size, lost: places.size, reordered };
}
