// What tests of calls have in common.
import assert from "node:assert/strict";
import { ConnectError } from "@connectrpc/connect";

/** The error that a call ends with. */
export async function failure(call: Promise<unknown>): Promise<ConnectError> {
  const error = await call.then(
    () => assert.fail("the call succeeded"),
    (reason: unknown) => reason,
  );
  assert.ok(error instanceof ConnectError, String(error));
  return error;
}

/** All messages of a stream. */
export async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

/** A request stream of numbers. */
export async function* numbers(...values: number[]) {
  for (const number of values) yield { number };
}
