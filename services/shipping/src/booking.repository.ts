import type { Database } from "#platform/database/database.ts";
import { type Keyed, replayable } from "#platform/database/idempotency.ts";
import type { SqlText, Transaction } from "#platform/database/transaction.ts";
import { bucketOf, decodeId, newId } from "#platform/id.ts";
import type { BookingState } from "./carrier.ts";
import { shipmentNotFound } from "./errors.ts";
import { parcelKey } from "./shipment.repository.ts";
import {
  judgeBooking,
  judgeCancellation,
  moveTo,
  type Settlement,
  type Shipment,
  settle,
  type Verdict,
} from "./shipment.ts";
import {
  commit,
  decodeRef,
  type ShipmentChange,
  type ShipmentRef,
  type ShipmentRow,
  savedJson,
  saveShipments,
  shipmentColumns,
  toShipment,
} from "./shipment-rows.ts";

/** Which shipment to book or to call off. */
export interface ParcelRequest extends Keyed {
  readonly orderId: string;
  readonly locationId: string;
}

/** What a request did. */
export interface Claim extends ShipmentRef {
  /** The shipment, when it is the caller who has to ask the carrier now; nobody else does for the time of the lease. */
  readonly leased?: Shipment;
}

/** The carrier's answer about a shipment in `booking`. */
export interface CarrierAnswer {
  readonly shipmentId: string;
  readonly asked: "book" | "cancel";
  readonly answer: BookingState;
}

/** How bookings are claimed. */
export interface BookingRepositoryOptions {
  readonly database: Database;
  /** The carrier's name. */
  readonly carrier: string;
  /** How long whoever claimed a shipment may ask the carrier; longer than all its calls may take. Milliseconds. */
  readonly leaseMs: number;
}

interface LockedRow extends ShipmentRow {
  /** Nobody is asking the carrier about it. */
  readonly due: boolean | null;
}

/** What is found under the lock. */
interface Locked {
  readonly shipment: Shipment;
  readonly due: boolean;
}

const lockByParcel: SqlText = {
  name: "shipment_lock_parcel",
  text: `select ${shipmentColumns}, s.due_time <= clock_timestamp() as due
    from unnest($1::uuid[], $2::text[]) as k(order_id, location_id)
    join shipment s on s.order_id = k.order_id and s.location_id = k.location_id
    order by s.order_id, s.location_id for update of s`,
};

const lockById: SqlText = {
  name: "shipment_lock_id",
  text: `select ${shipmentColumns} from shipment s where s.shipment_id = any($1::uuid[])
    order by s.order_id, s.location_id for update of s`,
};

const insertTombstones: SqlText = {
  name: "shipment_tombstone",
  text: `insert into shipment (shipment_id, order_id, location_id, status, lines, saga_id)
    select k.shipment_id, k.order_id, k.location_id, 'cancelled', '[]', ''
    from unnest($1::uuid[], $2::uuid[], $3::text[]) as k(shipment_id, order_id, location_id)
    where not exists (select from shipment s where s.order_id = k.order_id and s.location_id = k.location_id)
    order by k.order_id, k.location_id
    on conflict (order_id, location_id) do nothing`,
};

