import { type AuditOrigin, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import type { Database } from "#platform/database/database.ts";
import { type Keyed, replayable } from "#platform/database/idempotency.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { type Fenced, isOver } from "#platform/fence.ts";
import { bucketOf, decodeId, encodeId, newId } from "#platform/id.ts";
import { alreadyPacked, episodeOver, shipmentNotFound } from "../shipment/errors.ts";
import type { Moved, OnMoved } from "../shipment/metrics.ts";
import { isTrackingNumber } from "../shipment/outside-text.ts";
import { moveTo, type Shipment, type ShipmentName, shipmentKey } from "../shipment/shipment.ts";
import { createdEffect, createdJoin, effectOf, type Submission } from "../shipment/shipment-audit.ts";
import {
  commit,
  decodeRef,
  type ShipmentChange,
  type ShipmentRef,
  savedValues,
  saveShipments,
  shipmentKeys,
} from "../shipment/shipment-change.ts";
import { higherFence, orderFence, refuseOver } from "../shipment/shipment-fence.ts";
import { nameColumns, namedShipments, stepAside } from "../shipment/shipment-generations.ts";
import { type ShipmentRow, shipmentColumns, toShipment } from "../shipment/shipment-row.ts";
import type { BookingState } from "./carrier.ts";
import {
  type Asked,
  type JudgedAnswer,
  judgeBooking,
  judgeCancellation,
  type Settlement,
  settle,
  type Verdict,
} from "./judgement.ts";

/** Which shipment to book or to call off. */
export interface ShipmentRequest extends Keyed, Submission, ShipmentName, Fenced {
  /** Only while the warehouse has not packed it. */
  readonly unpackedOnly?: boolean;
}

/** What a request did. */
export interface Claim extends ShipmentRef {
  /** The shipment, when it is the caller who has to ask the carrier now; nobody else does for the time of the lease. */
  readonly leased?: Shipment;
}

/** The carrier's answer about a shipment in `booking`. */
export interface CarrierAnswer {
  readonly shipmentId: string;
  readonly asked: Asked;
  readonly answer: BookingState;
  /** Who had it asked. */
  readonly origin: AuditOrigin;
}

/** How bookings are claimed. */
export interface BookingRepositoryOptions {
  readonly database: Database;
  /** How long whoever claimed a shipment may ask the carrier; longer than all its calls may take. Milliseconds. */
  readonly leaseMs: number;
  readonly onMoved?: OnMoved;
  /** Whether a warehouse is to hear of what is called off; not by default: where people pack, they see it. */
  readonly tellsWarehouse?: boolean;
  /** Called after it has something to hear: it need not wait for the timer. */
  readonly onCalledOff?: () => void;
}

interface LockedRow extends ShipmentRow {
  /** Nobody is asking the carrier about it. */
  readonly due: boolean | null;
  readonly orderFence: number | null;
}

/** What is found under the lock. */
interface Locked {
  readonly shipment: Shipment;
  readonly due: boolean;
  /** The highest fence of those who have asked about any shipment of its order. */
  readonly highest: number;
}

/** Locks the shipments with these names. $1: orders, $2: locations, $3: generations. */
const lockByKey: SqlText = {
  name: "shipment_lock_parcel",
  text: `select ${shipmentColumns}, s.due_time <= clock_timestamp() as due, ${orderFence} as "orderFence"
    from ${namedShipments}
    order by s.order_id, s.location_id for update of s`,
};

/** Locks shipments. $1: ids. */
const lockById: SqlText = {
  name: "shipment_lock_id",
  text: `select ${shipmentColumns} from shipment s where s.shipment_id = any($1::uuid[])
    order by s.order_id, s.location_id for update of s`,
};

/**
 * Leaves marks where no shipment is, beside the place of a later one, unless a later episode of the order has asked for one. $1: orders,
 * $2: locations, $3: generations, $4: ids, $5: what is written down, $6: fences.
 */
const insertTombstones: SqlText = {
  name: "shipment_tombstone",
  text: `with input as materialized (
      select k.*, ${higherFence("k")} as higher_fence
      from unnest($4::uuid[], $1::uuid[], $2::text[], $3::int4[], $6::int4[]) with ordinality
        as k(shipment_id, order_id, location_id, generation, fence, n)
    ), created as (
      insert into shipment (shipment_id, order_id, location_id, generation, fence, status, lines, saga_id)
      select k.shipment_id, k.order_id, case when exists (select from shipment s
          where s.order_id = k.order_id and s.location_id = k.location_id and s.generation > k.generation)
        then k.location_id || '~' || k.generation else k.location_id end, k.generation, k.fence, 'cancelled', '[]', '' from input k
      where k.higher_fence is null and not exists (select from shipment s where s.order_id = k.order_id and s.generation = k.generation
        and s.location_id = any(array[k.location_id, k.location_id || '~' || k.generation]))
      order by k.order_id, k.location_id
      on conflict (order_id, location_id) do nothing
      returning shipment_id
    ), audited as (${insertAuditEvents("$5", { join: createdJoin })})
    select i.n::int as place, i.higher_fence as "higherFence", c.shipment_id is not null as created
    from input i left join created c using (shipment_id)`,
};

/** What became of an entry of {@link insertTombstones}. */
interface MarkedEntry {
  /** From 1. */
  readonly place: number;
  readonly higherFence: number | null;
  readonly created: boolean;
}

/** Whose numbers these are. $1: tracking numbers. */
const findNumbers: SqlText = {
  name: "shipment_numbers",
  text: `select s.shipment_id as "shipmentId", s.tracking_number as "trackingNumber"
    from shipment s where s.tracking_number = any($1::text[])`,
};

/** Notes that somebody waits for news of what the carrier has not decided. $1: ids. */
const markAwaited: SqlText = {
  name: "shipment_await",
  text: `update shipment s set awaited = true
    where s.shipment_id = any(array(
      select shipment_id from shipment where shipment_id = any($1::uuid[])
      order by order_id, location_id for update))
    and s.status = 'booking'
    returning s.shipment_id as "shipmentId"`,
};

/** Claims what nobody is asking the carrier about. $1: lease in milliseconds, $2: at most so many. */
const claimDue: SqlText = {
  name: "shipment_claim_booking",
  text: `update shipment s set attempts = s.attempts + 1, due_time = clock_timestamp() + $1 * interval '1 millisecond'
    where s.shipment_id = any(array(
      select shipment_id from shipment where status = 'booking' and due_time <= now()
      order by due_time limit $2 for update skip locked))
    returning ${shipmentColumns}`,
};

/** Puts off claims that still stand. $1: ids, $2: their attempts, $3, $4: the longest pause and half the first. */
const defer: SqlText = {
  name: "shipment_defer_booking",
  text: `update shipment s set due_time = clock_timestamp()
      + least($3::float8, $4::float8 * 2 ^ least(s.attempts, 20)) * interval '1 millisecond'
    from unnest($1::uuid[], $2::int4[]) as d(shipment_id, attempts)
    where s.shipment_id = d.shipment_id and s.attempts = d.attempts and s.status = 'booking'`,
};

/** The shortest and the longest pause before the carrier is asked again, in milliseconds. */
const pauses = { first: 100, longest: 60_000 };

/** Claims shipments before the carrier is asked, and writes down what it answered. */
export class BookingRepository {
  readonly #options: BookingRepositoryOptions;
  /**
   * Moves shipments that are ready to `booking`: the intent, committed before the carrier hears of it.
   *
   * Refuses with SHIPMENT_NOT_FOUND, NOT_READY, CARRIER_REFUSED, PACKING_FAILED, SHIPMENT_CANCELLED.
   */
  readonly book: (inputs: ShipmentRequest[]) => Promise<(Claim | Error)[]>;
  /**
   * Calls shipments off that the carrier has not heard of; where it has, the intent is written down. What never was created
   * gets a mark that refuses it later. Refuses with ALREADY_SHIPPED, and ALREADY_PACKED where only what is not packed is to be called off.
   */
  readonly cancel: (inputs: ShipmentRequest[]) => Promise<(Claim | Error)[]>;

  constructor(options: BookingRepositoryOptions) {
    this.#options = options;
    const service = "shop.shipping.v1.FulfillmentService";
    this.book = this.#mutation(`${service}/BookShipment`, lockExisting, (locked, input) =>
      this.#beginBooking(locked, input),
    );
    this.cancel = this.#mutation(`${service}/CancelShipment`, lockOrMark, (locked, input) =>
      this.#beginCancellation(locked, input),
    );
  }

  /**
   * Writes down what the carrier answered; says for each what it became or what to ask next. A tracking number that another
   * shipment has, or that is none, is a matter of that shipment alone.
   */
  async settle(answers: readonly CarrierAnswer[]): Promise<Settlement[]> {
    const { settlements, changes } = await this.#options.database.transaction(async (tx) => {
      const numbers = answers.flatMap(({ answer }) => (answer.kind === "booked" ? [answer.trackingNumber] : []));
      const [rows, used] = await Promise.all([
        tx.query<ShipmentRow>(lockById, [answers.map((each) => decodeId(each.shipmentId))]),
        tx.query<UsedNumber>(findNumbers, [numbers.filter(isTrackingNumber)]),
      ]);
      const locked = new Map(rows.map((row) => toShipment(row)).map((shipment) => [shipment.shipmentId, shipment]));
      const decided = decideAll(locked, answers.map(judgeNumbers(used)), this.#tellsWarehouse);
      if (decided.changes.length > 0) await tx.commitWith(saveShipments, savedValues(decided.changes));
      return decided;
    });
    this.#moved(changes);
    return settlements;
  }

  /**
   * Notes that whoever asked is answered before the carrier has decided, so that orders is told what it decides. Says for
   * each whether it is still undecided.
   */
  async markAwaited(shipmentIds: readonly string[]): Promise<boolean[]> {
    const rows = await this.#options.database.query<ShipmentRef>(markAwaited, [shipmentIds.map(decodeId)]);
    const marked = new Set(rows.map(({ shipmentId }) => encodeId(shipmentId)));
    return shipmentIds.map((id) => marked.has(id));
  }

  /** Claims what is undecided and nobody is asking about: after a crash, a lost answer or a carrier that was away. */
  async claimDue(limit: number): Promise<Shipment[]> {
    const rows = await this.#options.database.query<ShipmentRow>(claimDue, [this.#options.leaseMs, limit]);
    return rows.map((row) => toShipment(row));
  }

  /** Gives claimed shipments back, to be asked about after a pause that doubles; a claim that has run out stays. */
  async defer(shipments: readonly Shipment[]): Promise<void> {
    const ids = shipments.map((shipment) => decodeId(shipment.shipmentId));
    const attempts = shipments.map((shipment) => shipment.attempts);
    await this.#options.database.query(defer, [ids, attempts, pauses.longest, pauses.first / 2]);
  }

  #mutation(method: string, lock: typeof lockExisting, decide: Decide) {
    const { database } = this.#options;
    const keys = shipmentKeys(method);
    return replayable<ShipmentRequest, Claim>({
      database,
      ...keys,
      decode: decodeRef,
      onRepeated: (inputs) => refuseOver(database, inputs),
      run: async (inputs) => {
        const { outputs, changes, marked } = await database.transaction(async (tx) => {
          const locked = await lock(tx, inputs);
          const { marked } = locked;
          const decisions = inputs.map((input) => attempt(() => fenced(locate(locked, input), input, decide)));
          const changes = decisions.flatMap((each) => (each instanceof Error || !each.change ? [] : [each.change]));
          const outputs = decisions.map((each) => (each instanceof Error ? each : each.claim));
          await commit(tx, { keys, inputs, outputs, changes });
          return { outputs, changes, marked };
        });
        this.#moved(changes, marked);
        return outputs;
      },
    });
  }

  /** Only what is called off changes its status here for good; what is leased has not moved. */
  #moved(changes: readonly ShipmentChange[], marked: readonly Moved[] = []): void {
    const moved = changes.filter(({ moved }) => moved).map(({ shipment }) => shipment);
    this.#options.onMoved?.([...moved, ...marked]);
    if (changes.some(({ callOff }) => callOff)) this.#options.onCalledOff?.();
  }

  get #tellsWarehouse(): boolean {
    return this.#options.tellsWarehouse ?? false;
  }

  #beginBooking({ shipment, due }: Locked, { traceparent }: ShipmentRequest): Decision {
    const decisions: Record<Verdict, () => Decision> = {
      begin: () => this.#lease(moveTo(shipment, "booking"), { traceparent, moved: true }),
      await: () => (due ? this.#lease(shipment, { traceparent }) : { claim: { shipmentId: shipment.shipmentId } }),
      done: () => ({ claim: { shipmentId: shipment.shipmentId } }),
    };
    return decisions[judgeBooking(shipment)]();
  }

  #beginCancellation({ shipment, due }: Locked, { origin, traceparent, unpackedOnly }: ShipmentRequest): Decision {
    if (unpackedOnly && shipment.status !== "preparing" && shipment.status !== "cancelled")
      throw alreadyPacked(shipment);
    const claim = { shipmentId: shipment.shipmentId };
    const wanted = { ...shipment, cancelRequested: true };
    const effect = effectOf(shipment, { from: shipment.status, to: "cancelled" }, origin);
    const decisions: Record<Verdict, () => Decision> = {
      begin: () => {
        const callOff = this.#tellsWarehouse;
        return {
          claim,
          change: { shipment: moveTo(shipment, "cancelled"), dueMs: null, effect, moved: true, callOff },
        };
      },
      await: () =>
        due ? this.#lease(wanted, { traceparent }) : { claim, change: { shipment: wanted, dueMs: "as it is" } },
      done: () => ({ claim }),
    };
    return decisions[judgeCancellation(shipment)]();
  }

  #lease(unleased: Shipment, how: Pick<ShipmentChange, "traceparent" | "moved">): Decision {
    const shipment = { ...unleased, attempts: unleased.attempts + 1 };
    const claim = { shipmentId: shipment.shipmentId, leased: shipment };
    return { claim, change: { shipment, dueMs: this.#options.leaseMs, ...how } };
  }
}

