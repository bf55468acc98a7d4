import { type AuditEntry, type AuditOrigin, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { selectList, writtenColumns } from "#platform/database/columns.ts";
import type { Database } from "#platform/database/database.ts";
import { type Keyed, type KeySpace, replayable } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { type Fenced, isOver } from "#platform/fence.ts";
import { decodeId, encodeId } from "#platform/id.ts";
import { episodeOver, notShipped, shipmentNotFound } from "../shipment/errors.ts";
import { type Shipment, type ShipmentName, type ShipmentStatus, shipmentKey } from "../shipment/shipment.ts";
import { ownOrigin, type Submission } from "../shipment/shipment-audit.ts";
import { commit, decodeRef, type ShipmentRef, shipmentKeys } from "../shipment/shipment-change.ts";
import { orderFence, refuseOver } from "../shipment/shipment-fence.ts";
import { nameColumns, namedShipments } from "../shipment/shipment-generations.ts";
import { type ShipmentRow, shipmentColumns, toShipment } from "../shipment/shipment-row.ts";
import type {
  CarrierRequest,
  CarrierRequestKind,
  CarrierRequestState,
  Decision,
  DueRequest,
} from "./carrier-request.ts";

/** What the carrier is to be asked about a shipment. */
export interface NewCarrierRequest extends Keyed, Submission, ShipmentName {
  /** The return that a label is for; undefined: the shipment is to be turned back. */
  readonly returnId?: string;
  /** Absent: it is not the saga that asks. */
  readonly fence?: number;
}

/** A request whose answer orders has not heard. */
export interface UntoldRequest extends CarrierRequest {
  readonly shipment: Shipment;
}

interface RequestRow {
  readonly key: string;
  readonly kind: CarrierRequestKind;
  /** A uuid. */
  readonly requestedShipmentId: string;
  readonly requestState: CarrierRequestState;
  readonly code: string;
  readonly requestTrackingNumber: string;
  readonly label: string;
  readonly requestAttempts: number;
  readonly isLate: boolean;
}

/** Beside the columns of its shipment; $1 is how long the carrier may be asked, in milliseconds. */
const requestColumns = selectList<RequestRow>({
  key: "r.key",
  kind: "r.kind",
  requestedShipmentId: "r.shipment_id",
  requestState: "r.state",
  code: "r.code",
  requestTrackingNumber: "r.tracking_number",
  label: "r.label",
  requestAttempts: "r.attempts",
  isLate: "r.ask_time < now() - $1::float8 * interval '1 millisecond'",
});

const findShipments: SqlText = {
  name: "carrier_request_shipments",
  text: `select ${shipmentColumns}, ${orderFence} as "orderFence" from ${namedShipments}`,
};

interface FoundRow extends ShipmentRow {
  readonly orderFence: number;
}

interface InsertedRequest {
  readonly n: number;
  readonly key: string;
  readonly kind: CarrierRequestKind;
  readonly shipment_id: string;
  readonly fence: number;
}

const inserted = writtenColumns<Omit<InsertedRequest, "n" | "fence">>({
  key: "text",
  kind: "text",
  shipment_id: "uuid",
});

const insert: SqlText = {
  name: "carrier_request_insert",
  text: `with input as materialized (
      select * from jsonb_to_recordset($1::jsonb) as n(n int, fence int, ${inserted.typed})
    ), raised as (
      update shipment s set fence = input.fence from input
      where s.shipment_id = any(array(
        select o.shipment_id from shipment o join input i on i.shipment_id = o.shipment_id where o.fence < i.fence
        order by o.order_id, o.location_id for update of o
      )) and s.shipment_id = input.shipment_id and s.fence < input.fence
    ), created as (
      insert into carrier_request (${inserted.names}) select ${inserted.names} from input order by key
      on conflict (key) do nothing returning key
    ), audited as (${insertAuditEvents("$2", { join: "join input i on i.n = a.n join created c on c.key = i.key" })})
    select key from created`,
};

const find: SqlText = {
  name: "carrier_request_find",
  text: `select ${requestColumns} from carrier_request r where r.key = any($2::text[])`,
};

/** Nobody else gets them for the time of the lease. $2: lease in milliseconds, $3: at most. */
const claimDue: SqlText = {
  name: "carrier_request_claim",
  text: `with r as (
      update carrier_request set attempts = attempts + 1, due_time = clock_timestamp() + $2::float8 * interval '1 millisecond'
      where key = any(array(select key from carrier_request where due_time <= now()
        order by due_time limit $3 for update skip locked))
      returning *
    )
    select ${requestColumns}, ${shipmentColumns} from r join shipment s on s.shipment_id = r.shipment_id`,
};

interface SettledRequest {
  readonly n: number;
  readonly key: string;
  readonly state: CarrierRequestState;
  readonly code: string;
  readonly tracking_number: string;
  readonly label: string;
}

const settled = writtenColumns<SettledRequest>({
  n: "int",
  key: "text",
  state: "text",
  code: "text",
  tracking_number: "text",
  label: "text",
});

/** What is decided stays decided. */
const settle: SqlText = {
  name: "carrier_request_settle",
  text: `with input as materialized (
      select * from jsonb_to_recordset($1::jsonb) as i(${settled.typed})
    ), decided as (
      update carrier_request r set state = i.state, code = i.code, tracking_number = i.tracking_number, label = i.label,
        due_time = null
      from input i where r.key = i.key and r.state = 'asked' returning i.n
    ), audited as (${insertAuditEvents("$2", { join: "join decided d on d.n = a.n" })})
    select n from decided`,
};

/** $1: keys, $2: their attempts, $3, $4: the longest pause and half the first. */
const defer: SqlText = {
  name: "carrier_request_defer",
  text: `update carrier_request r set due_time = clock_timestamp()
      + least($3::float8, $4::float8 * 2 ^ least(r.attempts, 20)) * interval '1 millisecond'
    from unnest($1::text[], $2::int4[]) as d(key, attempts)
    where r.key = d.key and r.attempts = d.attempts and r.state = 'asked'`,
};

/** $2: lease in milliseconds, $3: at most, $4: the kind. */
const claimNews: SqlText = {
  name: "carrier_request_news",
  text: `with r as (
      update carrier_request set news_attempts = news_attempts + 1,
        news_due_time = clock_timestamp() + $2::float8 * interval '1 millisecond'
      where key = any(array(select key from carrier_request
        where state <> 'asked' and not told and kind = $4 and news_due_time <= now()
        order by news_due_time limit $3 for update skip locked))
      returning *
    )
    select ${requestColumns}, ${shipmentColumns} from r join shipment s on s.shipment_id = r.shipment_id`,
};

const closeNews: SqlText = {
  name: "carrier_request_told",
  text: "update carrier_request set told = true where key = any($1::text[])",
};

/** $1: keys, $2, $3: the longest pause and half the first. */
const deferNews: SqlText = {
  name: "carrier_request_news_defer",
  text: `update carrier_request set news_due_time = clock_timestamp()
      + least($2::float8, $3::float8 * 2 ^ least(news_attempts, 20)) * (0.5 + random()) * interval '1 millisecond'
    where key = any($1::text[])`,
};

const backlog: SqlText = {
  name: "carrier_request_backlog",
  text: `select greatest(0, extract(epoch from now() - (
        select due_time from carrier_request where due_time <= now() order by due_time limit 1)))::float8 as due,
      (select greatest(0, extract(epoch from now() - min(ask_time)))::float8 from carrier_request
        where state <> 'asked' and not told and kind = any(array['turn_back', 'label']) and news_due_time <= 'infinity') as untold`,
};

/** The shortest and the longest pause before the carrier, or orders, is asked again, in milliseconds. */
const pauses = { first: 250, longest: 60_000 };
const service = "shop.shipping.v1.FulfillmentService";

/** Writes down what the carrier is asked besides booking, before it is asked, and what it answers. */
export class CarrierRequestRepository {
  readonly #database: Database;
  readonly #patienceMs: number;
  /**
   * Notes that the carrier is to be asked to turn shipments back that it has. Refuses with SHIPMENT_NOT_FOUND, NOT_SHIPPED. No two
   * entries may name the same shipment.
   */
  readonly turnBack: (inputs: NewCarrierRequest[]) => Promise<(ShipmentRef | Error)[]>;
  /** Notes that the carrier is to make labels. Refuses with SHIPMENT_NOT_FOUND. No two entries may name the same return. */
  readonly label: (inputs: NewCarrierRequest[]) => Promise<(ShipmentRef | Error)[]>;

  /** @param patienceMs for how long the carrier is asked */
  constructor(database: Database, patienceMs: number) {
    this.#database = database;
    this.#patienceMs = patienceMs;
    this.turnBack = this.#mutation(shipmentKeys(`${service}/TurnBackShipment`));
    this.label = this.#mutation(shipmentKeys(`${service}/RequestReturnLabel`));
  }

  /** What is known of requests, by their keys. */
  async find(keys: readonly string[]): Promise<ReadonlyMap<string, CarrierRequest>> {
    const rows = await this.#database.query<RequestRow>(find, [this.#patienceMs, keys]);
    return new Map(rows.map((row) => [row.key, toRequest(row)]));
  }

  /** Requests about which the carrier is to be asked now. */
  async claimDue(leaseMs: number, limit: number): Promise<DueRequest[]> {
    return this.#withShipments(claimDue, [this.#patienceMs, leaseMs, limit]);
  }

  /** Writes down what becomes of requests. */
  async settle(decided: readonly { readonly request: DueRequest; readonly decision: Decision }[]): Promise<void> {
    const rows = decided.map(({ request, decision: { state, code, trackingNumber, label } }, n) => {
      return { n, key: request.key, state, code, tracking_number: trackingNumber, label } satisfies SettledRequest;
    });
    const effects = decided.map(({ request, decision }, n) => ({ ...effectOf(request, decision), n }));
    await this.#database.query(settle, [JSON.stringify(rows), auditEvents(effects)]);
  }

  /** Gives requests back, to be asked about after a pause that doubles. */
  async defer(requests: readonly CarrierRequest[]): Promise<void> {
    const keys = requests.map(({ key }) => key);
    const attempts = requests.map((request) => request.attempts);
    await this.#database.query(defer, [keys, attempts, pauses.longest, pauses.first / 2]);
  }

  /** Requests of a kind of whose answers orders is to be told now. */
  async claimNews(kind: CarrierRequestKind, leaseMs: number, limit: number): Promise<UntoldRequest[]> {
    return this.#withShipments(claimNews, [this.#patienceMs, leaseMs, limit, kind]);
  }

  /** Orders has heard of them, or never will. */
  async closeNews(keys: readonly string[]): Promise<void> {
    if (keys.length > 0) await this.#database.query(closeNews, [keys]);
  }

  /** Orders has not taken these: it is told again after a pause that doubles. */
  async deferNews(keys: readonly string[]): Promise<void> {
    if (keys.length > 0) await this.#database.query(deferNews, [keys, pauses.longest, pauses.first / 2]);
  }

  /** For how many seconds the oldest that is due, and that orders has not heard of, has waited. */
  async backlog(): Promise<{ readonly due: number; readonly untold: number }> {
    const [row] = await this.#database.query<{ due: number | null; untold: number | null }>(backlog);
    return { due: row?.due ?? 0, untold: row?.untold ?? 0 };
  }

  async #withShipments(statement: SqlText, values: unknown[]): Promise<DueRequest[]> {
    const rows = await this.#database.query<RequestRow & ShipmentRow>(statement, values);
    return rows.map((row) => ({ ...toRequest(row), shipment: toShipment(row) }));
  }

  #mutation(keys: KeySpace<{ readonly orderId: string }>) {
    const database = this.#database;
    return replayable<NewCarrierRequest, ShipmentRef>({
      database,
      ...keys,
      decode: decodeRef,
      onRepeated: (inputs) => refuseOver(database, inputs.map(fenced)),
      run: (inputs) =>
        database.transaction(async (tx) => {
          const outputs = await insertNew(tx, inputs);
          await commit(tx, { keys, inputs, outputs, changes: [] });
          return outputs;
        }),
    });
  }
}

