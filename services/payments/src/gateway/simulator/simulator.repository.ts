import { selectList, writtenColumns } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { type Effect, noCurrency } from "../../payment/payment.ts";
import { GatewayKeyReusedError } from "../gateway.ts";

/** A call as it reaches the simulated gateway. */
export interface SimulatorCall {
  readonly key: string;
  readonly kind: Effect;
  /** The key of the authorization; the same as `key` for an authorization. */
  readonly authorizationKey: string;
  /** Of an authorization only; a change is of its authorization's card and currency. */
  readonly card?: { readonly token: string; readonly currency: string };
  /** Minor units, more than zero. */
  readonly amount: bigint;
}

/** What a call on a card comes to. An error instead: the call fails without any effect. */
export interface Plan {
  /** Empty: approved, if the amounts allow it. */
  readonly declineCode: string;
  /** How long the decision takes. */
  readonly delayMs: number;
}

/** Decides what a call on a card comes to. */
export type Planner = (call: SimulatorCall, cardToken: string) => Plan | Error;

/** What the simulated gateway remembers of a call. */
export interface SimulatorRecord {
  readonly key: string;
  readonly cardToken: string;
  readonly declineCode: string;
  /** Until the decision, 0 when it was made. */
  readonly remainingMs: number;
  /** Whether this very call made the record. */
  readonly fresh: boolean;
}

/** A record with the amounts of an authorization, which its changes move. */
interface RecordRow {
  readonly key: string;
  readonly kind: Effect;
  readonly authorizationKey: string;
  readonly cardToken: string;
  readonly currency: string;
  readonly amount: bigint;
  readonly declineCode: string;
  readonly remainingMs: number;
  captured: bigint;
  voided: bigint;
  refunded: bigint;
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
    remainingMs: "greatest(0, extract(epoch from r.decide_time - clock_timestamp()) * 1000)::int",
    captured: true,
    voided: true,
    refunded: true,
  },
  "r",
);

/** A record as it is inserted; the amounts travel as text: JSON numbers are floating point. */
interface InsertedRecord {
  readonly key: string;
  readonly kind: Effect;
  readonly authorization_key: string;
  readonly card_token: string;
  readonly currency: string;
  readonly amount: string;
  readonly decline_code: string;
  /** The decision's time is reckoned from it. */
  readonly remaining_ms: number;
}

const inserted = writtenColumns<Omit<InsertedRecord, "remaining_ms">>({
  key: "text",
  kind: "text",
  authorization_key: "text",
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
}

const moved = writtenColumns<Omit<MovedRecord, "key">>({ captured: "bigint", voided: "bigint", refunded: "bigint" });

const insert = `insert into simulator.gateway_record as r (${inserted.names}, decide_time)
  select ${inserted.names}, now() + remaining_ms * interval '1 millisecond'
  from json_to_recordset($1::json) as g(${inserted.typed}, remaining_ms bigint)
  order by key on conflict (key) do nothing`;

const authorize: SqlText = { name: "simulator_authorize", text: `${insert} returning ${columns}` };
const find: SqlText = {
  name: "simulator_find",
  text: `select ${columns} from simulator.gateway_record r where r.key = any($1::text[])`,
};
const lock: SqlText = {
  name: "simulator_lock",
  text: `select ${columns} from simulator.gateway_record r where r.key = any($1::text[]) order by r.key
    for no key update`,
};
const change: SqlText = {
  name: "simulator_change",
  text: `with moved as (
      update simulator.gateway_record r set ${moved.assigned("g")}
      from json_to_recordset($2::json) as g(key text, ${moved.typed})
      where r.key = any($3::text[]) and r.key = g.key)
    ${insert}`,
};

/** The memory of the simulated gateway, in transactions of its own: what it did stays done when the service dies. */
export class SimulatorRepository {
  readonly #database: Database;
  readonly #plan: Planner;

  constructor(database: Database, plan: Planner) {
    this.#database = database;
    this.#plan = plan;
  }

  /** Takes authorizations; the ones that are known stay as they are. */
  async authorize(calls: SimulatorCall[]): Promise<(SimulatorRecord | Error)[]> {
    const plans = calls.map((call) => this.#plan(call, call.card?.token ?? ""));
    const rows = calls.flatMap((call, index) => {
      const plan = plans[index];
      return !plan || plan instanceof Error ? [] : [toInserted(newRow(call, plan))];
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
      return row && fromRow(row, false);
    });
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
      const plan = this.#plan(call, account?.cardToken ?? "");
      if (plan instanceof Error) return plan;
      const declineCode = plan.declineCode || move(account, call);
      const made = newRow(call, { ...plan, declineCode }, account);
      added.push(made);
      records.set(call.key, made);
      return fromRow(made, true);
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
function move(account: RecordRow | undefined, call: SimulatorCall): string {
  if (account?.kind !== "authorize" || account.declineCode !== "") return "no_such_authorization";
  if (call.kind === "refund") {
    if (call.amount > account.captured - account.refunded) return "amount_exceeds_capture";
    account.refunded += call.amount;
    return "";
  }
  if (call.amount > account.amount - account.captured - account.voided) return "amount_exceeds_authorization";
  if (call.kind === "capture") account.captured += call.amount;
  else account.voided += call.amount;
  return "";
}

function toRecord(call: SimulatorCall, row: RecordRow | undefined, fresh: boolean): SimulatorRecord | Error {
  if (!row) return new Error(`the simulator lost the key ${call.key}`);
  const { card } = call;
  const same = row.kind === call.kind && row.authorizationKey === call.authorizationKey && row.amount === call.amount;
  // biome-ignore lint/plugin/timing: tokens of a simulator, both of the same caller
  const sameCard = !card || (row.currency === card.currency && row.cardToken === card.token);
  if (same && sameCard) return fromRow(row, fresh);
  return new GatewayKeyReusedError(`the key ${call.key} was used before with another body`);
}

function fromRow({ key, cardToken, declineCode, remainingMs }: RecordRow, fresh: boolean): SimulatorRecord {
  return { key, cardToken, declineCode, remainingMs, fresh };
}

function newRow(call: SimulatorCall, plan: Plan, account?: RecordRow): RecordRow {
  const { key, kind, authorizationKey, card, amount } = call;
  return {
    key,
    kind,
    authorizationKey,
    cardToken: card?.token ?? account?.cardToken ?? "",
    currency: card?.currency ?? account?.currency ?? noCurrency,
    amount,
    declineCode: plan.declineCode,
    remainingMs: plan.delayMs,
    captured: 0n,
    voided: 0n,
    refunded: 0n,
  };
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

function toMoved({ key, captured, voided, refunded }: RecordRow): MovedRecord {
  return { key, captured: String(captured), voided: String(voided), refunded: String(refunded) };
}
