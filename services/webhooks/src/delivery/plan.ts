import { writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import type { Reading } from "#platform/events/event-reader.ts";
import { decodeId, newId } from "#platform/id.ts";
import { subscriptionsOf } from "../endpoint/endpoint.repository.ts";
import { type Endpoint, isPersonal, type Subscription, wants } from "../endpoint/endpoint.ts";
import type { WebhookMetrics } from "../proof/metrics.ts";
import type { HeardEvent } from "./heard-event.ts";
import { fitting } from "./webhook-body.ts";

/** An event as it is written. */
interface EventRow {
  readonly event_id: string;
  readonly type: string;
  readonly subject: string;
  readonly data: string;
  readonly event_time: string;
}

/** A delivery as it is written. */
interface DeliveryRow {
  readonly delivery_id: string;
  readonly endpoint_id: string;
  readonly event_id: string;
  readonly subject: string;
  readonly place: number;
}

const eventColumns = writtenColumns<EventRow>({
  event_id: "uuid",
  type: "text",
  subject: "text",
  data: "text",
  event_time: "timestamptz",
});

const deliveryColumns = writtenColumns<DeliveryRow>({
  delivery_id: "uuid",
  endpoint_id: "uuid",
  event_id: "uuid",
  subject: "text",
  place: "bigint",
});

const insertEvents: SqlText = {
  name: "insert-webhook-events",
  text: `insert into webhook_event (${eventColumns.names})
    select ${eventColumns.names} from json_to_recordset($1::json) as i(${eventColumns.typed})
    on conflict (event_id) do nothing`,
};

/** What came before, under the same id, stays as it is. */
const insertDeliveries: SqlText = {
  name: "insert-webhook-deliveries",
  text: `insert into webhook_delivery (${deliveryColumns.names})
    select ${deliveryColumns.names} from json_to_recordset($1::json) as i(${deliveryColumns.typed})
    on conflict (endpoint_id, event_id) do nothing`,
};

/** Of somebody who is to be forgotten, nothing is left but that. */
const forgetSubjects: SqlText = {
  name: "forget-webhook-subjects",
  text: `with gone as (delete from webhook_event where subject = any($1) returning event_id)
    delete from webhook_delivery d using gone where d.event_id = gone.event_id`,
};

/** Whom to forget. */
const erasures: ReadonlySet<string> = new Set(["shop.orders.customer.erased.v1", "shop.identity.person.erased.v1"]);

/** What becomes of events now: who wants to be told of them is, and of whom is to be forgotten nothing stays, whoever is told. */
export async function planning(tx: Transaction, metrics: Pick<WebhookMetrics, "heard">): Promise<Reading<HeardEvent>> {
  const subscriptions = await subscriptionsOf(tx);
  return {
    wants: (type) => erasures.has(type) || subscriptions.some((each) => wants(each, type)),
    keep: async (events, passedOver) => {
      const told = await plan(tx, events, subscriptions);
      metrics.heard("told", told);
      metrics.heard("unwanted", passedOver + events.length - told);
    },
  };
}

/** Writes down who is to be told of these events; returns of how many somebody is. An event that was planned before is not planned again. */
export async function plan(
  tx: Transaction,
  events: readonly HeardEvent[],
  subscriptions: readonly (Subscription & Pick<Endpoint, "endpointId">)[],
): Promise<number> {
  const forgotten = events.filter(({ type }) => erasures.has(type));
  const last = new Map(forgotten.map(({ subject, place }) => [subject, place]));
  const isOver = ({ type, subject, place }: HeardEvent) => isPersonal(type) && place < (last.get(subject) ?? 0);
  if (forgotten.length > 0) await tx.query(forgetSubjects, [[...last.keys()]]);
  const told = events
    .filter((event) => !isOver(event))
    .map((event) => ({ event, endpoints: subscriptions.filter((each) => wants(each, event.type)) }))
    .filter(({ endpoints }) => endpoints.length > 0);
  if (told.length === 0) return 0;
  await tx.query(insertEvents, [JSON.stringify(told.map(({ event }) => toEventRow(event)))]);
  const deliveries = told.flatMap(({ event, endpoints }) =>
    endpoints.map(({ endpointId }) => toDeliveryRow(event, endpointId)),
  );
  await tx.query(insertDeliveries, [JSON.stringify(deliveries)]);
  return told.length;
}

function toEventRow(event: HeardEvent): EventRow {
  const { eventId, type, subject, time } = event;
  return { event_id: decodeId(eventId), type, subject, data: fitting(event), event_time: time.toISOString() };
}

/** @param endpointId a uuid */
function toDeliveryRow({ eventId, subject, place }: HeardEvent, endpointId: string): DeliveryRow {
  return { delivery_id: decodeId(newId()), endpoint_id: endpointId, event_id: decodeId(eventId), subject, place };
}