async function insertNew(tx: Transaction, inputs: readonly NewCarrierRequest[]): Promise<(ShipmentRef | Error)[]> {
  const rows = await tx.query<FoundRow>(findShipments, nameColumns(inputs));
  const found = rows.map((row) => ({ ...toShipment(row), fence: row.orderFence }));
  const byName = new Map(found.map((shipment) => [shipmentKey(shipment), shipment]));
  const judged = inputs.map((input) => ({ input, shipment: judge(input, byName.get(shipmentKey(input))) }));
  const wanted = judged.flatMap(({ input, shipment }, n) =>
    shipment instanceof Error ? [] : [{ n, input, shipment }],
  );
  const records = wanted.map(({ n, input, shipment }): InsertedRequest => {
    const { returnId } = input;
    const kind = returnId === undefined ? "turn_back" : "label";
    const { fence } = fenced(input);
    return { n, key: returnId ?? shipment.shipmentId, kind, shipment_id: decodeId(shipment.shipmentId), fence };
  });
  const effects = wanted.map(({ n, input, shipment }) => ({ ...askedEffect(input, shipment), n }));
  if (wanted.length > 0) await tx.query(insert, [JSON.stringify(records), auditEvents(effects)]);
  return judged.map(({ shipment }) => (shipment instanceof Error ? shipment : { shipmentId: shipment.shipmentId }));
}

