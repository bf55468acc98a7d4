import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "@connectrpc/connect";
import type { Registry } from "prom-client";
import type { SagaCallbackService } from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { FulfillmentService as FulfillmentServiceDescriptor } from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import { ShippingService as ShippingServiceDescriptor } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { AuditTrail, type AuditTrailOptions } from "#platform/audit/audit-trail.ts";
import { Relay } from "#platform/batch/relay.ts";
import type { Database } from "#platform/database/database.ts";
import type { Logger } from "#platform/log/logger.ts";
import { PageTokens } from "#platform/page-token.ts";
import { register, type ServiceParts } from "#platform/process/service.ts";
import { FulfillmentService } from "./api/fulfillment-api.ts";
import { ShippingService } from "./api/shipping-api.ts";
import { BookingRepository } from "./booking/booking.repository.ts";
import { Booking, leaseFor } from "./booking/booking.ts";
import type { Carrier } from "./booking/carrier.ts";
import type { ShippingConfig } from "./config.ts";
import { PackingRepository } from "./packing/packing.repository.ts";
import { Packing } from "./packing/packing.ts";
import type { Warehouse } from "./packing/warehouse.ts";
import { SagaReportRepository } from "./report/saga-report.repository.ts";
import { SagaReport } from "./report/saga-report.ts";
import { BacklogRepository } from "./shipment/backlog.repository.ts";
import { ShippingMetrics } from "./shipment/metrics.ts";
import { ShipmentRepository } from "./shipment/shipment.repository.ts";
import { Shipments } from "./shipment/shipments.ts";
import { TrackingRepository } from "./tracking/tracking.repository.ts";

/** What the service is built from. */
export interface ShippingOptions {
  readonly config: ShippingConfig;
  readonly database: Database;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly sagas: Client<typeof SagaCallbackService>;
  readonly carrier: Carrier;
  readonly warehouse: Warehouse;
  /** Where audit events are published; standard output unless given. */
  readonly output: AuditTrailOptions["output"];
}

/** The service, with what a simulator of the outside world reports to. */
export interface ShippingParts extends ServiceParts {
  readonly start: () => Promise<void>;
  readonly stop: () => Promise<void>;
  readonly shipments: Shipments;
}

/** How long decisions may go on after the last call was answered; the platform allows 5 s for stopping. */
const drainGraceMs = 3_000;

/** Puts the service together. */
export function buildShipping(options: ShippingOptions): ShippingParts {
  const metrics = new ShippingMetrics(options.registry);
  const relays = buildRelays(options, metrics);
  const shipments = new Shipments({
    repository: new ShipmentRepository(options.database, metrics.moved),
    tracking: new TrackingRepository(options.database, metrics.moved),
    onCreated: () => relays.packing.nudge(),
    onOver: () => relays.report.nudge(),
  });
  const { booking } = relays;
  const audit = new AuditTrail({ service: "shipping", ...options });
  const service = new ShippingService(shipments, new PageTokens(options.config.PAGE_TOKEN_SECRET));
  return {
    shipments,
    services: [
      register(ShippingServiceDescriptor, service),
      register(FulfillmentServiceDescriptor, new FulfillmentService(booking, shipments)),
      audit.registration,
    ],
    async start() {
      for (const each of [...relays.all, audit]) each.start();
    },
    async stop() {
      await Promise.all([...relays.all, audit].map((each) => each.stop()));
      const drained = Promise.all([booking.drain(), shipments.drain()]);
      await Promise.race([drained, pause(drainGraceMs, undefined, { ref: false })]);
    },
  };
}

function buildBooking({ config, database, logger: log, carrier }: ShippingOptions, metrics: ShippingMetrics): Booking {
  const { CARRIER_TIMEOUT_MS: timeoutMs, CARRIER_ANSWER_MS: answerMs } = config;
  const leaseMs = leaseFor(timeoutMs);
  const { moved: onMoved, carrierCall: onCall } = metrics;
  const repository = new BookingRepository({ database, carrier: carrier.name, leaseMs, onMoved });
  return new Booking({ repository, carrier, log, timeoutMs, answerMs, onCall });
}

function buildRelays(options: ShippingOptions, metrics: ShippingMetrics) {
  const { config, database, logger: log, warehouse, sagas } = options;
  const booking = buildBooking(options, metrics);
  const packer = new Packing({
    repository: new PackingRepository(database, metrics.moved),
    warehouse,
    log,
    timeoutMs: config.CARRIER_TIMEOUT_MS,
  });
  const reports = new SagaReport({
    repository: new SagaReportRepository(database),
    sagas,
    timeoutMs: config.WORKER_TIMEOUT_MS,
  });
  const everyMs = config.SWEEP_MS;
  const relay = (name: string, sweep: (signal: AbortSignal) => Promise<number>) =>
    new Relay({ name, everyMs, sweep, log, maxPauseMs: 5_000 });
  const packing = relay("shipment.packing", (signal) => packer.sweep(signal));
  const report = relay("shipment.report", (signal) => reports.sweep(signal));
  const undecided = relay("shipment.booking", () => booking.sweep());
  const backlog = new BacklogRepository(database);
  const look = async () => {
    metrics.backlog(await backlog.look());
    return 0;
  };
  const looking = new Relay({ name: "shipment.backlog", everyMs: config.BACKLOG_EVERY_MS, sweep: look, log });
  return { booking, packing, report, all: [packing, report, undecided, looking] };
}