const claimDue: SqlText = {
  name: "shipment_claim_booking",
  text: `update shipment s set attempts = s.attempts + 1, due_time = clock_timestamp() + $1 * interval '1 millisecond'
    where s.shipment_id = any(array(
      select shipment_id from shipment where status = 'booking' and due_time <= now()
      order by due_time limit $2 for update skip locked))
    returning ${shipmentColumns}`,
};

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
  readonly book: (inputs: ParcelRequest[]) => Promise<(Claim | Error)[]>;
  /**
   * Calls shipments off that the carrier has not heard of; where it has, the intent is written down. What never was created
   * gets a mark that refuses it later. Refuses with ALREADY_SHIPPED.
   */
  readonly cancel: (inputs: ParcelRequest[]) => Promise<(Claim | Error)[]>;

  constructor(options: BookingRepositoryOptions) {
    this.#options = options;
    const service = "shop.shipping.v1.FulfillmentService";
    this.book = this.#mutation(`${service}/BookShipment`, lockExisting, (locked) => this.#beginBooking(locked));
    this.cancel = this.#mutation(`${service}/CancelShipment`, lockOrMark, (locked) => this.#beginCancellation(locked));
  }

  /** Writes down what the carrier answered; says for each what it became or what to ask next. */
  settle(answers: readonly CarrierAnswer[]): Promise<Settlement[]> {
    return this.#options.database.transaction(async (tx) => {
      const rows = await tx.query<ShipmentRow>(lockById, [answers.map((each) => decodeId(each.shipmentId))]);
      const locked = new Map(rows.map((row) => toShipment(row)).map((shipment) => [shipment.shipmentId, shipment]));
      const changes: ShipmentChange[] = [];
      const settlements = answers.map(({ shipmentId, answer, asked }) => {
        const shipment = locked.get(shipmentId);
        if (!shipment) throw shipmentNotFound({ shipment_id: shipmentId });
        const settlement = settle(shipment, answer, asked);
        if (settlement.kind === "decided" && settlement.shipment !== shipment) {
          changes.push({ shipment: settlement.shipment, dueMs: null });
        }
        return settlement;
      });
      if (changes.length > 0) await tx.commitWith(saveShipments, [savedJson(changes)]);
      return settlements;
    });
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

  #mutation(method: string, lock: typeof lockExisting, decide: (locked: Locked) => Decision) {
    const { database } = this.#options;
    return replayable<ParcelRequest, Claim>({
      database,
      method,
      decode: decodeRef,
      run: (inputs) =>
        database.transaction(async (tx) => {
          const parcels = await lock(tx, inputs);
          const decisions = inputs.map((input) => attempt(() => decide(locate(parcels, input))));
          const changes = decisions.flatMap((each) => (each instanceof Error || !each.change ? [] : [each.change]));
          const outputs = decisions.map((each) => (each instanceof Error ? each : each.claim));
          await commit(tx, { method, inputs, outputs, changes });
          return outputs;
        }),
    });
  }

  #beginBooking({ shipment, due }: Locked): Decision {
    const carrier = this.#options.carrier;
    const decisions: Record<Verdict, () => Decision> = {
      begin: () => this.#lease(moveTo(shipment, "booking", { carrier })),
      await: () => (due ? this.#lease(shipment) : { claim: { shipmentId: shipment.shipmentId } }),
      done: () => ({ claim: { shipmentId: shipment.shipmentId } }),
    };
    return decisions[judgeBooking(shipment)]();
  }

  #beginCancellation({ shipment, due }: Locked): Decision {
    const claim = { shipmentId: shipment.shipmentId };
    const wanted = { ...shipment, cancelRequested: true };
    const decisions: Record<Verdict, () => Decision> = {
      begin: () => ({ claim, change: { shipment: moveTo(shipment, "cancelled"), dueMs: null } }),
      await: () => (due ? this.#lease(wanted) : { claim, change: { shipment: wanted, dueMs: "as it is" } }),
      done: () => ({ claim }),
    };
    return decisions[judgeCancellation(shipment)]();
  }

  #lease(unleased: Shipment): Decision {
    const shipment = { ...unleased, attempts: unleased.attempts + 1 };
    const claim = { shipmentId: shipment.shipmentId, leased: shipment };
    return { claim, change: { shipment, dueMs: this.#options.leaseMs } };
  }
}

interface Decision {
  readonly claim: Claim;
  readonly change?: ShipmentChange;
}

type Parcels = ReadonlyMap<string, Locked>;

async function lockExisting(tx: Transaction, inputs: readonly ParcelRequest[]): Promise<Parcels> {
  const orderIds = inputs.map((input) => decodeId(input.orderId));
  const rows = await tx.query<LockedRow>(lockByParcel, [orderIds, inputs.map((input) => input.locationId)]);
  const locked = rows.map((row) => ({ shipment: toShipment(row), due: row.due ?? false }));
  return new Map(locked.map((each) => [parcelKey(each.shipment), each]));
}

async function lockOrMark(tx: Transaction, inputs: readonly ParcelRequest[]): Promise<Parcels> {
  const ids = inputs.map((input) => decodeId(newId(bucketOf(input.orderId))));
  const orderIds = inputs.map((input) => decodeId(input.orderId));
  const marks = tx.query(insertTombstones, [ids, orderIds, inputs.map((input) => input.locationId)]);
  const [parcels] = await Promise.all([lockExisting(tx, inputs), marks]);
  return parcels;
}

function locate(parcels: Parcels, input: ParcelRequest): Locked {
  const found = parcels.get(parcelKey(input));
  if (!found) throw shipmentNotFound({ order_id: input.orderId, location_id: input.locationId });
  return found;
}

function attempt<T>(work: () => T): T | Error {
  try {
    return work();
  } catch (error) {
    if (error instanceof Error) return error;
    throw error;
  }
}
