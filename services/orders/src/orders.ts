import type { Client } from "@connectrpc/connect";
import type { Registry } from "prom-client";
import { CustomerService } from "#gen/shop/orders/v1/customer_service_pb.js";
import { OrderEpisodeService } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { OrderLifecycleService } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { OrderReturnService } from "#gen/shop/orders/v1/order_return_service_pb.js";
import { OrderReviewService } from "#gen/shop/orders/v1/order_review_service_pb.js";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { OrderStatisticsService } from "#gen/shop/orders/v1/order_statistics_service_pb.js";
import type { SagaService } from "#gen/shop/sagas/v1/saga_service_pb.js";
import type { RevealAudit } from "#platform/audit/audit-api.ts";
import { AuditTrail } from "#platform/audit/audit-trail.ts";
import { Relay } from "#platform/batch/relay.ts";
import type { ConfigOf, EventsConfig, PlatformConfig } from "#platform/config.ts";
import type { Database } from "#platform/database/database.ts";
import type { Queryable } from "#platform/database/transaction.ts";
import { createEventFeed } from "#platform/events/event-feed.ts";
import type { FeatureFlags } from "#platform/flags/feature-flags.ts";
import type { Logger } from "#platform/log/logger.ts";
import { PageTokens } from "#platform/page-token.ts";
import { personalDataOf } from "#platform/personal/personal-config.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { PersonalSweep } from "#platform/personal/personal-sweep.ts";
import { register, type ServiceParts, type ServiceRegistration } from "#platform/process/service.ts";
import { AmendmentRepository } from "./amend/amendment.repository.ts";
import { AmendmentDecisions } from "./amend/amendment-decisions.ts";
import { OrderAmending } from "./amend/order-amending.ts";
import { BulkOrders } from "./api/bulk-orders.ts";
import { CustomerApi } from "./api/customer-api.ts";
import { OrderApi } from "./api/order-api.ts";
import { OrderEpisodeApi } from "./api/order-episode-api.ts";
import { OrderLifecycleApi } from "./api/order-lifecycle-api.ts";
import { OrderReturnApi } from "./api/order-return-api.ts";
import { OrderReviewApi } from "./api/order-review-api.ts";
import { OrderStatisticsApi } from "./api/order-statistics-api.ts";
import { CancelReasons } from "./cancel/cancel-reasons.repository.ts";
import { CancellationRepository } from "./cancel/cancellation.repository.ts";
import { type CancelOrder, OrderCancellation } from "./cancel/order-cancellation.ts";
import type { ordersConfig } from "./config.ts";
import { CustomerRepository } from "./customer/customer.repository.ts";
import { ErasureRepository } from "./customer/erasure.repository.ts";
import { RetentionRepository } from "./customer/retention.repository.ts";
import { Retention } from "./customer/retention.ts";
import { Admission } from "./episode/admission.ts";
import { createBackOrderWatch } from "./episode/back-order-watch.ts";
import { EpisodeRepository, type FaultPolicy } from "./episode/episode.repository.ts";
import { EpisodeStarter } from "./episode/episode-starter.ts";
import { EpisodeStarts } from "./episode/episode-starts.ts";
import { createEpisodeSweep } from "./episode/episode-sweep.ts";
import { createEpisodeWatch } from "./episode/episode-watch.ts";
import { OrderSettler } from "./episode/order-settler.ts";
import { ParkedOrders } from "./episode/parked-orders.repository.ts";
import { RefusedEpisodes } from "./episode/refused-episodes.ts";
import { ShipmentReports } from "./episode/shipment-reports.ts";
import { StepDecisions } from "./episode/step-decisions.ts";
import { StockReports } from "./episode/stock-reports.ts";
import { ChangeHub } from "./follow/change-hub.ts";
import { OrderFollower } from "./follow/order-follower.ts";
import { LegacySagas } from "./legacy/legacy-sagas.ts";
import { SagaOutbox } from "./legacy/saga-outbox.repository.ts";
import { AuditedRequests } from "./order/audited-requests.repository.ts";
import { CardMoves } from "./order/card-moves.repository.ts";
import { createOrderMetrics, type OrderMetrics } from "./order/metrics.ts";
import { OrderRepository } from "./order/order.repository.ts";
import { cancelRequestEntry, type StepDecisionRequest, stepDecisionEntry } from "./order/order-audit.ts";
import { OrderCards } from "./order/order-cards.ts";
import { OrderDeletion } from "./order/order-deletion.repository.ts";
import { ordersEvents } from "./order/order-events.ts";
import { OrderIntake } from "./order/order-intake.ts";
import { OrderMover } from "./order/order-mover.ts";
import { OrderNotes } from "./order/order-notes.ts";
import { OrderPersons } from "./order/order-persons.repository.ts";
import { createProgressWatch } from "./order/order-progress.ts";
import { changeChannel } from "./order/order-transition.repository.ts";
import { OrderReturnRepository } from "./returns/order-return.repository.ts";
import { OrderReturns } from "./returns/order-returns.ts";
import { ParcelReturns } from "./returns/parcel-returns.ts";
import { ReturnExchanges } from "./returns/return-exchanges.ts";
import { ReturnMetrics } from "./returns/return-metrics.ts";
import { ReturnPolicy, type ReturnPolicySettings } from "./returns/return-policy.ts";
import { ReturnTexts } from "./returns/return-texts.ts";
import { createReturnWatch } from "./returns/return-watch.ts";
import { AmendmentScreening } from "./screening/amendment-screening.ts";
import { FraudFlags } from "./screening/fraud-flags.ts";
import { OrderScreening } from "./screening/order-screening.ts";
import { ReviewDecisions } from "./screening/review-decisions.ts";
import { createReviewWatch } from "./screening/review-watch.ts";
import { ReviewsRepository } from "./screening/reviews.repository.ts";
import { ScreeningRepository } from "./screening/screening.repository.ts";
import { ScreeningKeys } from "./screening/screening-keys.ts";
import { ScreeningMetrics } from "./screening/screening-metrics.ts";
import { OrderCuts } from "./shortage/order-cuts.ts";
import { RestOrders } from "./shortage/rest-order.ts";
import { StatisticsRepository } from "./statistics/statistics.repository.ts";
import { Statistics } from "./statistics/statistics.ts";

