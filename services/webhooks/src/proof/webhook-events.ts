import { type EventTypes, internal } from "#platform/events/event-types.ts";
import type { WebhookAction } from "./webhook-audit.ts";

/** Who is told of events is no event: it would be told to the others. */
const own = internal("It is about who is told, and for admins and auditors alone.");

/** What becomes of each action in the audit log of webhooks. */
export const webhookEvents = {
  "endpoint.created": own,
  "endpoint.updated": own,
  "endpoint.deleted": own,
  "endpoint.enabled": own,
  "endpoint.disabled": own,
  "secret.rotated": own,
  "deliveries.replayed": own,
  "audit.read": internal("Somebody read the audit log."),
} as const satisfies EventTypes & Record<WebhookAction, unknown>;
