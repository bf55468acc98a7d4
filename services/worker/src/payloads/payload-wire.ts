import type { Payload } from "@temporalio/common";
import protos from "@temporalio/proto";

const { Payload: Wire } = protos.temporal.api.common.v1;

/** A payload as Temporal's contract has it on the wire. */
export function payloadToBytes(payload: Payload): Uint8Array {
  return Wire.encode(payload).finish();
}

/** @throws Error when the bytes are no payload */
export function payloadFromBytes(bytes: Uint8Array): Payload {
  const { metadata, data } = Wire.decode(bytes);
  return { metadata, data };
}