/** What the orders service is built from; a test gives its own. */
export interface OrdersContext {
  readonly config: ConfigOf<typeof ordersConfig> &
    Pick<PlatformConfig, "PAGE_TOKEN_SECRET" | "MAX_MESSAGE_BYTES"> &
    Partial<Pick<PlatformConfig, "LOG_FORMAT" | "SERVICE_NAME"> & EventsConfig>;
  readonly database: Database;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly flags: FeatureFlags;
  readonly sagas: Client<typeof SagaService>;
  /** Fires when who waits for a change should be answered, because the process stops. */
  readonly closing: AbortSignal;
  /** Where the audit log is published: where the logger writes. */
  readonly output: NodeJS.WritableStream;
}

/** What every subject of the service builds on. */
interface Ground extends OrdersContext {
  readonly metrics: OrderMetrics;
  readonly personal: PersonalData;
  readonly cards: OrderCards;
  readonly fraud: FraudFlags;
  readonly screeningKeys: ScreeningKeys;
  readonly notes: OrderNotes;
  readonly repository: OrderRepository;
  /** The same within a transaction. */
  readonly ordersWithin: (queryable: Queryable) => OrderRepository;
  readonly mover: OrderMover;
  readonly amendments: AmendmentDecisions;
  readonly cuts: OrderCuts;
}

