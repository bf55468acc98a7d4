import { selectList, writtenColumns } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import {
  KeyReusedError,
  type OperationKind,
  type RecordRow,
  type SimulatorCall,
  type SimulatorRecord,
} from "./gateway-operation.ts";

/** What a call on a card comes to. An error instead: the call fails without any effect. */
export interface Plan {
  /** Empty: approved, if the amounts allow it. */
  readonly declineCode: string;
  /** How long the decision takes. */
  readonly delayMs: number;
}

/** How the gateway is that remembers. */
export interface RecordOptions {
  readonly planOf: Planner;
  /** Whether the void of a part is kept for the last operation of its authorization. */
  readonly defers: boolean;
  /** Whether the first capture of an authorization is its last operation. */
  readonly once: boolean;
}

/** Decides what a call on a card comes to. */
export type Planner = (call: SimulatorCall, cardToken: string) => Plan | Error;

/** A piece of what was done, in the order of keys. */
export interface RecordPage {
  /** The last key before it; from the first one when it is empty. */
  readonly after: string;
  /** The last key that may be in it; any when it is empty. */
  readonly to: string;
  readonly limit: number;
}

const columns = selectList<RecordRow>(
  {
    key: true,
    kind: true,
    authorizationKey: true,
    cardToken: true,
    currency: true,
    amount: true,
    declineCode: true,
    createTime: true,
    remainingMs: "greatest(0, extract(epoch from r.decide_time - clock_timestamp()) * 1000)::int",
    captured: true,
    voided: true,
    refunded: true,
    deferred: true,
  },
  "r",
);

/** A record as it is inserted; the amounts travel as text: JSON numbers are floating point. */
interface InsertedRecord {
  readonly key: string;
  readonly kind: OperationKind;
  readonly authorization_key: string;
  readonly card_token: string;
  readonly currency: string;
  readonly amount: string;
  readonly decline_code: string;
  /** The decision's time is reckoned from it. */
  readonly remaining_ms: number;
}

const inserted = writtenColumns<Omit<InsertedRecord, "remaining_ms">>({
  key: "uuid",
  kind: "text",
  authorization_key: "uuid",
  card_token: "text",
  currency: "text",
  amount: "bigint",
  decline_code: "text",
});

/** What of an authorization its changes move, with its key. */
interface MovedRecord {
  readonly key: string;
  readonly captured: string;
  readonly voided: string;
  readonly refunded: string;
  readonly deferred: string;
}

const moved = writtenColumns<Omit<MovedRecord, "key">>({
  captured: "bigint",
  voided: "bigint",
  refunded: "bigint",
  deferred: "bigint",
});

const insert = `insert into gateway_record as r (${inserted.names}, decide_time)
  select ${inserted.names}, now() + remaining_ms * interval '1 millisecond'
  from json_to_recordset($1::json) as g(${inserted.typed}, remaining_ms bigint)
  order by key on conflict (key) do nothing`;

const authorize: SqlText = { name: "simulator_authorize", text: `${insert} returning ${columns}` };
const find: SqlText = {
  name: "simulator_find",
  text: `select ${columns} from gateway_record r where r.key = any($1::uuid[])`,
};
const lock: SqlText = {
  name: "simulator_lock",
  text: `select ${columns} from gateway_record r where r.key = any($1::uuid[]) order by r.key
    for no key update`,
};
const list: SqlText = {
  name: "simulator_list",
  text: `select ${columns} from gateway_record r
    where r.key > coalesce(nullif($1, ''), '00000000-0000-0000-0000-000000000000')::uuid
      and r.key <= coalesce(nullif($2, ''), 'ffffffff-ffff-ffff-ffff-ffffffffffff')::uuid
    order by r.key limit $3`,
};
const change: SqlText = {
  name: "simulator_change",
  text: `with moved as (
      update gateway_record r set ${moved.assigned("g")}
      from json_to_recordset($2::json) as g(key uuid, ${moved.typed})
      where r.key = any($3::uuid[]) and r.key = g.key)
    ${insert}`,
};

/** The memory of the simulated gateway, in transactions of its own: what it did stays done when the service dies. */
export class GatewayRecordRepository {
  readonly #database: Database;
  readonly #options: RecordOptions;

  constructor(database: Database, options: RecordOptions) {
    this.#database = database;
    this.#options = options;
  }

