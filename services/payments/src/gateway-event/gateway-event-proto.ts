import {
  DisputeState,
  type GatewayEvent as GatewayEventMessage,
} from "#gen/ordermesh/connectors/v1/gateway_event_pb.js";
import { outsideId, outsideText } from "#platform/redact/outside-text.ts";
import type { DisputeState as State } from "../dispute/dispute.ts";
import { toDate } from "../gateway/gateway-proto.ts";
import type { GatewayEvent, Happening } from "./gateway-event.ts";

const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** The longest texts that are kept, in characters. */
const longest = { position: 64, eventId: 128, text: 64 } as const;

const states: Readonly<Partial<Record<DisputeState, State>>> = {
  [DisputeState.OPEN]: "open",
  [DisputeState.WON]: "won",
  [DisputeState.LOST]: "lost",
};

/** An event that says what the contract wants; undefined for another one, of which nothing can be made. */
export function toGatewayEvent(message: GatewayEventMessage): GatewayEvent | undefined {
  const { position, eventId, authorizationKey } = message;
  const happening = toHappening(message);
  const isNamed = eventId !== "" && eventId.length <= longest.eventId && isPosition(position);
  const isKnown = isNamed && uuid.test(authorizationKey);
  if (!happening || !isKnown) return undefined;
  return { eventId: outsideId(eventId, longest.eventId), authorizationKey, happening };
}

/** Whether it can be read on behind an event. */
export function isPosition(position: string): boolean {
  return position !== "" && position.length <= longest.position && /^[!-~]*$/.test(position);
}

function toHappening({ event, time }: GatewayEventMessage): Happening | undefined {
  switch (event.case) {
    case "refundFailed": {
      const { key, code } = event.value;
      return uuid.test(key) ? { kind: "refund_failed", key, code: outsideText(code, longest.text) } : undefined;
    }
    case "holdEnded":
      return { kind: "hold_ended" };
    case "disputed": {
      const { disputeId, state: said, reason, amount, respondByTime } = event.value;
      const state = states[said];
      if (!state || !amount || !/^[A-Z]{3}$/.test(amount.currency) || amount.amount <= 0n) return undefined;
      const texts = { disputeId: outsideId(disputeId, longest.text), reason: outsideText(reason, longest.text) };
      const times = { respondByTime: toDate(respondByTime), asOfTime: toDate(time) };
      return { kind: "disputed", state, ...texts, currency: amount.currency, amount: amount.amount, ...times };
    }
    default:
      return undefined;
  }
}