/** Builds the orders service. */
export function buildOrders(context: OrdersContext): ServiceParts {
  const { config, database } = context;
  const ground = layGround(context);
  const { personal, mover } = ground;
  const following = buildFollowing(ground);
  const episodes = buildEpisodes(ground);
  const legacy = buildLegacy(ground);
  const screening = buildScreening(ground, episodes);
  const returning = buildReturns(ground, episodes);
  const customers = new CustomerRepository(database, personal);
  const intake = buildIntake(ground, episodes);
  const audit = buildAudit(ground);
  const erasures = new ErasureRepository(database, config.PERSONAL_DATA_KEEP_DAYS);
  const eraser = sweepErasures(ground, erasures);
  const parts = { ...following, ...episodes, ...screening, ...returning };
  const apis = buildApis(ground, { ...parts, legacy, intake, customers, erasures, eraser });
  const sealer = sweepPersonal(ground, customers);
  const retention = buildRetention(ground, erasures, () => eraser.nudge());
  const loops = [
    ...episodes.loops,
    screening.watch,
    returning.returnWatch,
    legacy.relay,
    watchProgress(ground),
    audit,
    createEventFeed({ ...ground, service: "orders", types: ordersEvents }),
    sealer,
    eraser,
    retention,
  ];
  const { screening: screened, reviewDecisions } = screening;
  const { settler, reports, stock, decisions } = episodes;
  const batches = [intake, mover, settler, reports, stock, decisions, screened, reviewDecisions];
  return {
    services: [...apis, buildStatistics(ground), audit.registration],
    reloads: returning.reloads,
    ...background({ database, hub: following.hub, loops, batches: [...batches, ground.amendments, ground.cuts] }),
  };
}

function buildStatistics({ config, database }: Ground): ServiceRegistration {
  const pageTokens = new PageTokens(config.PAGE_TOKEN_SECRET);
  const statistics = new Statistics(database);
  const repository = new StatisticsRepository(database);
  return register(OrderStatisticsService, new OrderStatisticsApi({ statistics, repository, pageTokens }));
}

function buildAudit({ config, database, registry, logger, output, notes }: Ground): AuditTrail {
  const reveal: RevealAudit = (events) => notes.reveal(events);
  return new AuditTrail({ service: "orders", database, registry, logger, config, output, reveal });
}

function buildIntake({ config, database, metrics, repository }: Ground, episodes: EpisodeParts): OrderIntake {
  return new OrderIntake({
    database,
    repository,
    onPlaced: (count) => episodes.starter.accepted(count, "prompt"),
    enter: (work) => episodes.admission.enter(work),
    metrics,
    batchMax: config.ORDER_LIST_MAX,
    lanes: config.ORDER_INSERT_LANES,
  });
}

function layGround(context: OrdersContext): Ground {
  const { config, database, logger, registry, flags } = context;
  const metrics = createOrderMetrics(registry);
  const personal = personalDataOf(config);
  const cards = new OrderCards(personal, config.PERSONAL_DATA_CARDS);
  const keys = new ScreeningKeys(database, personal);
  const fraud = new FraudFlags({ flags, hashPostalCode: (code) => keys.postalHash(code), logger });
  const ordersWithin = (queryable: Queryable) =>
    new OrderRepository(queryable, personal, {
      cards,
      similarity: async (orders) =>
        (await fraud.screens()) ? Promise.all(orders.map((order) => keys.columnsOf(order))) : [],
    });
  const repository = ordersWithin(database);
  const mover = new OrderMover({ database, metrics, rests: new RestOrders(repository, { personal, cards }) });
  const notes = new OrderNotes(database, personal);
  const amendments = new AmendmentDecisions(database);
  const cuts = new OrderCuts(database, repository);
  return {
    ...context,
    metrics,
    personal,
    cards,
    notes,
    fraud,
    screeningKeys: keys,
    repository,
    ordersWithin,
    mover,
    amendments,
    cuts,
  };
}

