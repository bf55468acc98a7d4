import { hash } from "node:crypto";
import { type DescMessage, type MessageShape, toBinary, toJson } from "@bufbuild/protobuf";
import { PlatformErrorReason } from "#gen/shop/type/v1/platform_error_reason_pb.js";
import { canonicalJson } from "#platform/canonical-json.ts";
import { PlatformError } from "#platform/errors.ts";
import { isUniqueViolation } from "./sql-state.ts";
import type { SqlText } from "./sql-text.ts";
import type { Queryable } from "./transaction.ts";

/** A mutation as its caller names it. */
export interface Keyed {
  /** Empty for work that nobody asks for twice (a sweep): it has no key and no row. */
  readonly requestId: string;
  /** From {@link fingerprint}: tells a repetition from another request under the same id. */
  readonly fingerprint: Buffer;
}

/** Whose request ids are apart from those of others. Neither the method nor what the scope is ever changes: both are stored. */
export interface KeySpace<I> {
  /** For example `ReserveStock`; by input when a batch mixes methods. */
  readonly method: string | ((input: I) => string);
  /** Who asks, as far as the request says so: the customer, the order, the payment, the location; else the actor. */
  readonly scope: (input: I) => string;
}

/** The first column of an input's key: `CreateOrder/01J…`. */
export function keyMethod<I>(space: KeySpace<I>, input: I): string {
  return `${methodOf(space, input)}/${space.scope(input)}`;
}

/** One row of `idempotency_key`, to be written by the statement that has the effect. */
export interface IdempotencyRow extends Keyed {
  /** From {@link keyMethod}. */
  readonly method: string;
  /** What a repetition is answered with, encoded. */
  readonly response: Uint8Array;
}

/**
 * The statements that create the table for a service; called by its first migration, and therefore never changed.
 * The answer is kept beside the fingerprint, so that a repetition gets the first answer even after things moved on.
 */
export function idempotencyTable(role: string): string[] {
  return [
    `create table idempotency_key (
      method text not null,
      request_id text not null,
      fingerprint bytea not null,
      response bytea not null,
      create_time timestamptz not null default now(),
      constraint idempotency_key_pkey primary key (method, request_id)
    )`,
    "create index idempotency_key_create_time_idx on idempotency_key using brin (create_time)",
    `grant select, insert, delete on idempotency_key to ${role}`,
  ];
}

/** SHA-256 of a request's content; the same for the same content, however a client ordered its maps. */
export function fingerprint<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): Buffer {
  const bytes = hasMap(schema)
    ? canonicalJson(toJson(schema, message))
    : toBinary(schema, message, { writeUnknownFields: false });
  return hash("sha256", bytes, "buffer");
}

/**
 * The array parameters ($1 to $4) of an insert that writes the rows as
 * `insert into idempotency_key (method, request_id, fingerprint, response)
 *  select * from unnest($1::text[], $2::text[], $3::bytea[], $4::bytea[])`.
 */
export function idempotencyColumns(unsorted: readonly IdempotencyRow[]): [string[], string[], Buffer[], Uint8Array[]] {
  // Two batches with the same ids wait for each other's keys: in one order, or they would deadlock.
  const rows = [...unsorted].sort((a, b) => (keyOf(a.requestId, a.method) < keyOf(b.requestId, b.method) ? -1 : 1));
  return [
    rows.map((row) => row.method),
    rows.map((row) => row.requestId),
    rows.map((row) => row.fingerprint),
    rows.map((row) => row.response),
  ];
}

/** How {@link replayable} works on one kind of mutation. */
export interface ReplayableOptions<I extends Keyed, O> extends KeySpace<I> {
  readonly database: Queryable;
  /** Has the effect and writes the rows of `idempotency_key` with it, without looking for them first. */
  readonly run: (inputs: I[]) => Promise<(O | Error)[]>;
  /** The reverse of what `run` wrote as `response`. */
  readonly decode: (response: Buffer, input: I) => O;
  /** Told of repetitions before they have their first answer; says which are refused all the same. */
  readonly onRepeated?: (inputs: I[]) => Promise<readonly (Error | undefined)[]>;
}

