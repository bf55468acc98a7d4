// What a broker has of what happened, against what the services know to have happened.
import { DeliverPolicy, jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type pg from "pg";
import { encodeId } from "#platform/id.ts";

/** What is wrong with what was told. */
export interface Faults {
  readonly happened: number;
  readonly told: number;
  /** Happened, and was not told. */
  readonly lost: number;
  /** Told after what happened later to the same subject. */
  readonly reordered: number;
}

const streamName = "ordermesh";
const fetched = { max_messages: 1_000, expires: 5_000 };

/** Reads everything that the stream has, once; `databases` are those of the services, by their names. */
export async function faultsOf(server: string, databases: ReadonlyMap<string, pg.Client>): Promise<Faults> {
  const places = new Map<string, number>();
  for (const [service, database] of databases) {
    const { rows } = await database.query<{ id: string }>(
      "select event_id as id from audit_event where action <> 'audit.read' order by sequence",
    );
    for (const [place, { id }] of rows.entries()) places.set(`/ordermesh/${service} ${encodeId(id)}`, place);
  }
  const happened = places.size;
  const latest = new Map<string, number>();
  let [told, reordered] = [0, 0];
  for await (const { source, id, subject } of messagesOf(server)) {
    const place = places.get(`${source} ${id}`);
    // Told again, or of a service that is not asked.
    if (place === undefined) continue;
    places.delete(`${source} ${id}`);
    told += 1;
    if (place < (latest.get(`${source} ${subject}`) ?? -1)) reordered += 1;
    latest.set(`${source} ${subject}`, place);
  }
  return { happened, told, lost: places.size, reordered };
}

async function* messagesOf(server: string) {
  const connection = await connect({ servers: server, timeout: 5_000, reconnect: false });
  try {
    const consumer = await jetstream(connection).consumers.get(streamName, { deliver_policy: DeliverPolicy.All });
    for (let pending = 1; pending > 0; ) {
      pending = 0;
      for await (const { headers, info } of await consumer.fetch(fetched)) {
        const of = (name: string) => headers?.get(name) ?? "";
        yield { source: of("ce-source"), id: of("ce-id"), subject: of("ce-subject") };
        pending = info.pending;
        if (pending === 0) break;
      }
    }
  } finally {
    await connection.close();
  }
}