/** What holds orders up, and what decides about them. */
interface ScreeningParts {
  readonly screening: OrderScreening;
  readonly amendmentScreening: AmendmentScreening;
  readonly reviews: ReviewsRepository;
  readonly reviewDecisions: ReviewDecisions;
  readonly watch: Loop;
}

function buildScreening(
  { config, database, notes, registry, logger, fraud, screeningKeys: keys, repository }: Ground,
  { starter }: EpisodeParts,
): ScreeningParts {
  const metrics = new ScreeningMetrics(registry);
  const screened = new ScreeningRepository(database);
  const amendmentScreening = new AmendmentScreening({ repository: screened, keys, flags: fraud, metrics, logger });
  const screening = new OrderScreening({ database, orders: repository, flags: fraud, metrics, logger });
  const reviews = new ReviewsRepository(database);
  const onAccepted = (count: number) => starter.accepted(count, "prompt");
  const reviewDecisions = new ReviewDecisions({ database, notes, metrics, onAccepted });
  const watch = createReviewWatch({
    reviews,
    decisions: reviewDecisions,
    metrics,
    logger,
    maxMs: config.ORDER_REVIEW_MAX_MS,
    everyMs: config.ORDER_REVIEW_SWEEP_MS,
  });
  return { screening, amendmentScreening, reviews, reviewDecisions, watch };
}

/** What takes back what was delivered. */
interface ReturnParts {
  readonly returns: OrderReturns;
  readonly parcels: ParcelReturns;
  readonly exchanges: ReturnExchanges;
  readonly returnRows: OrderReturnRepository;
  readonly returnWatch: Loop;
  readonly reloads: NonNullable<ServiceParts["reloads"]>;
}

function buildReturns(
  { config, database, personal, cards, registry, logger, metrics: orderMetrics, ordersWithin }: Ground,
  { starter }: EpisodeParts,
): ReturnParts {
  const policy = new ReturnPolicy({
    windowDays: config.RETURN_WINDOW_DAYS,
    finalSale: config.RETURN_FINAL_SALE_SKUS,
    approveBelow: config.RETURN_APPROVE_BELOW_MAJOR_UNITS,
    shipping: config.RETURN_SHIPPING_FEE,
  });
  const returnRows = new OrderReturnRepository(database, personal, cards);
  const onAccepted = (count: number) => starter.accepted(count, "prompt");
  const metrics = new ReturnMetrics(registry);
  return {
    returns: new OrderReturns({ database, repository: returnRows, policy, metrics, onAccepted }),
    parcels: new ParcelReturns({ database, repository: returnRows, policy, metrics, onAccepted }),
    exchanges: new ReturnExchanges({
      database,
      repository: returnRows,
      ordersWithin,
      metrics: orderMetrics,
      returnMetrics: metrics,
      onPlaced: onAccepted,
    }),
    returnRows,
    returnWatch: createReturnWatch({
      repository: returnRows,
      metrics,
      logger,
      everyMs: config.RETURN_SWEEP_EVERY_MS,
      ageMs: config.RETURN_SWEEP_AGE_MS,
      onDue: onAccepted,
    }),
    reloads: {
      RETURN_WINDOW_DAYS: (windowDays: ReturnPolicySettings["windowDays"]) => policy.use({ windowDays }),
      RETURN_FINAL_SALE_SKUS: (finalSale: ReturnPolicySettings["finalSale"]) => policy.use({ finalSale }),
      RETURN_APPROVE_BELOW_MAJOR_UNITS: (approveBelow: ReturnPolicySettings["approveBelow"]) =>
        policy.use({ approveBelow }),
      RETURN_SHIPPING_FEE: (shipping: ReturnPolicySettings["shipping"]) => policy.use({ shipping }),
    },
  };
}

/** Who waits for an order, and what tells them. */
interface FollowingParts {
  readonly hub: ChangeHub;
  readonly follower: OrderFollower;
}

