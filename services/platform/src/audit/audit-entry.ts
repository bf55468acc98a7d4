import { requestContext } from "#platform/context.ts";
import { decodeId, newId } from "#platform/id.ts";
import { redactText } from "#platform/redact/redact-text.ts";

/** Who caused an effect, and by which request. */
export interface AuditOrigin {
  readonly actor: string;
  /** Whom the actor acted for, as he has proved; the actor himself when it is left out. Stands in the details, as `on_behalf_of`. */
  readonly onBehalfOf?: string;
  readonly requestId: string;
  /** 32 hexadecimal digits; empty when there is no trace. */
  readonly traceId: string;
}

/** One effect, as the statement that has it is to write it down. Nothing in it may be personal. */
export interface AuditEntry {
  /** A noun and what was done with it, from the service's own constants: `payment.captured`. */
  readonly action: string;
  /** The order's id, as text. */
  readonly orderId?: string | undefined;
  /** What it happened to, when that is not the order; at most 200 characters. */
  readonly subject?: string | undefined;
  /** Amounts in minor units, quantities, from and to; made by our code, never by a caller. */
  readonly details?: Readonly<Record<string, string>> | undefined;
  readonly origin: AuditOrigin;
  /** Which entry of the statement's list it belongs to; its place in the list of events unless given. */
  readonly n?: number | undefined;
}

/** What a caller says about itself may be long; the log's columns are not. */
const longest = 200;
const control = /\p{Cc}/gu;
const traceIdForm = /^[\da-f]{32}$/;
/** What most of these texts are: an id with the name of a step, a service. They are harmless, and known at one look. */
const plain = /^(?:[0-7][0-9A-HJKMNP-TV-Z]{25}(?::[a-z-]{1,40})*|service:[a-z-]{1,40}|anonymous|)$/;

/**
 * Who causes what the running code is about to do. To be called where the work is submitted: a statement that serves many
 * callers runs in the context of none.
 *
 * @param requestId the id of the mutation; that of the call unless given
 * @param actor who does it when there is no call, for example `service:inventory` for what a sweep does
 */
export function auditOrigin(requestId?: string, actor?: string): AuditOrigin {
  const context = requestContext();
  const { traceId = "", onBehalfOf } = context;
  return {
    actor: harmless(actor ?? context.actor ?? "anonymous"),
    ...(actor === undefined && onBehalfOf !== undefined && { onBehalfOf: harmless(onBehalfOf) }),
    requestId: harmless(requestId ?? context.requestId ?? ""),
    traceId: traceIdForm.test(traceId) ? traceId : "",
  };
}

/** A text that a caller chose, without what should never be stored, and as long as a column takes it. */
export function harmless(text: string): string {
  if (plain.test(text)) return text;
  const bare = redactText(text).replace(control, "?");
  return bare.length <= longest ? bare : bare.slice(0, longest).toWellFormed();
}

/** Counts up within a list, so that the ids of its events sort as the list does. */
let sequence = 0;
const sequences = 65_536;

/** The events of one statement, as the text of the parameter that {@link insertAuditEvents} reads. */
export function auditEvents(entries: readonly AuditEntry[]): string {
  if (sequence + entries.length > sequences) sequence = 0;
  return JSON.stringify(entries.map(toRecord));
}

function toRecord(entry: AuditEntry, index: number): Record<string, unknown> {
  const { action, orderId, subject = "", details = {}, origin, n = index } = entry;
  const { actor, onBehalfOf, requestId, traceId } = origin;
  return {
    n,
    event_id: decodeId(newId(sequence++ % sequences)),
    action,
    order_id: orderId ? decodeId(orderId) : undefined,
    subject,
    details: onBehalfOf === undefined ? details : { ...details, on_behalf_of: onBehalfOf },
    actor,
    request_id: requestId,
    trace_id: traceId || undefined,
  };
}

/** What an insert of audit events may say besides. */
export interface InsertAuditOptions {
  /**
   * What the statement did, as rows `m` of which each has one event, at the place `m.n` of the list: `moved`. Where many events are written this is
   * for a database without hash joins, which would compare each event with each row.
   */
  readonly of?: string;
  /** Joins the events `a` with what the statement did, so that only effects are written: `join moved m on m.n = a.n`. */
  readonly join?: string;
  /** The details as an expression: `a.details || jsonb_build_object('from', m.status_before)`. Values are texts. */
  readonly details?: string;
  /** The action as an expression, when only the statement knows it: one of a few constants. */
  readonly action?: string;
}

/**
 * The insert that writes audit events: a part of the statement that has the effect, as `audited as (…)` or at its end.
 *
 * @param parameter the one with the text of {@link auditEvents}, for example `$4`
 */
export function insertAuditEvents(parameter: string, options: InsertAuditOptions = {}): string {
  const { of, join = "", details = "a.details", action = "a.action" } = options;
  const columns =
    "n int, event_id uuid, action text, order_id uuid, subject text, details jsonb, actor text, request_id text, trace_id uuid";
  const events =
    of === undefined
      ? `json_to_recordset(${parameter}::json) as a(${columns})`
      : `${of} m cross join lateral jsonb_to_record(${parameter}::jsonb -> m.n) as a(${columns})`;
  // biome-ignore lint/plugin/sql: called where statements are constants, with names of columns and parameters
  return `insert into audit_event (event_id, action, order_id, subject, details, actor, request_id, trace_id)
    select a.event_id, ${action}, a.order_id, a.subject, ${details}, a.actor, a.request_id, a.trace_id
    from ${events} ${join}`;
}
