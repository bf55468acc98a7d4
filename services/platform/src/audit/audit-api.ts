import { type Timestamp, timestampFromDate, timestampMs } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import type { AuditService, ListAuditEventsRequest } from "#gen/shop/audit/v1/audit_service_pb.js";
import type { Json, PageTokens } from "#platform/page-token.ts";
import type { AuditFilter, AuditPage, AuditRepository } from "./audit.repository.ts";
import type { AuditEvent } from "./audit-event.ts";

const defaultPageSize = 50;

/** `shop.audit.v1.AuditService`: maps, calls, maps back. */
export class AuditApi implements ServiceImpl<typeof AuditService> {
  readonly #repository: Pick<AuditRepository, "list">;
  readonly #tokens: PageTokens;

  constructor(repository: Pick<AuditRepository, "list">, tokens: PageTokens) {
    this.#repository = repository;
    this.#tokens = tokens;
  }

  /** Lists events, the newest first. */
  async listAuditEvents(request: ListAuditEventsRequest) {
    const filter = toFilter(request);
    const sealedFor = tokenFilter(filter);
    const after = toCursor(this.#tokens.open(request.pageToken, sealedFor));
    const limit = request.pageSize || defaultPageSize;
    const found = await this.#repository.list(filter, { limit: limit + 1, after });
    const events = found.slice(0, limit);
    const last = found.length > limit ? events.at(-1) : undefined;
    const nextPageToken = last ? this.#tokens.seal([last.time.getTime(), last.eventId], sealedFor) : "";
    return { events: events.map(toProto), nextPageToken };
  }
}

function toFilter(request: ListAuditEventsRequest): AuditFilter {
  const { orderId, subject, action, actor, eventTimeFrom, eventTimeUntil } = request;
  return {
    orderId: orderId || undefined,
    subject: subject || undefined,
    action: action || undefined,
    actor: actor || undefined,
    from: wholeMs(eventTimeFrom),
    until: wholeMs(eventTimeUntil),
  };
}

/** Events are as old as a whole millisecond: what begins within one leaves it out. */
function wholeMs(time: Timestamp | undefined): Date | undefined {
  return time && new Date(timestampMs({ ...time, nanos: 0 }) + Math.ceil(time.nanos / 1e6));
}

function tokenFilter({ orderId, subject, action, actor, from, until }: AuditFilter): Json {
  const texts = [orderId, subject, action, actor].map((text) => text ?? "");
  return ["ListAuditEvents", ...texts, from?.getTime() ?? null, until?.getTime() ?? null];
}

function toCursor(cursor: Json | undefined): AuditPage["after"] {
  if (!Array.isArray(cursor)) return undefined;
  const [time, eventId] = cursor;
  return typeof time === "number" && typeof eventId === "string" ? { time: new Date(time), eventId } : undefined;
}

function toProto({ time, ...event }: AuditEvent) {
  return { ...event, eventTime: timestampFromDate(time) };
}
