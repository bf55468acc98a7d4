import { auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import type { SqlText } from "#platform/database/sql-text.ts";

/** What is written down of endpoints. Never a URL, whose path may be a secret, and never what an endpoint said. */
export type WebhookAction =
  | "endpoint.created"
  | "endpoint.updated"
  | "endpoint.deleted"
  | "endpoint.enabled"
  | "endpoint.disabled"
  | "secret.rotated"
  | "deliveries.replayed";

/** One effect; `subject` is the endpoint, `actor` who caused it where there is no call. */
export interface WebhookEffect {
  readonly action: WebhookAction;
  readonly subject: string;
  readonly details?: Readonly<Record<string, string>>;
  readonly actor?: string;
}

/** Writes effects; its parameter is the text of {@link effects}. */
export const audited: SqlText = { name: "audit-webhooks", text: insertAuditEvents("$1") };

/** Effects as the parameter of a statement that writes them. */
export function effects(...given: readonly WebhookEffect[]): string {
  return auditEvents(
    given.map(({ action, subject, details = {}, actor }) => {
      return { action, subject, details, origin: auditOrigin(undefined, actor) };
    }),
  );
}
