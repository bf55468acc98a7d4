// What the contract of a card gateway's connector promises, each as something that is tried.
import { durationMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError } from "@connectrpc/connect";
import { PartVoid } from "#gen/ordermesh/connectors/v1/gateway_connector_service_pb.js";
import type { GatewayOutcome } from "#gen/ordermesh/connectors/v1/gateway_operation_pb.js";
import { BrokenPromise, type Held, nameOf, referenceOf, require, said, type Trial } from "./trial.ts";

/** A promise, and how it is tried. */
export interface TriedPromise<T = Trial> {
  readonly promise: string;
  /** Why it does not concern this connector; undefined when it does. */
  readonly without?: (trial: T) => string | undefined;
  /** @throws BrokenPromise */
  readonly keep: (trial: T) => Promise<void>;
}

const needsParts = ({ capabilities }: Trial) =>
  capabilities.maxCaptures < 2 ? "it does not capture in parts" : undefined;
const needsCaptures = ({ capabilities }: Trial) => (capabilities.maxCaptures < 1 ? "it does not capture" : undefined);
const sent = 8;

function same(results: readonly (GatewayOutcome["result"] | undefined)[], why: string): void {
  const all = new Set(results.map(said));
  require(all.size === 1, `${why}: ${[...all].join("; ")}`);
}

/** Captures all that is left of a hold, and then no more: shows how much was left. */
async function exhaust(trial: Trial, held: Held, tenths: number, why: string): Promise<void> {
  await trial.expect(trial.change("capture", held, tenths), "approved", why);
  await trial.expect(trial.change("capture", held, 1), "declined", why);
}

async function capabilities({ capabilities: said }: Trial): Promise<void> {
  const { maxCaptures, partVoid, keyLifetime, maxOperations, maxOperationsPerSecond } = said;
  require(maxCaptures >= 0, `max_captures is ${maxCaptures}`);
  require(partVoid !== PartVoid.UNSPECIFIED && PartVoid[partVoid] !== undefined, "part_void is not said");
  require(maxOperations >= 1 && maxOperations <= 256, `max_operations is ${maxOperations}, not 1 to 256`);
  require(maxOperationsPerSecond >= 0, `max_operations_per_second is ${maxOperationsPerSecond}`);
  require(!keyLifetime || durationMs(keyLifetime) > 0, "key_lifetime is not above 0");
  for (const { currency, minAmount } of said.currencies) {
    require(/^[A-Z]{3}$/.test(currency) && minAmount >= 0n, `${currency} with at least ${minAmount} is no currency`);
  }
}

async function declines(trial: Trial): Promise<void> {
  const operation = trial.authorization("declined");
  const first = await trial.expect(operation, "declined", "the card that is to be declined");
  require(first.case === "declined" && first.value.code !== "", "a refusal has no code");
  const [again] = await trial.execute([operation]);
  const [found] = await trial.find([operation]);
  same([first, again?.result, found?.result], "a refusal is not the same again");
}

async function repeats(trial: Trial): Promise<void> {
  const { operation, reference } = await trial.held();
  const [again] = await trial.execute([operation]);
  const [found] = await trial.find([operation]);
  for (const outcome of [again, found]) {
    require(referenceOf(outcome?.result ?? { case: undefined }) ===
      reference, `an authorization with the same key is ${said(outcome?.result)} later, with another reference`);
  }
}

async function onceAtTheSameTime(trial: Trial): Promise<void> {
  const held = await trial.held();
  const capture = trial.change("capture", held, 3);
  await Promise.allSettled(Array.from({ length: sent }, () => trial.execute([capture])));
  const result = await trial.settle(capture, true);
  require(result.case === "approved", `a capture that was sent ${sent} times at once is ${said(result)}`);
  await exhaust(trial, held, 7, `a capture that was sent ${sent} times at once had its effect once`);
}

async function lostAnswers(trial: Trial): Promise<void> {
  const operation = trial.authorization();
  await trial.lose(operation);
  const found = await trial.settle(operation, true);
  require(found.case === "approved", `an authorization whose answer was lost is ${said(found)} when it is asked for`);
  const held = { operation, reference: referenceOf(found) };
  const capture = trial.change("capture", held, 4);
  await trial.lose(capture);
  await trial.lose(capture);
  await trial.expect(capture, "approved", "a capture whose answer was lost");
  await exhaust(trial, held, 6, "a capture whose answer was lost had its effect once");
}

