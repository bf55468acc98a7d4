import { type EventTypes, internal } from "#platform/events/event-types.ts";
import type { NotificationAction } from "./notification-audit.ts";

/** What becomes of each action in the audit log of notifications: it tells customers, and subscribers hear of what it tells them from others. */
export const notificationEvents = {
  "preferences.set": internal("How a customer wants to be told is between him and the service that tells him."),
  "notification.retried": internal("An operator has a notification sent again."),
  "recipient.erased": internal("The customer was erased, of which orders and identity tell."),
  "audit.read": internal("Somebody read the audit log."),
} as const satisfies EventTypes & Record<NotificationAction, unknown>;
