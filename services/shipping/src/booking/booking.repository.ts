import { type AuditOrigin, auditEvents } from "#platform/audit/audit-entry.ts";
import type { Database } from "#platform/database/database.ts";
import { type Keyed, replayable } from "#platform/database/idempotency.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { bucketOf, decodeId, newId } from "#platform/id.ts";
import { shipmentNotFound } from "../shipment/errors.ts";
import type { Moved, OnMoved } from "../shipment/metrics.ts";
import { parcelKey } from "../shipment/shipment.repository.ts";
import {
  judgeBooking,
  judgeCancellation,
  moveTo,
  type Settlement,
  type Shipment,
  settle,
  type Verdict,
} from "../shipment/shipment.ts";
import { createdEffect, effectOf } from "../shipment/shipment-audit.ts";
import {
  commit,
  decodeRef,
  type ShipmentChange,
  type ShipmentRef,
  type ShipmentRow,
  savedValues,
  saveShipments,
  toShipment,
} from "../shipment/shipment-row.ts";
import type { Submission } from "../shipment/submission.ts";
import { claimDue, defer, insertTombstones, lockById, lockByParcel } from "./booking-statements.ts";
import type { BookingState } from "./carrier.ts";

/** Which shipment to book or to call off. */
export interface ParcelRequest extends Keyed, Submission {
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
  /** Who had it asked. */
  readonly origin: AuditOrigin;
}

/** How bookings are claimed. */
export interface BookingRepositoryOptions {
  readonly database: Database;
  /** The carrier's name. */
  readonly carrier: string;
  /** How long whoever claimed a shipment may ask the carrier; longer than all its calls may take. Milliseconds. */
  readonly leaseMs: number;
  readonly onMoved?: OnMoved;
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
    this.book = this.#mutation(`${service}/BookShipment`, lockExisting, (locked, input) =>
      this.#beginBooking(locked, input),
    );
    this.cancel = this.#mutation(`${service}/CancelShipment`, lockOrMark, (locked, input) =>
      this.#beginCancellation(locked, input),
    );
  }

  /** Writes down what the carrier answered; says for each what it became or what to ask next. */
  async settle(answers: readonly CarrierAnswer[]): Promise<Settlement[]> {
    const { settlements, changes } = await this.#options.database.transaction(async (tx) => {
      const rows = await tx.query<ShipmentRow>(lockById, [answers.map((each) => decodeId(each.shipmentId))]);
      const locked = new Map(rows.map((row) => toShipment(row)).map((shipment) => [shipment.shipmentId, shipment]));
      const decided = decideAll(locked, answers);
      if (decided.changes.length > 0) await tx.commitWith(saveShipments, savedValues(decided.changes));
      return decided;
    });
    this.#moved(changes);
    return settlements;
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

  #mutation(method: string, lock: typeof lockExisting, decide: (locked: Locked, input: ParcelRequest) => Decision) {
    const { database } = this.#options;
    return replayable<ParcelRequest, Claim>({
      database,
      method,
      decode: decodeRef,
      run: async (inputs) => {
        const { outputs, changes, marked } = await database.transaction(async (tx) => {
          const { parcels, marked } = await lock(tx, inputs);
          const decisions = inputs.map((input) => attempt(() => decide(locate(parcels, input), input)));
          const changes = decisions.flatMap((each) => (each instanceof Error || !each.change ? [] : [each.change]));
          const outputs = decisions.map((each) => (each instanceof Error ? each : each.claim));
          await commit(tx, { method, inputs, outputs, changes });
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
  }

  #beginBooking({ shipment, due }: Locked, { traceparent }: ParcelRequest): Decision {
    const carrier = this.#options.carrier;
    const decisions: Record<Verdict, () => Decision> = {
      begin: () => this.#lease(moveTo(shipment, "booking", { carrier }), { traceparent, moved: true }),
      await: () => (due ? this.#lease(shipment, { traceparent }) : { claim: { shipmentId: shipment.shipmentId } }),
      done: () => ({ claim: { shipmentId: shipment.shipmentId } }),
    };
    return decisions[judgeBooking(shipment)]();
  }

  #beginCancellation({ shipment, due }: Locked, { origin, traceparent }: ParcelRequest): Decision {
    const claim = { shipmentId: shipment.shipmentId };
    const wanted = { ...shipment, cancelRequested: true };
    const effect = effectOf(shipment, { from: shipment.status, to: "cancelled" }, origin);
    const decisions: Record<Verdict, () => Decision> = {
      begin: () => ({ claim, change: { shipment: moveTo(shipment, "cancelled"), dueMs: null, effect, moved: true } }),
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

type Parcels = ReadonlyMap<string, Locked>;

/** What is locked, and which marks were left in the place of shipments that are not there. */
interface Lock {
  readonly parcels: Parcels;
  readonly marked: readonly Moved[];
}

async function lockExisting(tx: Transaction, inputs: readonly ParcelRequest[]): Promise<Lock> {
  const orderIds = inputs.map((input) => decodeId(input.orderId));
  const rows = await tx.query<LockedRow>(lockByParcel, [orderIds, inputs.map((input) => input.locationId)]);
  const locked = rows.map((row) => ({ shipment: toShipment(row), due: row.due ?? false }));
  return { parcels: new Map(locked.map((each) => [parcelKey(each.shipment), each])), marked: [] };
}

async function lockOrMark(tx: Transaction, inputs: readonly ParcelRequest[]): Promise<Lock> {
  const ids = inputs.map((input) => newId(bucketOf(input.orderId)));
  const orderIds = inputs.map((input) => decodeId(input.orderId));
  const locationIds = inputs.map((input) => input.locationId);
  // The places of an array in SQL begin with 1.
  const effects = inputs.map((input, index) => ({
    ...createdEffect({ ...input, shipmentId: ids[index] ?? "" }, "cancelled"),
    n: index + 1,
  }));
  const values = [ids.map(decodeId), orderIds, locationIds, auditEvents(effects)];
  const [marks, { parcels }] = await Promise.all([tx.query(insertTombstones, values), lockExisting(tx, inputs)]);
  return { parcels, marked: marks.map(() => ({ status: "cancelled" })) };
}

function decideAll(locked: ReadonlyMap<string, Shipment>, answers: readonly CarrierAnswer[]) {
  const changes: ShipmentChange[] = [];
  const settlements = answers.map(({ shipmentId, answer, asked, origin }) => {
    const shipment = locked.get(shipmentId);
    if (!shipment) throw shipmentNotFound({ shipment_id: shipmentId });
    const settlement = settle(shipment, answer, asked);
    if (settlement.kind === "decided" && settlement.shipment !== shipment) {
      const effect = effectOf(shipment, { from: shipment.status, to: settlement.shipment.status }, origin);
      changes.push({ shipment: settlement.shipment, dueMs: null, effect, moved: true });
    }
    return settlement;
  });
  return { settlements, changes };
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