async function reusedKeys(trial: Trial): Promise<void> {
  const { operation, reference } = await trial.held();
  const other = { ...operation, amount: { ...operation.amount, amount: trial.tenths(5) } } as typeof operation;
  const [outcome] = await trial.execute([other]);
  require(outcome?.result.case === "keyReused", `another amount under a key that was used is ${said(outcome?.result)}`);
  const capture = { ...trial.change("capture", { reference }, 1), key: operation.key };
  const [changed] = await trial.execute([capture]);
  require(changed?.result.case === "keyReused", `another kind under a key that was used is ${said(changed?.result)}`);
  const [found] = await trial.find([operation]);
  require(referenceOf(found?.result ?? { case: undefined }) === reference, "what a key was first used for is lost");
}

async function unknownKeys(trial: Trial): Promise<void> {
  const operation = trial.authorization();
  const [unknown] = await trial.find([operation]);
  require(unknown?.result.case === "notExecuted", `what was never sent is ${said(unknown?.result)}`);
  const [still] = await trial.find([operation]);
  require(still?.result.case === "notExecuted", `what was only asked for is ${said(still?.result)}`);
  await trial.expect(operation, "approved", "what was asked for before it was sent");
}

async function apart(trial: Trial): Promise<void> {
  const good = trial.authorization();
  const bad = trial.authorization("declined");
  const [first, second] = await trial.execute([good, bad]);
  const results = [first?.result, second?.result].map((result) => result?.case);
  const open = new Set(["processing", "undetermined", undefined]);
  require(results[0] === "approved" || open.has(results[0]), `the first of two is ${results[0]}`);
  require(results[1] === "declined" || open.has(results[1]), `the second of two is ${results[1]}`);
  const settled = [await trial.settle(good, true), await trial.settle(bad, true)];
  require(settled[0]?.case === "approved" &&
    settled[1]?.case === "declined", "outcomes are not in the order of operations");
}

async function unknownAuthorization(trial: Trial): Promise<void> {
  const held = { reference: "no-such-authorization" };
  await trial.expect(trial.change("capture", held, 1), "declined", "a capture of an authorization that there is not");
}

async function parts(trial: Trial): Promise<void> {
  const held = await trial.held();
  await trial.expect(trial.change("capture", held, 3), "approved", "a capture of a part");
  await trial.expect(trial.change("capture", held, 8), "declined", "a capture of more than is left");
  await exhaust(trial, held, 7, "a capture of the rest");
}

async function finals(trial: Trial): Promise<void> {
  const held = await trial.held();
  await trial.expect(trial.change("capture", held, 3, true), "approved", "a capture that says that it is the last");
  await trial.expect(trial.change("capture", held, 1), "declined", "a capture after the last one");
}

async function partVoids(trial: Trial): Promise<void> {
  const held = await trial.held();
  const part = trial.change("void", held, 4);
  if (trial.capabilities.partVoid === PartVoid.NONE) {
    await trial.expect(part, "declined", "part_void is NONE");
    return;
  }
  await trial.expect(part, "approved", "part_void is not NONE");
  if (trial.capabilities.partVoid === PartVoid.NOW) await exhaust(trial, held, 6, "a part was voided");
}

async function voids(trial: Trial): Promise<void> {
  const held = await trial.held();
  await trial.expect(trial.change("void", held, 10, true), "approved", "a void of all that is held");
  await trial.expect(trial.change("capture", held, 1), "declined", "a capture after a void");
}

async function refunds(trial: Trial): Promise<void> {
  const held = await trial.held();
  await trial.expect(trial.change("refund", held, 1), "declined", "a refund of what was not captured");
  await trial.expect(trial.change("capture", held, 10, true), "approved", "a capture of all that is held");
  await trial.expect(trial.change("refund", held, 6), "approved", "a refund of a part");
  await trial.expect(trial.change("refund", held, 5), "declined", "a refund of more than is left");
  await trial.expect(trial.change("refund", held, 4), "approved", "a refund of the rest");
}

async function smallest(trial: Trial): Promise<void> {
  const [first] = trial.capabilities.currencies.filter(({ minAmount }) => minAmount > 1n);
  if (!first) return;
  const amount = { currency: first.currency, amount: first.minAmount - 1n };
  await trial.expect(trial.authorization("approved", amount), "declined", "less than the smallest amount");
}