function buildFollowing({ repository, logger, metrics, closing }: Ground): FollowingParts {
  const hub = new ChangeHub({ read: (ids) => repository.find(ids), logger });
  return { hub, follower: new OrderFollower({ hub, repository, metrics, closing }) };
}

/** What has orders carried, and rest again. */
interface EpisodeParts {
  readonly episodes: EpisodeRepository;
  readonly starter: EpisodeStarter;
  readonly admission: Admission;
  readonly settler: OrderSettler;
  readonly reports: ShipmentReports;
  readonly stock: StockReports;
  readonly parked: ParkedOrders;
  readonly decisions: StepDecisions;
  readonly loops: readonly Loop[];
}

function buildEpisodes(ground: Ground): EpisodeParts {
  const { config, database, personal, notes, sagas, logger, metrics } = ground;
  const episodes = new EpisodeRepository(database, personal);
  const admission = new Admission({
    confirmWithinMs: config.ORDER_CONFIRM_WITHIN_MS,
    underWay: config.ORDER_LIST_MAX * config.DISPATCH_CONCURRENCY,
  });
  const onDue = (count: number) => starter.accepted(count);
  const settler = new OrderSettler({ database, metrics, logger, onDue });
  const starts = buildStarts(ground, { episodes, settler, onLeft: () => starter.left() });
  const starter: EpisodeStarter = new EpisodeStarter({
    episodes,
    starts,
    admission,
    logger,
    metrics,
    spacingMs: { prompt: config.EPISODE_SPACING_MS, relaxed: config.EPISODE_RELAXED_SPACING_MS },
    batchMax: config.ORDER_LIST_MAX,
    concurrency: config.DISPATCH_CONCURRENCY,
    openMax: config.EPISODES_OPEN_MAX,
    everyMs: config.DISPATCH_SWEEP_EVERY_MS,
    repeatAgeMs: config.DISPATCH_SWEEP_AGE_MS,
  });
  const sweep = createEpisodeSweep({
    episodes,
    sagas,
    logger,
    metrics,
    onDue,
    everyMs: config.EPISODE_SWEEP_EVERY_MS,
    ageMs: config.EPISODE_SWEEP_AGE_MS,
    timeoutMs: config.DISPATCH_TIMEOUT_MS,
    faults: faultPolicy(config),
  });
  const reports = new ShipmentReports({ database, onAccepted: (count) => starter.accepted(count, "relaxed") });
  const stock = new StockReports({ database, onAccepted: (count) => starter.accepted(count, "relaxed") });
  const parked = new ParkedOrders(database);
  const decisions = new StepDecisions({ database, notes, onAccepted: (count) => starter.accepted(count, "prompt") });
  const watch = createEpisodeWatch({ database, metrics, admission, logger });
  const loops = [starter, sweep, watch, watchBackOrders(ground, starter)];
  return { episodes, starter, admission, settler, reports, stock, parked, decisions, loops };
}

function watchBackOrders({ config, database, registry, logger }: Ground, starter: EpisodeStarter): Loop {
  return createBackOrderWatch({
    database,
    registry,
    logger,
    maxMs: config.ORDER_BACK_ORDER_MAX_MS,
    everyMs: config.ORDER_BACK_ORDER_SWEEP_MS,
    onAccepted: (count) => starter.accepted(count, "relaxed"),
  });
}

/** What hands episodes to the worker, with the end of those that it refuses. */
function buildStarts(
  { config, sagas, logger, metrics, fraud }: Ground,
  parts: Pick<EpisodeParts, "episodes" | "settler"> & { readonly onLeft: () => void },
): EpisodeStarts {
  const giveUpAfterMs = config.ORDER_REJECT_AFTER_MS;
  const refused = new RefusedEpisodes({ ...parts, logger, giveUpAfterMs, faults: faultPolicy(config) });
  return new EpisodeStarts({
    sagas,
    episodes: parts.episodes,
    logger,
    metrics,
    screens: () => fraud.screens(),
    backOrderMaxMs: config.ORDER_BACK_ORDER_MAX_MS,
    timeoutMs: config.DISPATCH_TIMEOUT_MS,
    onRefused: (episode, refusal) => refused.refused(episode, refusal),
  });
}

