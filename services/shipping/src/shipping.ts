import type { Client } from "@connectrpc/connect";
import type { Registry } from "prom-client";
import type { CarrierConnectorService } from "#gen/ordermesh/connectors/v1/carrier_connector_service_pb.js";
import type { WarehouseConnectorService } from "#gen/ordermesh/connectors/v1/warehouse_connector_service_pb.js";
import type { OrderEpisodeService } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import type { SagaCallbackService } from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { FulfillmentService } from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import { ShippingService } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import { AuditTrail } from "#platform/audit/audit-trail.ts";
import { Relay, type RelayOptions } from "#platform/batch/relay.ts";
import type { Database } from "#platform/database/database.ts";
import { createEventFeed } from "#platform/events/event-feed.ts";
import type { Logger } from "#platform/log/logger.ts";
import { PageTokens } from "#platform/page-token.ts";
import { personalDataOf } from "#platform/personal/personal-config.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { PersonalSweep } from "#platform/personal/personal-sweep.ts";
import { register, type ServiceParts } from "#platform/process/service.ts";
import { orLate } from "#platform/wait.ts";
import { FulfillmentApi } from "./api/fulfillment-api.ts";
import { ShippingApi } from "./api/shipping-api.ts";
import { BookingRepository } from "./booking/booking.repository.ts";
import { Booking, leaseFor } from "./booking/booking.ts";
import type { Carrier } from "./booking/carrier.ts";
import { CarrierCalls } from "./booking/carrier-call.ts";
import type { ShippingConfig } from "./config.ts";
import { ConnectorCarrier } from "./connector/connector-carrier.ts";
import { ConnectorWarehouse } from "./connector/connector-warehouse.ts";
import { CallOffRepository } from "./packing/call-off.repository.ts";
import { CallOffs } from "./packing/call-offs.ts";
import { PackingRepository } from "./packing/packing.repository.ts";
import { Packing } from "./packing/packing.ts";
import { PackingWords } from "./packing/packing-words.ts";
import type { Warehouse } from "./packing/warehouse.ts";
import { LabelReport } from "./report/label-report.ts";
import { OrderReportRepository } from "./report/order-report.repository.ts";
import { OrderReport } from "./report/order-report.ts";
import { SagaReportRepository } from "./report/saga-report.repository.ts";
import { SagaReport } from "./report/saga-report.ts";
import { TurnBackReportRepository } from "./report/turn-back-report.repository.ts";
import { CarrierRequestRepository } from "./request/carrier-request.repository.ts";
import { CarrierRequests } from "./request/carrier-requests.ts";
import { ShippingMetrics } from "./shipment/metrics.ts";
import { ShipmentRepository } from "./shipment/shipment.repository.ts";
import type { Shipment } from "./shipment/shipment.ts";
import { shippingEvents } from "./shipment/shipment-events.ts";
import { ShipmentPersons } from "./shipment/shipment-persons.repository.ts";
import { Shipments } from "./shipment/shipments.ts";
import { ShipmentLook } from "./tracking/shipment-look.ts";
import { type Silence, SilentShipmentRepository } from "./tracking/silent-shipment.repository.ts";
import { TrackingRepository } from "./tracking/tracking.repository.ts";
import { Tracking } from "./tracking/tracking.ts";

/** What the shipping service is built from; a test gives its own. */
export interface ShippingContext {
  readonly config: ShippingConfig;
  readonly database: Database;
  readonly logger: Logger;
  /** Where the audit log is published: where the logger writes. */
  readonly output: NodeJS.WritableStream;
  readonly registry: Registry;
  readonly sagas: Client<typeof SagaCallbackService>;
  readonly orders: Client<typeof OrderEpisodeService>;
  readonly carrier: Client<typeof CarrierConnectorService>;
  /** Undefined where people pack. */
  readonly warehouse: Client<typeof WarehouseConnectorService> | undefined;
}