/** Other processes may write the same ids meanwhile; more often than this is a fault. */
const maxRounds = 4;

/**
 * Makes a batch's work repeatable. It is optimistic: `run` looks for no keys. Only when a key is there already (the whole
 * batch was rolled back then) the keys are read, repetitions are answered with the first answer or refused with
 * REQUEST_ID_REUSED, and the rest is run again. Before an entry is refused, its key is looked for too: what cannot be done
 * any more may have been done before. While there are keys of the version that had no scopes, they are looked for first.
 */
export function replayable<I extends Keyed, O>(
  options: ReplayableOptions<I, O>,
): (inputs: I[]) => Promise<(O | Error)[]> {
  return async (inputs) => {
    const outputs = new Array<O | Error>(inputs.length);
    let open = [...inputs.keys()];
    const first = (await hasUnscoped(options, inputs)) ? 0 : 1;
    for (let round = 0; open.length > 0; round += 1) {
      if (round >= first) open = await replay(options, { inputs, outputs, open });
      const now = firstOfEachKey(options, inputs, open);
      const results = await runUnlessKnown(options, { batch: now.map((index) => inputs[index] as I), round });
      if (!results) continue;
      for (const [position, index] of now.entries()) outputs[index] = results[position] as O | Error;
      const done = new Set(now);
      open = open.filter((index) => !done.has(index));
    }
    const refused = [...inputs.keys()].filter(
      (index) => outputs[index] instanceof Error && inputs[index]?.requestId !== "",
    );
    if (refused.length > 0) await replay(options, { inputs, outputs, open: refused });
    return outputs;
  };
}

/** Undefined when one of the keys was there already. */
async function runUnlessKnown<I extends Keyed, O>(
  options: ReplayableOptions<I, O>,
  { batch, round }: { batch: I[]; round: number },
): Promise<(O | Error)[] | undefined> {
  try {
    return await options.run(batch);
  } catch (error) {
    if (isUniqueViolation(error, "idempotency_key_pkey") && round < maxRounds) return undefined;
    throw error;
  }
}

interface Round<I, O> {
  readonly inputs: I[];
  readonly outputs: (O | Error)[];
  readonly open: number[];
}

