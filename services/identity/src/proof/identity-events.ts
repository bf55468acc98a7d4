import { PersonEventSchema } from "#gen/shop/events/v1/customer_event_pb.js";
import { type EventTypes, internal, told } from "#platform/events/event-types.ts";
import type { IdentityAction } from "./identity-audit.ts";

const person = told(PersonEventSchema, ({ subject, details }) => ({
  personId: subject,
  roles: details.roles?.split(" ").filter(Boolean) ?? [],
}));

/** Who watches for those reads the audit log. */
const security = internal("It is about proving who somebody is, and for auditors alone.");

/** What becomes of each action in the audit log of identity. */
export const identityEvents = {
  "person.registered": person,
  "person.erased": person,
  "person.roles_set": person,
  "person.sessions_ended": security,
  "password.set": security,
  "password.changed": security,
  "password.refused": security,
  "code.refused": security,
  "recovery_code.used": security,
  "second_factor.begun": security,
  "second_factor.confirmed": security,
  "second_factor.disabled": security,
  "second_factor.reset": security,
  "login.refused": security,
  "session.begun": security,
  "session.ended": security,
  "session.stolen": security,
  "api_key.created": security,
  "api_key.revoked": security,
  "signing_key.created": security,
  "signing_key.replaced": security,
  "audit.read": internal("Somebody read the audit log."),
} as const satisfies EventTypes & Record<IdentityAction, unknown>;