async function lists(trial: Trial): Promise<void> {
  const held = await trial.held();
  await trial.expect(trial.change("capture", held, 2), "approved", "a capture of a part");
  const missing = new Map(trial.done);
  let afterKey = "";
  for (;;) {
    const { operations, more } = await trial.connector.listOperations({ afterKey, limit: 50 });
    require(operations.length <= 50, `${operations.length} operations were listed, where 50 were asked for`);
    for (const listed of operations) {
      require(listed.key > afterKey, `${listed.key} is listed behind ${afterKey}`);
      afterKey = listed.key;
      const known = missing.get(listed.key);
      if (!known) continue;
      missing.delete(listed.key);
      const { operation, authorizationKey } = known;
      const asSent = listed.kind === operation.kind && listed.amount?.amount === operation.amount?.amount;
      require(asSent &&
        listed.amount?.currency === operation.amount?.currency, `${nameOf(operation)} is listed as something else`);
      require(listed.authorizationKey === authorizationKey, `${nameOf(operation)} is listed of another authorization`);
      require(listed.outcome?.result.case ===
        "approved", `${nameOf(operation)} is listed as ${said(listed.outcome?.result)}`);
      require(!listed.outside, `${nameOf(operation)} is listed as somebody else's, and was asked for`);
    }
    if (!more) break;
    require(operations.length > 0, "there is more to list, and nothing is listed");
  }
  const [lost] = missing.values();
  require(!lost, lost ? `${nameOf(lost.operation)} is not listed` : "");
  await listsPart(trial, held);
}

async function listsPart(trial: Trial, held: Held): Promise<void> {
  const { key } = held.operation;
  const { operations } = await trial.connector.listOperations({ afterKey: keyBefore(key), toKey: key });
  require(operations.length === 1 &&
    operations[0]?.key === key, `of one key, ${operations.length} operations are listed`);
  const captured = operations[0]?.amounts?.captured;
  require(captured === trial.tenths(2), `an authorization is listed with ${captured} captured, not ${trial.tenths(2)}`);
}

function keyBefore(key: string): string {
  const hex = (BigInt(`0x${key.replaceAll("-", "")}`) - 1n).toString(16).padStart(32, "0");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

async function findsWithoutEffect(trial: Trial): Promise<void> {
  const held = await trial.held();
  const capture = trial.change("capture", held, 5);
  await trial.find([capture]);
  await exhaust(trial, held, 10, "a capture that was only asked for");
}

/** All of them. */
export const promises: readonly TriedPromise[] = [
  { promise: "it says what it can", keep: capabilities },
  { promise: "a refusal has a code, and stays one", keep: declines },
  { promise: "a key has the same answer each time", keep: repeats },
  { promise: "what was never sent is not executed, and can be sent afterwards", keep: unknownKeys },
  { promise: "asking has no effect", without: needsCaptures, keep: findsWithoutEffect },
  { promise: "what is sent several times at once has one effect", without: needsParts, keep: onceAtTheSameTime },
  {
    promise: "an answer that is lost can be asked for, and what is sent again has no second effect",
    without: needsParts,
    keep: lostAnswers,
  },
  { promise: "a key that was used for something else is refused", keep: reusedKeys },
  {
    promise: "operations of one call have their own outcomes, in their order",
    without: ({ capabilities }) => (capabilities.maxOperations < 2 ? "it takes one operation in a call" : undefined),
    keep: apart,
  },
  { promise: "what belongs to no authorization is declined", without: needsCaptures, keep: unknownAuthorization },
  { promise: "parts are captured, and no more than is held", without: needsParts, keep: parts },
  { promise: "after the last operation nothing is held", without: needsParts, keep: finals },
  { promise: "parts are voided as it says", without: needsParts, keep: partVoids },
  { promise: "what is voided cannot be captured", without: needsCaptures, keep: voids },
  { promise: "no more is refunded than was captured", without: needsCaptures, keep: refunds },
  { promise: "less than the smallest amount is declined", keep: smallest },
  { promise: "all that was done is listed, as it was sent, in the order of keys", without: needsParts, keep: lists },
];

/** What came of trying a promise; `broken` says what is wrong, `without` why it was not tried. */
export interface PromiseResult {
  readonly promise: string;
  readonly broken?: string;
  readonly without?: string;
}

/** Whether a connector does not take who calls: then nothing is known of its promises. */
export function isRefusedCaller(error: unknown): boolean {
  return error instanceof ConnectError && [Code.Unauthenticated, Code.PermissionDenied].includes(error.code);
}

/** Tries one promise. @throws ConnectError when the connector does not take who calls */
export async function tryPromise<T>(trial: T, { promise, without, keep }: TriedPromise<T>): Promise<PromiseResult> {
  const reason = without?.(trial);
  if (reason !== undefined) return { promise, without: reason };
  try {
    await keep(trial);
    return { promise };
  } catch (error) {
    if (error instanceof BrokenPromise) return { promise, broken: error.message };
    if (isRefusedCaller(error)) throw error;
    return { promise, broken: `a call failed: ${(error as Error).message}` };
  }
}