function faultPolicy({ EPISODE_FAULTS_MAX: max, EPISODE_FAULT_PAUSE_MS: pauseMs }: Ground["config"]): FaultPolicy {
  return { max, pauseMs };
}

/** What starts the workflows of orders that a process of the version before accepted. */
function buildLegacy({ config, database, personal, sagas, logger, metrics }: Ground): LegacySagas {
  return new LegacySagas({
    sagas,
    outbox: new SagaOutbox(database, personal),
    logger,
    metrics,
    everyMs: config.DISPATCH_SWEEP_EVERY_MS,
    ageMs: config.DISPATCH_SWEEP_AGE_MS,
    timeoutMs: config.DISPATCH_TIMEOUT_MS,
  });
}

interface ApiParts extends FollowingParts, EpisodeParts, ScreeningParts, Omit<ReturnParts, "reloads"> {
  readonly legacy: LegacySagas;
  readonly intake: OrderIntake;
  readonly customers: CustomerRepository;
  readonly erasures: ErasureRepository;
  readonly eraser: Relay;
}

function buildApis(ground: Ground, parts: ApiParts): ServiceRegistration[] {
  const { config, database, notes, repository, mover, amendments, cuts } = ground;
  const { follower, intake, customers, erasures, eraser, reviews, reviewDecisions, returns, returnRows } = parts;
  const noted = new AuditedRequests<StepDecisionRequest>({
    database,
    keys: { method: "NoteStepDecision", scope: ({ orderId, step }) => `${orderId}/${step}` },
    entryOf: async (request) => {
      const { note, orderId, origin } = request;
      const noted = await notes.protect(note, { orderId, requestId: origin.requestId });
      return { entry: stepDecisionEntry(request, noted), key: noted.key };
    },
  });
  const cancellation = buildCancellation(ground, parts);
  const amending = buildAmending(ground, parts);
  const pageTokens = new PageTokens(config.PAGE_TOKEN_SECRET);
  const deletion = new OrderDeletion(database);
  const bulk = new BulkOrders({ intake, repository, maxMessageBytes: config.MAX_MESSAGE_BYTES });
  return [
    register(
      OrderService,
      new OrderApi({ intake, bulk, follower, cancellation, amending, deletion, repository, pageTokens }),
    ),
    register(OrderEpisodeService, new OrderEpisodeApi({ ...parts, pageTokens })),
    register(OrderLifecycleService, new OrderLifecycleApi({ ...parts, mover, decisions: noted, amendments, cuts })),
    register(OrderReturnService, new OrderReturnApi({ returns, repository: returnRows, pageTokens })),
    register(OrderReviewService, new OrderReviewApi({ reviews, decisions: reviewDecisions, follower, pageTokens })),
    register(
      CustomerService,
      new CustomerApi({
        customers,
        orders: repository,
        returns: returnRows,
        erasures,
        pageTokens,
        onErased: () => eraser.nudge(),
      }),
    ),
  ];
}

function buildAmending(
  { database, personal, cards, notes, repository }: Ground,
  { follower, starter, amendmentScreening: screening }: ApiParts,
): OrderAmending {
  const amendments = new AmendmentRepository(database, { personal, cards, notes });
  const onAccepted = (count: number) => starter.accepted(count, "relaxed");
  return new OrderAmending({ database, amendments, orders: repository, screening, follower, onAccepted });
}

