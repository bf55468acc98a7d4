import { auditEvents, auditOrigin } from "#platform/audit/audit-entry.ts";

/** What is written down of what people have the service do. */
export type NotificationAction = "preferences.set" | "notification.retried" | "recipient.erased";

/** One effect; `subject` is the customer or the notification, `actor` who caused it where there is no call. */
export interface NotificationEffect {
  readonly action: NotificationAction;
  readonly subject: string;
  readonly details?: Readonly<Record<string, string>>;
  readonly actor?: string;
}

/** Effects as the parameter of a statement that writes them, each with its place. */
export function effects(...given: readonly NotificationEffect[]): string {
  return auditEvents(
    given.map(({ action, subject, details = {}, actor }) => {
      return { action, subject, details, origin: auditOrigin(undefined, actor) };
    }),
  );
}
