import assert from "node:assert/strict";
import pg from "pg";
import { auditOrigin } from "#platform/audit/audit-entry.ts";
import { quietLogger } from "#testing/logger.ts";
import { type TestDatabase, testDatabase } from "#testing/postgres.ts";
import { CarrierSimulator } from "../../simulators/src/carrier/carrier-simulator.ts";
import { carrierClient } from "../../simulators/src/connector-client.ts";
import { migrations as simulatorMigrations } from "../../simulators/src/migrations/list.ts";
import { BookingRepository, type ShipmentRequest } from "../src/booking/booking.repository.ts";
import { Booking, type BookingOptions, leaseFor } from "../src/booking/booking.ts";
import type { BookingOrder } from "../src/booking/carrier.ts";
import { ordinaryParcel } from "../src/booking/parcel-facts.ts";
import { ConnectorCarrier } from "../src/connector/connector-carrier.ts";
import { migrations } from "../src/migrations/list.ts";
import { PackingRepository } from "../src/packing/packing.repository.ts";
import { ShipmentEntity, TrackingEventEntity } from "../src/shipment/shipment.entity.ts";
import { ShipmentRepository } from "../src/shipment/shipment.repository.ts";
import type { Shipment } from "../src/shipment/shipment.ts";
import { submission } from "../src/shipment/shipment-audit.ts";
import { type TrackingReport, TrackingRepository } from "../src/tracking/tracking.repository.ts";
import { type Change, newShipment } from "./examples.ts";

/** How long one call to the carrier may take in tests, in milliseconds. */
const timeoutMs = 10_000;
/** The same where a call is never answered. */
export const shortTimeoutMs = 400;

/** The repositories on a fresh database, with a simulated carrier behind its connector, whose clock the test moves. */
export class World implements AsyncDisposable {
  readonly test: TestDatabase;
  /** What the simulated carrier and warehouse remember in. */
  readonly outside: TestDatabase;
  readonly shipments: ShipmentRepository;
  readonly packing: PackingRepository;
  readonly bookings: BookingRepository;
  readonly tracking: { record(reports: readonly TrackingReport[]): ReturnType<TrackingRepository["record"]> };
  readonly carrier: ConnectorCarrier;
  /** Milliseconds since 1970 as the simulators have it. */
  now = Date.parse("2026-03-01T12:00:00Z");

  private constructor(test: TestDatabase, outside: TestDatabase) {
    const { database } = test;
    this.test = test;
    this.outside = outside;
    this.shipments = new ShipmentRepository(database);
    this.packing = new PackingRepository(database);
    const tracking = new TrackingRepository(database);
    this.tracking = {
      record: (reports) => tracking.record(reports.map((report) => ({ ...report, origin: auditOrigin() }))),
    };
    this.bookings = new BookingRepository({ database, leaseMs: leaseFor(timeoutMs) });
    this.carrier = this.openCarrier();
  }

  static async open(connection: { poolMax?: number } = {}): Promise<World> {
    const entities = [ShipmentEntity, TrackingEventEntity];
    const outside = { entities: [], migrations: simulatorMigrations, connection };
    return new World(
      await testDatabase("shipping", { entities, migrations, connection }),
      await testDatabase("simulators", outside),
    );
  }

  /** The carrier as another process would open it: it remembers everything. */
  openCarrier(): ConnectorCarrier {
    const simulator = new CarrierSimulator({
      store: this.outside.database,
      transitMs: 4_000,
      slowMs: 60_000,
      refusedLocations: ["NOWHERE"],
      now: () => this.now,
    });
    return new ConnectorCarrier({ connector: carrierClient(simulator), timeoutMs, log: quietLogger() });
  }

  /** A parcel as the carrier is asked to take it. */
  order(
    { shipmentId: key, orderId, locationId, address }: Shipment,
    expireTime = new Date(Date.now() + timeoutMs),
  ): BookingOrder {
    assert.ok(typeof address === "object");
    return { key, orderId, locationId, address, parcel: ordinaryParcel, expireTime };
  }

  /** Booking as a process has it. */
  openBooking(change: Partial<BookingOptions> = {}): Booking {
    const log = quietLogger();
    const { bookings: repository, carrier } = this;
    return new Booking({ repository, carrier, log, timeoutMs, answerMs: 30_000, ...change });
  }

  /** A new shipment, packed unless told otherwise. */
  async create(change: Change = {}, packed = true): Promise<Shipment> {
    const [created] = await this.shipments.create([newShipment(change)]);
    assert.ok(created && !(created instanceof Error) && created.shipment);
    const { shipmentId } = created;
    const shipment = await this.look(shipmentId);
    if (packed) await this.packing.settle([{ shipment, state: { kind: "packed" } }]);
    return this.look(shipmentId);
  }

  /** A new shipment that the carrier has. */
  async ship(change: Change = {}): Promise<Shipment> {
    const shipment = await this.create(change);
    return this.look(await this.openBooking().book(request(shipment, "ship")));
  }

  async look(shipmentId: string): Promise<Shipment> {
    const [shipment] = await this.shipments.find([shipmentId]);
    assert.ok(shipment);
    return shipment;
  }

  /** Runs statements as a superuser. */
  async admin(sql: string): Promise<void> {
    const client = new pg.Client({ connectionString: this.test.adminUrl });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  }

  /** Lets the time of all claims run out. */
  async expireLeases(): Promise<void> {
    await this.test.database.query(
      `update shipment set due_time = due_time - interval '1 hour', report_due_time = report_due_time - interval '1 hour',
        news_due_time = news_due_time - interval '1 hour'`,
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.test[Symbol.asyncDispose]();
    await this.outside[Symbol.asyncDispose]();
  }
}

/** A request to book or to call off, as the saga makes it. */
export function request(
  parcel: { orderId: string; locationId: string; generation?: number; fence?: number },
  step: string,
): ShipmentRequest {
  const { orderId, locationId, generation = 0, fence = 0 } = parcel;
  const requestId = `${orderId}:${step}:${locationId}${generation > 0 ? `~${generation}` : ""}`;
  return {
    requestId,
    fingerprint: Buffer.from(`${orderId}/${locationId}`),
    orderId,
    locationId,
    generation,
    fence,
    ...submission(requestId),
  };
}
