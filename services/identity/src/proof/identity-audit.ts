import { type AuditEntry, auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import type { SqlText } from "#platform/database/sql-text.ts";

/** What is written down of people, sessions and keys. Never an address, never anything that somebody shows. */
export type IdentityAction =
  | "person.registered"
  | "person.erased"
  | "person.roles_set"
  | "person.sessions_ended"
  | "password.set"
  | "password.changed"
  | "password.refused"
  | "code.refused"
  | "recovery_code.used"
  | "second_factor.begun"
  | "second_factor.confirmed"
  | "second_factor.disabled"
  | "second_factor.reset"
  | "login.refused"
  | "session.begun"
  | "session.ended"
  | "session.stolen"
  | "api_key.created"
  | "api_key.revoked"
  | "signing_key.created"
  | "signing_key.replaced";

/** One effect; `subject` is whose it is, `actor` who caused it where the call has no credential: the same, unless given. */
export interface IdentityEffect {
  readonly action: IdentityAction;
  readonly subject: string;
  readonly details?: Readonly<Record<string, string>>;
  readonly actor?: string;
}

/** Writes effects; its parameter is the text of {@link effects}. */
export const audited: SqlText = { name: "audit-identity", text: insertAuditEvents("$1") };

/** Effects as the parameter of {@link audited}. */
export function effects(...given: readonly IdentityEffect[]): string {
  return auditEvents(given.map(toEntry));
}

function toEntry({ action, subject, details = {}, actor = subject }: IdentityEffect): AuditEntry {
  const proved = auditOrigin();
  const origin = proved.actor === "anonymous" && actor !== "" ? auditOrigin(undefined, actor) : proved;
  return { action, subject, details, origin };
}