/** How long decisions may go on after the last call was answered; the platform allows 5 s for stopping. */
const drainGraceMs = 3_000;
/** The relay that asks the warehouse. */
const packingRelay = "shipment.packing";
/** The relay that tells it what was called off. */
const callOffRelay = "warehouse.call_off";
/** The relay that tells orders, as metrics and log lines name it. */
const newsRelay = "shipment.news";
/** Those that ask the carrier what is no booking, and tell orders what it says. */
const requestRelay = "carrier.request";
const answerRelay = "carrier.answer";
/** While nothing is due, looks are up to so many times as far apart. */
const rests = 5;
/** After a sweep that had as many, there may be more. No sweep takes fewer at most. */
const full = 128;
/** The longest pause of a relay that fails, in milliseconds. */
const maxPauseMs = 5_000;

/** Builds the shipping service. */
export function buildShipping(context: ShippingContext): ServiceParts {
  const { config, database, logger, output, registry } = context;
  const metrics = new ShippingMetrics(registry);
  const carrier = new ConnectorCarrier({
    connector: context.carrier,
    timeoutMs: config.CARRIER_TIMEOUT_MS,
    log: logger,
  });
  const personal = personalDataOf(config);
  const repository = new ShipmentRepository(database, metrics.moved, personal);
  const news = new OrderReportRepository(database);
  const teller = relayOfNews(context, news, metrics);
  const onNews = () => teller.nudge();
  const warehouse = buildWarehouse(context, { metrics, personal, onNews });
  const booking = buildBooking(context, carrier, { metrics, personal, onNews, onCalledOff: warehouse.onCalledOff });
  const asking = buildRequests(context, carrier, { metrics, personal, onNews });
  const reporter = relayOfReports(context);
  const shipments = new Shipments({ repository, onCreated: warehouse.onCreated });
  const onOver = ({ reported }: Shipment) => (reported ? teller : reporter).nudge();
  const tracking = new Tracking({ repository: new TrackingRepository(database, metrics.moved), onOver });
  const silent = new SilentShipmentRepository(database, silenceOf(config));
  const look = buildLook(context, carrier, { metrics, silent, tracking });
  const words = new PackingWords({
    shipments: repository,
    packing: new PackingRepository(database, metrics.moved),
    onNews,
  });
  const pageTokens = new PageTokens(config.PAGE_TOKEN_SECRET);
  const common = { service: "shipping", database, registry, logger, config };
  const audit = new AuditTrail({ ...common, output });
  const events = createEventFeed({ ...common, types: shippingEvents });
  const backlog = watchBacklog(context, metrics, { repository, news, silent, requests: asking.repository });
  const privacy = [sweepPersonal(context, personal), relayOfForgetting(context, personal)];
  const told = [reporter, teller, relayOfBooking(context, booking), ...asking.loops, backlog];
  const loops = [...warehouse.loops, ...told, audit, events, ...privacy];
  return {
    services: [
      register(ShippingService, new ShippingApi({ shipments, words, tracking, look, pageTokens, personal })),
      register(FulfillmentService, new FulfillmentApi({ booking, shipments, requests: asking.requests, personal })),
      audit.registration,
    ],
    ...life({ carrier, loops, drained: [booking, shipments, words, tracking, asking.requests] }),
  };
}

/** What runs, and what takes nothing more in the end. */
interface Running {
  readonly carrier: ConnectorCarrier;
  readonly loops: readonly { start(): void; stop(): Promise<void> }[];
  readonly drained: readonly { drain(): Promise<void> }[];
}

function life({ carrier, loops, drained }: Running): Required<Pick<ServiceParts, "start" | "stop">> {
  return {
    async start() {
      for (const loop of loops) loop.start();
    },
    async stop() {
      await Promise.all(loops.map((loop) => loop.stop()));
      const answered = Promise.all(drained.map((each) => each.drain()));
      await orLate(
        answered.then(() => carrier.drain()),
        drainGraceMs,
      );
    },
  };
}

/** Who hears of what happens, and what opens addresses. */
interface Listeners {
  readonly metrics: ShippingMetrics;
  readonly personal: PersonalData;
  /** There is something to tell to orders. */
  readonly onNews: () => void;
}

/** Who hears besides of what is called off. */
interface BookingListeners extends Listeners {
  readonly onCalledOff: () => void;
}

