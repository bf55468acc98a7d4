import type { SqlText } from "#platform/database/sql-text.ts";

/** Where events were read to. */
export const findPosition: SqlText = {
  name: "find_event_position",
  text: "select position from gateway_event_position",
};

/** The same; nobody else takes events meanwhile. */
export const lockPosition: SqlText = {
  name: "lock_event_position",
  text: "select position from gateway_event_position for no key update",
};

/** Notes where events were read to. */
export const setPosition: SqlText = {
  name: "set_event_position",
  text: "update gateway_event_position set position = $1",
};

/** Writes down events, and returns the ids of those that were new. */
export const insertEvents: SqlText = {
  name: "insert_gateway_events",
  text: `insert into gateway_event (event_id, kind, payment_id)
    select * from unnest($1::text[], $2::text[], $3::uuid[]) on conflict (event_id) do nothing
    returning event_id as "eventId"`,
};

/** How many events of each kind there were in the last hour. */
export const countRecentEvents: SqlText = {
  name: "count_recent_gateway_events",
  text: `select kind, count(*) as count from gateway_event
    where create_time > now() - interval '1 hour' group by kind`,
};