function buildCancellation(
  { database, personal, sagas }: Ground,
  { follower, legacy, starter }: ApiParts,
): OrderCancellation {
  const requests = new AuditedRequests<CancelOrder>({
    database,
    keys: { method: "CancelOrder", scope: ({ orderId }) => orderId },
    entryOf: (request) => ({ entry: cancelRequestEntry(request) }),
  });
  return new OrderCancellation({
    sagas,
    requests,
    cancellations: new CancellationRepository(database, personal),
    follower,
    legacy,
    onAccepted: (count) => starter.accepted(count, "prompt"),
  });
}

/** Customers of one transaction. */
const erasureBatch = 20;

/** Forgets what may be forgotten of customers who were erased. */
function sweepErasures({ config, logger }: Ground, erasures: ErasureRepository): Relay {
  const sweep = () => erasures.sweep(erasureBatch);
  return new Relay({ name: "customer.erasure", everyMs: config.PERSONAL_DATA_SWEEP_MS, sweep, log: logger });
}

/** Forgets by a schedule whoever did not ask for it. */
function buildRetention(
  { config, database, registry, logger }: Ground,
  erasures: ErasureRepository,
  onErased: () => void,
): Retention {
  return new Retention({
    repository: new RetentionRepository(database, erasures),
    orderDays: config.RETENTION_ORDER_DAYS,
    customerDays: config.RETENTION_CUSTOMER_DAYS,
    dryRun: config.RETENTION_DRY_RUN,
    everyMs: config.RETENTION_EVERY_MS,
    registry,
    logger,
    onErased,
  });
}

/** Rows of one transaction, each locked for as long as it takes to seal them all: some milliseconds. */
const personalBatch = 100;

function sweepPersonal(
  { config, database, personal, cards, logger }: Ground,
  customers: CustomerRepository,
): PersonalSweep {
  const orders = new OrderPersons(database, personal);
  // Customers first: orders copy what they are.
  const reasons = new CancelReasons(database, personal);
  const texts = new ReturnTexts(database, personal);
  // Behind the addresses, by whose keys they are sealed.
  const tokens = new CardMoves(database, cards);
  const move = async () => {
    let moved = 0;
    for (const rows of [customers, orders, reasons, texts, tokens]) moved += await rows.moveBatch(personalBatch);
    return moved;
  };
  const everyMs = config.PERSONAL_DATA_SWEEP_MS;
  return new PersonalSweep({ name: "order.personal", database, personal, move, logger, everyMs });
}

function watchProgress({ config, database, metrics, logger }: Ground): Relay {
  const allowedMs = {
    pending: config.ORDER_STALLED_PENDING_MS,
    confirmed: config.ORDER_STALLED_CONFIRMED_MS,
    preparing: config.ORDER_STALLED_PREPARING_MS,
    shipped: config.ORDER_STALLED_SHIPPED_MS,
    carried: config.ORDER_STALLED_CARRIED_MS,
  };
  return createProgressWatch({ database, metrics, logger, allowedMs });
}

/** What runs beside the calls. */
interface Loop {
  start(): void;
  stop(): Promise<void>;
}

interface Background {
  readonly database: Database;
  readonly hub: ChangeHub;
  readonly loops: readonly Loop[];
  readonly batches: readonly { drain(): Promise<void> }[];
}

/** What runs beside the calls. The end goes with the flow: nothing new, then what was taken, then who waits for it. */
function background(parts: Background): Required<Pick<ServiceParts, "start" | "stop">> {
  const { database, hub, loops, batches } = parts;
  let stopListening = async (): Promise<void> => undefined;
  return {
    start: async () => {
      stopListening = await database.listen(changeChannel, (payload) => hub.heard(payload));
      // Calls are taken already: what changed before somebody listened was not heard.
      hub.heard("");
      for (const loop of loops) loop.start();
    },
    stop: async () => {
      await Promise.all(batches.map((batch) => batch.drain()));
      await Promise.all(loops.map((loop) => loop.stop()));
      await stopListening();
      await hub.stop();
    },
  };
}