interface Decision {
  readonly claim: Claim;
  readonly change?: ShipmentChange;
}

type Decide = (locked: Locked, input: ShipmentRequest) => Decision;

/** What is locked, and which marks were left in the place of shipments that are not there. */
interface Lock {
  /** By their key. */
  readonly shipments: ReadonlyMap<string, Locked>;
  readonly marked: readonly Moved[];
  /** The highest fence of the order, by the key of what there is not, where it is higher than that of who asks. */
  readonly higher: ReadonlyMap<string, number>;
}

const none: ReadonlyMap<string, number> = new Map();

async function lockExisting(tx: Transaction, inputs: readonly ShipmentRequest[]): Promise<Lock> {
  const rows = await tx.query<LockedRow>(lockByKey, nameColumns(inputs));
  const locked = rows.map((row) => {
    // The row is read as it is behind its lock; what is beside it, as it was before.
    const highest = Math.max(row.fence, row.orderFence ?? 0);
    return { shipment: toShipment(row), due: row.due ?? false, highest };
  });
  return { shipments: new Map(locked.map((each) => [shipmentKey(each.shipment), each])), marked: [], higher: none };
}

async function lockOrMark(tx: Transaction, inputs: readonly ShipmentRequest[]): Promise<Lock> {
  const ids = inputs.map((input) => newId(bucketOf(input.orderId)));
  // The places of an array in SQL begin with 1.
  const effects = inputs.map((input, index) => ({
    ...createdEffect({ ...input, shipmentId: ids[index] ?? "" }, "cancelled"),
    n: index + 1,
  }));
  const fences = inputs.map(({ fence }) => fence);
  const values = [...nameColumns(inputs), ids.map(decodeId), auditEvents(effects), fences];
  const [, entries, { shipments }] = await Promise.all([
    stepAside(tx, inputs),
    tx.query<MarkedEntry>(insertTombstones, values),
    lockExisting(tx, inputs),
  ]);
  const higher = entries.flatMap(({ place, higherFence: highest }) => {
    const input = inputs[place - 1];
    return input && highest !== null ? [[shipmentKey(input), highest] as const] : [];
  });
  const marks = entries.filter(({ created }) => created);
  return { shipments, marked: marks.map(() => ({ status: "cancelled" })), higher: new Map(higher) };
}

