import type { DescMessage, MessageInitShape } from "@bufbuild/protobuf";
import type { AuditEvent } from "#platform/audit/audit-event.ts";

/** What subscribers are told of an effect. */
export interface ToldEvent<Schema extends DescMessage = DescMessage> {
  /** The message of `shop.events.v1` that says it. */
  readonly schema: Schema;
  /** Makes the message of what the audit log says. What it leaves out, nobody is told. */
  readonly say: (event: AuditEvent) => MessageInitShape<Schema>;
}

/** An effect of which subscribers are told nothing. */
export interface InternalEvent {
  /** Why not. */
  readonly internal: string;
}

/** Every action that a service's audit log may name, and what becomes of it. */
export type EventTypes = Readonly<Record<string, ToldEvent | InternalEvent>>;

/** A told event, with its message as the compiler knows it. */
export function told<Schema extends DescMessage>(schema: Schema, say: ToldEvent<Schema>["say"]): ToldEvent {
  return { schema, say } as unknown as ToldEvent;
}

/** One that only the audit log has. */
export function internal(why: string): InternalEvent {
  return { internal: why };
}

/** Whether subscribers are told. */
export function isTold(type: ToldEvent | InternalEvent): type is ToldEvent {
  return "schema" in type;
}