/** What the carrier has had can be asked to come back, also when it has arrived: then it says so. */
const hasLeft: ReadonlySet<ShipmentStatus> = new Set(["shipped", "delivered", "lost", "returned"]);

function fenced<I extends NewCarrierRequest>(input: I): I & Fenced {
  return { ...input, fence: input.fence ?? 0 };
}

function judge(input: NewCarrierRequest, shipment: Shipment | undefined): Shipment | Error {
  if (!shipment) return shipmentNotFound({ order_id: input.orderId, location_id: input.locationId });
  if (isOver(fenced(input), shipment.fence)) return episodeOver(fenced(input), shipment.fence);
  return hasLeft.has(shipment.status) ? shipment : notShipped(shipment);
}

const asked: Readonly<Record<CarrierRequestKind, string>> = {
  turn_back: "shipment.turn_back_requested",
  label: "shipment.return_label_requested",
};
const answered: Readonly<Record<CarrierRequestKind, Readonly<Record<Decision["state"], string>>>> = {
  turn_back: { agreed: "shipment.turning_back", refused: "shipment.turn_back_refused" },
  label: { agreed: "shipment.return_label_made", refused: "shipment.return_label_refused" },
};

function askedEffect({ returnId, origin }: NewCarrierRequest, shipment: Shipment): AuditEntry {
  return entry(asked[returnId === undefined ? "turn_back" : "label"], { shipment, returnId, code: "" }, origin);
}

function effectOf({ kind, key, shipment }: DueRequest, { state, code }: Decision): AuditEntry {
  const returnId = kind === "label" ? key : undefined;
  return entry(answered[kind][state], { shipment, returnId, code }, ownOrigin(shipment.trace));
}

function entry(
  action: string,
  about: { readonly shipment: Shipment; readonly returnId: string | undefined; readonly code: string },
  origin: AuditOrigin,
): AuditEntry {
  const { shipment, returnId, code } = about;
  const { orderId, shipmentId: subject, locationId: location } = shipment;
  const details = { location, ...(returnId !== undefined && { return: returnId }), ...(code !== "" && { code }) };
  return { action, orderId, subject, details, origin };
}

function toRequest(row: RequestRow): CarrierRequest {
  const { key, kind, code, label, isLate } = row;
  return {
    key,
    kind,
    shipmentId: encodeId(row.requestedShipmentId),
    state: row.requestState,
    code,
    trackingNumber: row.requestTrackingNumber,
    label,
    attempts: row.requestAttempts,
    isLate,
  };
}