  /** Takes authorizations; the ones that are known stay as they are. */
  async authorize(calls: SimulatorCall[]): Promise<(SimulatorRecord | Error)[]> {
    const plans = calls.map((call) => this.#options.planOf(call, call.cardToken));
    const rows = calls.flatMap((call, index) => {
      const plan = plans[index];
      return !plan || plan instanceof Error ? [] : [toInserted(newRow(call, plan, call.cardToken))];
    });
    const fresh = byKey(await this.#database.query<RecordRow>(authorize, [JSON.stringify(rows)]));
    const missing = calls.filter((call) => !fresh.has(call.key)).map((call) => call.key);
    const known = missing.length > 0 ? await this.#rows(missing) : fresh;
    return calls.map((call, index) => {
      const row = fresh.get(call.key) ?? known.get(call.key);
      const plan = plans[index];
      return !row && plan instanceof Error ? plan : toRecord(call, row, fresh.has(call.key));
    });
  }

  /** Captures, voids and refunds; refused when the authorization does not have the amount. */
  change(calls: SimulatorCall[]): Promise<(SimulatorRecord | Error)[]> {
    return this.#database.transaction((tx) => this.#change(tx, calls));
  }

  /** What is known of these keys. */
  async find(keys: string[]): Promise<(SimulatorRecord | undefined)[]> {
    const rows = await this.#rows(keys);
    return keys.map((key) => {
      const row = rows.get(key);
      return row && { ...row, fresh: false };
    });
  }

  /** What was done, in the order of keys. */
  list({ after, to, limit }: RecordPage): Promise<RecordRow[]> {
    return this.#database.query<RecordRow>(list, [after, to, limit]);
  }

  async #rows(keys: string[]): Promise<Map<string, RecordRow>> {
    return byKey(await this.#database.query<RecordRow>(find, [keys]));
  }

  async #change(tx: Transaction, calls: SimulatorCall[]): Promise<(SimulatorRecord | Error)[]> {
    const [authorizations, known] = await Promise.all([
      tx.query<RecordRow>(lock, [[...new Set(calls.map((call) => call.authorizationKey))]]),
      tx.query<RecordRow>(find, [calls.map((call) => call.key)]),
    ]);
    const accounts = byKey(authorizations);
    const records = byKey(known);
    const added: RecordRow[] = [];
    const results = calls.map((call) => {
      const row = records.get(call.key);
      if (row) return toRecord(call, row, false);
      const account = accounts.get(call.authorizationKey);
      const plan = this.#options.planOf(call, account?.cardToken ?? "");
      if (plan instanceof Error) return plan;
      const declineCode = plan.declineCode || move(account, call, this.#options);
      const made = newRow(call, { ...plan, declineCode }, account?.cardToken ?? "");
      added.push(made);
      records.set(call.key, made);
      return { ...made, fresh: true };
    });
    const amounts = [...accounts.values()].map(toMoved);
    await tx.commitWith(change, [JSON.stringify(added.map(toInserted)), JSON.stringify(amounts), [...accounts.keys()]]);
    return results;
  }
}

function byKey(rows: RecordRow[]): Map<string, RecordRow> {
  return new Map(rows.map((row) => [row.key, row]));
}

/** Moves the amount of a call on its authorization; returns why not, or "". */
function move(
  account: RecordRow | undefined,
  call: SimulatorCall,
  { defers, once }: Pick<RecordOptions, "defers" | "once">,
): string {
  if (account?.kind !== "authorize" || account.declineCode !== "") return "no_such_authorization";
  if (account.currency !== call.currency) return "currency_mismatch";
  if (call.kind === "refund") {
    if (call.amount > account.captured - account.refunded) return "amount_exceeds_capture";
    account.refunded += call.amount;
    return "";
  }
  const left = account.amount - account.captured - account.voided - account.deferred;
  if (call.amount > left) return "amount_exceeds_authorization";
  if (call.kind === "capture") account.captured += call.amount;
  else account[defers ? "deferred" : "voided"] += call.amount;
  if (!call.final && !(once && call.kind === "capture")) return "";
  account.voided = account.amount - account.captured;
  account.deferred = 0n;
  return "";
}

function toRecord(call: SimulatorCall, row: RecordRow | undefined, fresh: boolean): SimulatorRecord | Error {
  if (!row) return new Error(`the simulator lost the key ${call.key}`);
  const same = row.kind === call.kind && row.authorizationKey === call.authorizationKey && row.amount === call.amount;
  // biome-ignore lint/plugin/timing: tokens of a simulator, both of the same caller
  const sameCard = call.kind !== "authorize" || row.cardToken === call.cardToken;
  if (same && sameCard && row.currency === call.currency) return { ...row, fresh };
  return new KeyReusedError(`the key ${call.key} was used before with another body`);
}

function newRow(call: SimulatorCall, plan: Plan, cardToken: string): RecordRow {
  const { key, kind, authorizationKey, currency, amount } = call;
  const amounts = { captured: 0n, voided: 0n, refunded: 0n, deferred: 0n };
  const { declineCode, delayMs: remainingMs } = plan;
  const createTime = new Date();
  return { key, kind, authorizationKey, cardToken, currency, amount, declineCode, remainingMs, createTime, ...amounts };
}

function toInserted(row: RecordRow): InsertedRecord {
  return {
    key: row.key,
    kind: row.kind,
    authorization_key: row.authorizationKey,
    card_token: row.cardToken,
    currency: row.currency,
    amount: String(row.amount),
    decline_code: row.declineCode,
    remaining_ms: row.remainingMs,
  };
}

function toMoved({ key, captured, voided, refunded, deferred }: RecordRow): MovedRecord {
  return {
    key,
    captured: String(captured),
    voided: String(voided),
    refunded: String(refunded),
    deferred: String(deferred),
  };
}
