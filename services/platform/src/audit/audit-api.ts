import { type Timestamp, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { AuditEventSchema, type AuditEvent as ProtoAuditEvent } from "#gen/shop/audit/v1/audit_event_pb.js";
import {
  type AuditService,
  type ListAuditEventsRequest,
  ListAuditEventsResponseSchema,
} from "#gen/shop/audit/v1/audit_service_pb.js";
import type { Json, PageTokens } from "#platform/page-token.ts";
import { wholeMs } from "#platform/timestamp.ts";
import { whole } from "#platform/whole.ts";
import type { AuditFilter, AuditPage, AuditRepository } from "./audit.repository.ts";
import type { AuditEvent } from "./audit-event.ts";

/** Shows events as who may read the log is to see them: what is sealed in their details is opened, while its key is there. */
export type RevealAudit = (events: readonly AuditEvent[]) => Promise<readonly AuditEvent[]>;

/** `shop.audit.v1.AuditService`: maps, calls, maps back. */
export class AuditApi implements ServiceImpl<typeof AuditService> {
  readonly #repository: Pick<AuditRepository, "list" | "noteRead">;
  readonly #tokens: PageTokens;
  readonly #reveal: RevealAudit;

  /** @param reveal opens what is sealed in the details; by default nothing is */
  constructor(
    repository: Pick<AuditRepository, "list" | "noteRead">,
    tokens: PageTokens,
    reveal: RevealAudit = async (events) => events,
  ) {
    this.#repository = repository;
    this.#tokens = tokens;
    this.#reveal = reveal;
  }

  /** Lists events, the newest first, to nobody of whom that could not be written down. */
  async listAuditEvents(request: ListAuditEventsRequest) {
    const filter = toFilter(request);
    const { items, nextPageToken } = await this.#tokens.page(request, {
      filter: tokenFilter(filter),
      place: toPlace,
      read: (page) => this.#repository.list(filter, page),
      cursorOf: ({ time, eventId }) => [time.getTime(), eventId],
    });
    const events = await this.#reveal(items);
    await this.#repository.noteRead(filter, items.length);
    return whole(ListAuditEventsResponseSchema, { events: events.map(toProto), nextPageToken });
  }
}

function toFilter(request: ListAuditEventsRequest): AuditFilter {
  const { orderId, subject, action, actor, eventTimeFrom, eventTimeUntil } = request;
  return {
    orderId: orderId || undefined,
    subject: subject || undefined,
    action: action || undefined,
    actor: actor || undefined,
    from: toDate(eventTimeFrom),
    until: toDate(eventTimeUntil),
  };
}

function toDate(time: Timestamp | undefined): Date | undefined {
  const ms = wholeMs(time);
  return ms === undefined ? undefined : new Date(ms);
}

function tokenFilter({ orderId, subject, action, actor, from, until }: AuditFilter): Json {
  const texts = [orderId, subject, action, actor].map((text) => text ?? "");
  return ["ListAuditEvents", ...texts, from?.getTime() ?? null, until?.getTime() ?? null];
}

function toPlace(cursor: Json): AuditPage["after"] {
  if (!Array.isArray(cursor)) return undefined;
  const [time, eventId] = cursor;
  return typeof time === "number" && typeof eventId === "string" ? { time: new Date(time), eventId } : undefined;
}

function toProto({ time, ...event }: AuditEvent): ProtoAuditEvent {
  return whole(AuditEventSchema, { ...event, details: { ...event.details }, eventTime: timestampFromDate(time) });
}