function buildBooking(context: ShippingContext, carrier: Carrier, listeners: BookingListeners): Booking {
  const { config, database, logger } = context;
  const { metrics, personal, onNews, onCalledOff } = listeners;
  const repository = new BookingRepository({
    database,
    leaseMs: leaseFor(config.CARRIER_TIMEOUT_MS),
    onMoved: metrics.moved,
    tellsWarehouse: isWarehouseAsked(context),
    onCalledOff,
  });
  return new Booking({
    repository,
    carrier,
    log: logger,
    timeoutMs: config.CARRIER_TIMEOUT_MS,
    answerMs: config.CARRIER_ANSWER_MS,
    personal,
    factsOf: config.CARRIER_PARCELS,
    onCall: metrics.carrierCall,
    onNews,
  });
}

/** What asks the carrier to turn parcels back, and for labels, and tells orders what it says. */
function buildRequests(context: ShippingContext, carrier: Carrier, { metrics, personal }: Listeners) {
  const { config, database, logger, orders } = context;
  const timeoutMs = config.CARRIER_TIMEOUT_MS;
  const repository = new CarrierRequestRepository(database, config.CARRIER_PATIENCE_MS);
  const told = new TurnBackReportRepository(repository);
  const tell = { orders, log: logger, timeoutMs: config.ORDERS_TIMEOUT_MS };
  const turnBacks = new OrderReport({ ...tell, repository: told, onOutcome: metrics.newsTold });
  const labels = new LabelReport({ ...tell, repository });
  const teller = relay(
    context,
    answerRelay,
    async (signal) => (await turnBacks.sweep(signal)) + (await labels.sweep(signal)),
  );
  const requests: CarrierRequests = new CarrierRequests({
    repository,
    calls: new CarrierCalls({ carrier, timeoutMs, note: metrics.carrierCall, personal }),
    log: logger,
    timeoutMs,
    onAsked: () => asker.nudge(),
    onAnswered: () => teller.nudge(),
  });
  const asker = relay(context, requestRelay, () => requests.sweep());
  return { repository, requests, loops: [asker, teller] };
}

function silenceOf({ SHIPMENT_SILENT_MS: silentMs, SHIPMENT_OVERDUE_MS: overdueMs }: ShippingConfig): Silence {
  return { silentMs, overdueMs };
}

/** What the look at silent parcels works with, besides the service's own. */
interface LookParts {
  readonly metrics: ShippingMetrics;
  readonly silent: SilentShipmentRepository;
  readonly tracking: Tracking;
}

function buildLook({ config, logger }: ShippingContext, carrier: Carrier, parts: LookParts): ShipmentLook {
  const { metrics, silent: repository, tracking } = parts;
  const calls = new CarrierCalls({ carrier, timeoutMs: config.CARRIER_TIMEOUT_MS, note: metrics.carrierCall });
  return new ShipmentLook({ repository, calls, tracking, log: logger, onOutcome: metrics.looked });
}

function relayOfBooking(context: ShippingContext, booking: Booking): Relay {
  return relay(context, "shipment.booking", () => booking.sweep());
}

/** Where people pack, nobody is asked. */
function isWarehouseAsked({ config, warehouse }: ShippingContext): boolean {
  return warehouse !== undefined && config.WAREHOUSE !== "people";
}

/** What asks a warehouse that packs, and tells it what was called off. */
interface WarehouseLoops {
  readonly loops: readonly Relay[];
  readonly onCreated: () => void;
  readonly onCalledOff: () => void;
}

function buildWarehouse(context: ShippingContext, listeners: Listeners): WarehouseLoops {
  const { config, logger, warehouse: connector } = context;
  const nothing = () => undefined;
  if (!connector || !isWarehouseAsked(context)) return { loops: [], onCreated: nothing, onCalledOff: nothing };
  const warehouse = new ConnectorWarehouse({ connector, timeoutMs: config.CARRIER_TIMEOUT_MS, log: logger });
  const packer = relayOfPacking(context, warehouse, listeners);
  const teller = relayOfCallOffs(context, warehouse, listeners.metrics);
  return { loops: [packer, teller], onCreated: () => packer.nudge(), onCalledOff: () => teller.nudge() };
}

function relayOfCallOffs(context: ShippingContext, warehouse: Warehouse, metrics: ShippingMetrics): Relay {
  const { config, database, logger } = context;
  const repository = new CallOffRepository(database);
  const timeoutMs = config.CARRIER_TIMEOUT_MS;
  const callOffs = new CallOffs({ repository, warehouse, log: logger, timeoutMs, onOutcome: metrics.calledOff });
  return relay(context, callOffRelay, (signal) => callOffs.sweep(signal));
}