/** The same key twice in one batch: the second is judged when the first has its answer. */
function firstOfEachKey<I extends Keyed, O>(options: ReplayableOptions<I, O>, inputs: I[], open: number[]): number[] {
  const seen = new Set<string>();
  return open.filter((index) => {
    const input = inputs[index] as I;
    if (input.requestId === "") return true;
    const key = keyOf(keyMethod(options, input), input.requestId);
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

/** One index look-up for each key, also by a plan that was made while the table was empty. */
const findKeys: SqlText = {
  name: "idempotency_find",
  text: `select k.* from unnest($1::text[], $2::text[]) as i (method, request_id) cross join lateral (
      select method, request_id, fingerprint, response from idempotency_key
      where idempotency_key.method = i.method and idempotency_key.request_id = i.request_id limit 1
    ) k`,
};

interface KeyRow {
  method: string;
  request_id: string;
  fingerprint: Buffer;
  response: Buffer;
}

/** Answers what was done before; returns what is still to be done. */
async function replay<I extends Keyed, O>(options: ReplayableOptions<I, O>, round: Round<I, O>): Promise<number[]> {
  const inputs = round.open.map((index) => round.inputs[index] as I);
  // With a scope, and without one as the version before wrote them: whose those are is not known.
  const methods = inputs.flatMap((input) => [keyMethod(options, input), methodOf(options, input)]);
  const ids = inputs.flatMap(({ requestId }) => [requestId, requestId]);
  const rows = await options.database.query<KeyRow>(findKeys, [methods, ids]);
  const known = new Map(rows.map((row) => [keyOf(row.method, row.request_id), row]));
  const repeated: number[] = [];
  const open = round.open.filter((index) => {
    const input = round.inputs[index] as I;
    const method = methodOf(options, input);
    const row =
      known.get(keyOf(keyMethod(options, input), input.requestId)) ?? known.get(keyOf(method, input.requestId));
    if (!row) return true;
    const same = row.fingerprint.equals(input.fingerprint);
    round.outputs[index] = same ? options.decode(row.response, input) : reused(method, input.requestId);
    if (same) repeated.push(index);
    return false;
  });
  await refuseRepeated(options, round, repeated);
  return open;
}

async function refuseRepeated<I extends Keyed, O>(
  { onRepeated }: ReplayableOptions<I, O>,
  { inputs, outputs }: Round<I, O>,
  repeated: readonly number[],
): Promise<void> {
  if (!onRepeated || repeated.length === 0) return;
  const refusals = await onRepeated(repeated.map((index) => inputs[index] as I));
  for (const [place, index] of repeated.entries()) outputs[index] = refusals[place] ?? (outputs[index] as O);
}

const findUnscoped: SqlText = {
  name: "idempotency_unscoped",
  text: "select exists (select from idempotency_key where method = $1) as found",
};

/** How long it holds that there are none, in milliseconds: while a rollout goes on, the version before writes more of them. */
const noneForMs = 1_000;
/** What was found of each database's methods; keys that are there stay until they are forgotten. */
const unscoped = new WeakMap<Queryable, Map<string, { readonly found: boolean; readonly until: number }>>();

/** Whether there are keys without a scope of one of these methods. */
async function hasUnscoped<I extends Keyed, O>(
  options: ReplayableOptions<I, O>,
  inputs: readonly I[],
): Promise<boolean> {
  const { database } = options;
  const known = unscoped.get(database) ?? new Map<string, { found: boolean; until: number }>();
  unscoped.set(database, known);
  const now = performance.now();
  for (const method of new Set(inputs.map((input) => methodOf(options, input)))) {
    if (now < (known.get(method)?.until ?? 0)) continue;
    const [row] = await database.query<{ found: boolean }>(findUnscoped, [method]);
    const found = row?.found ?? false;
    known.set(method, { found, until: found ? Number.POSITIVE_INFINITY : now + noneForMs });
  }
  return inputs.some((input) => known.get(methodOf(options, input))?.found);
}

function methodOf<I>({ method }: KeySpace<I>, input: I): string {
  return typeof method === "string" ? method : method(input);
}

function keyOf(method: string, requestId: string): string {
  return `${method}\n${requestId}`;
}

function reused(method: string, requestId: string): Error {
  const metadata = { request_id: requestId, method };
  return new PlatformError(
    PlatformErrorReason.REQUEST_ID_REUSED,
    `the request id "${requestId}" was used before with another body`,
    metadata,
  );
}

const purge: SqlText = {
  name: "idempotency_purge",
  text: `delete from idempotency_key where ctid = any(array(
    select ctid from idempotency_key where create_time < now() - $1 * interval '1 millisecond' limit $2)) returning 1`,
};

/** Forgets keys that are older than the retention; returns how many there were, at most `limit`. For a `Relay`. */
export async function purgeIdempotencyKeys(database: Queryable, retentionMs: number, limit = 5_000): Promise<number> {
  const rows = await database.query(purge, [retentionMs, limit]);
  return rows.length;
}

const mapSchemas = new WeakMap<DescMessage, boolean>();

function hasMap(schema: DescMessage): boolean {
  const known = mapSchemas.get(schema);
  if (known !== undefined) return known;
  // A message that contains itself is judged by its other fields.
  mapSchemas.set(schema, false);
  const found = schema.fields.some(
    (field) => field.fieldKind === "map" || (field.message !== undefined && hasMap(field.message)),
  );
  mapSchemas.set(schema, found);
  return found;
}