interface UsedNumber {
  /** A uuid. */
  readonly shipmentId: string;
  readonly trackingNumber: string;
}

/** An answer after its tracking number was looked at. */
type JudgedCarrierAnswer = Omit<CarrierAnswer, "answer"> & { readonly answer: JudgedAnswer };

/** Finds out which numbers cannot be used: those of other shipments, also within these answers, and what is no number. */
function judgeNumbers(used: readonly UsedNumber[]): (answer: CarrierAnswer) => JudgedCarrierAnswer {
  const owners = new Map(used.map(({ shipmentId, trackingNumber }) => [trackingNumber, encodeId(shipmentId)]));
  return (given) => {
    const { shipmentId, answer } = given;
    if (answer.kind !== "booked") return given;
    const { trackingNumber } = answer;
    const owner = owners.get(trackingNumber) ?? shipmentId;
    if (!isTrackingNumber(trackingNumber) || owner !== shipmentId)
      return { ...given, answer: { kind: "mistaken", carrier: answer.carrier } };
    owners.set(trackingNumber, shipmentId);
    return given;
  };
}

function decideAll(
  locked: ReadonlyMap<string, Shipment>,
  answers: readonly JudgedCarrierAnswer[],
  tellsWarehouse: boolean,
) {
  const changes: ShipmentChange[] = [];
  const settlements = answers.map(({ shipmentId, answer, asked, origin }) => {
    const shipment = locked.get(shipmentId);
    if (!shipment) throw shipmentNotFound({ shipment_id: shipmentId });
    const settlement = settle(shipment, answer, asked);
    if (settlement.kind === "decided" && settlement.shipment !== shipment) {
      const effect = effectOf(shipment, { from: shipment.status, to: settlement.shipment.status }, origin);
      const callOff = tellsWarehouse && settlement.shipment.status === "cancelled";
      changes.push({ shipment: settlement.shipment, dueMs: null, effect, moved: true, callOff });
    }
    return settlement;
  });
  return { settlements, changes };
}

/** @throws EPISODE_OVER, SHIPMENT_NOT_FOUND */
function locate({ shipments, higher }: Lock, input: ShipmentRequest): Locked {
  const key = shipmentKey(input);
  const found = shipments.get(key);
  const highest = found?.highest ?? higher.get(key) ?? 0;
  if (isOver(input, highest)) throw episodeOver(input, highest);
  if (!found) throw shipmentNotFound({ order_id: input.orderId, location_id: input.locationId });
  return found;
}

/** A decision with which it is remembered who has asked, also when it is that nothing is to be done. */
function fenced(locked: Locked, input: ShipmentRequest, decide: Decide): Decision {
  const fence = Math.max(locked.shipment.fence, input.fence);
  if (fence === locked.shipment.fence) return decide(locked, input);
  const shipment = { ...locked.shipment, fence };
  const decision = decide({ ...locked, shipment }, input);
  return { change: { shipment, dueMs: "as it is" }, ...decision };
}

function attempt<T>(work: () => T): T | Error {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}