function relayOfPacking(
  context: ShippingContext,
  warehouse: Warehouse,
  { metrics, personal, onNews }: Listeners,
): Relay {
  const { config, database, logger } = context;
  const packing = new Packing({
    repository: new PackingRepository(database, metrics.moved),
    warehouse,
    log: logger,
    timeoutMs: config.CARRIER_TIMEOUT_MS,
    personal,
    onNews,
  });
  return relay(context, packingRelay, (signal) => packing.sweep(signal));
}

function relayOfReports(context: ShippingContext): Relay {
  const { config, database, sagas } = context;
  const repository = new SagaReportRepository(database);
  const reports = new SagaReport({ repository, sagas, timeoutMs: config.WORKER_TIMEOUT_MS });
  return relay(context, "shipment.report", (signal) => reports.sweep(signal));
}

function relayOfNews(context: ShippingContext, repository: OrderReportRepository, metrics: ShippingMetrics): Relay {
  const { config, logger, orders } = context;
  const timeoutMs = config.ORDERS_TIMEOUT_MS;
  const report = new OrderReport({ repository, orders, log: logger, timeoutMs, onOutcome: metrics.newsTold });
  return relay(context, newsRelay, (signal) => report.sweep(signal));
}

function relay({ config, logger }: ShippingContext, name: string, sweep: RelayOptions["sweep"]): Relay {
  const everyMs = config.SWEEP_MS;
  const pace = { spacingMs: config.SWEEP_SPACING_MS, full };
  return new Relay({ name, everyMs, restMs: rests * everyMs, sweep, log: logger, maxPauseMs, pace });
}

/** Rows of one transaction, each locked for as long as it takes to seal them all: some milliseconds. */
const personalBatch = 100;

/** Forgets where parcels went that ended long ago. */
function relayOfForgetting({ config, database, logger }: ShippingContext, personal: PersonalData): Relay {
  const shipments = new ShipmentPersons(database, personal);
  const sweep = () => shipments.forgetBatch(config.SHIPMENT_ADDRESS_KEEP_DAYS, personalBatch);
  return new Relay({ name: "shipment.forget", everyMs: config.PERSONAL_DATA_SWEEP_MS, sweep, log: logger });
}

function sweepPersonal({ config, database, logger }: ShippingContext, personal: PersonalData): PersonalSweep {
  const shipments = new ShipmentPersons(database, personal);
  const everyMs = config.PERSONAL_DATA_SWEEP_MS;
  const move = () => shipments.moveBatch(personalBatch);
  return new PersonalSweep({ name: "shipment.personal", database, personal, move, logger, everyMs });
}

/** Whom is asked what is due. */
interface Waiting {
  readonly repository: ShipmentRepository;
  readonly news: OrderReportRepository;
  readonly silent: SilentShipmentRepository;
  readonly requests: Pick<CarrierRequestRepository, "backlog">;
}

/** Measures how long what is due has waited. */
function watchBacklog(context: ShippingContext, metrics: ShippingMetrics, waiting: Waiting): Relay {
  const { config, database, logger } = context;
  const { repository, news, silent, requests } = waiting;
  const callOffs = new CallOffRepository(database);
  const sweep = async () => {
    const [due, untold, lookAge] = await Promise.all([repository.backlog(), news.backlog(), silent.lookAge()]);
    const asked = await requests.backlog();
    const calledOff = isWarehouseAsked(context) ? await callOffs.backlog() : 0;
    metrics.lookAge(lookAge);
    // How long people take to pack is no backlog of the service.
    const ours = [...due].filter(([name]) => config.WAREHOUSE !== "people" || name !== packingRelay);
    const outside = [
      [requestRelay, asked.due],
      [answerRelay, asked.untold],
      [callOffRelay, calledOff],
    ] as const;
    metrics.backlog(new Map([...ours, [newsRelay, untold], ...outside]));
    return 0;
  };
  return new Relay({ name: "shipment.backlog", everyMs: config.BACKLOG_EVERY_MS, sweep, log: logger });
}
