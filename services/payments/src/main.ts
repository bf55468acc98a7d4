import { PaymentService as PaymentServiceDescriptor } from "#gen/shop/payments/v1/payment_service_pb.js";
import { AuditTrail } from "#platform/audit/audit-trail.ts";
import { Relay } from "#platform/batch/relay.ts";
import { Database } from "#platform/database/database.ts";
import { PageTokens } from "#platform/page-token.ts";
import { register, type ServiceContext, type ServiceParts, startService } from "#platform/process/service.ts";
import { PaymentService } from "./api/payment-api.ts";
import { paymentsConfig } from "./config.ts";
import { SimulatorGateway } from "./gateway/simulator/simulator-gateway.ts";
import { migrations } from "./migrations/list.ts";
import { PaymentMetrics } from "./move/metrics.ts";
import { Payments, type PaymentsOptions } from "./move/money-mover.ts";
import { OperationRepository } from "./operation/operation.repository.ts";
import { entities } from "./payment/payment.entity.ts";
import { PaymentRepository } from "./payment/payment.repository.ts";

type Context = ServiceContext<typeof paymentsConfig>;

/** Beyond the time that a process may work at an operation, so that nobody else takes it meanwhile. */
const leaseMarginMs = 5_000;
/** How long operations may go on after the last call was answered; the platform allows 5 s for stopping. */
const drainGraceMs = 3_000;

/** The simulated gateway, with connections of its own. */
async function openGateway({ config, logger }: Context) {
  const simulator = await Database.open({
    url: config.DATABASE_URL,
    name: "payments-simulator",
    entities: [],
    poolMax: config.SIMULATOR_POOL_MAX,
    log: logger,
  });
  const { SIMULATOR_SLOW_MS: slowMs, SIMULATOR_LATENCY_MS: latencyMs } = config;
  const gateway = new SimulatorGateway(simulator, { slowMs, latencyMs });
  const close = async () => {
    await gateway.close();
    await simulator.close();
  };
  return { gateway, close };
}

function buildPayments(
  { config, logger }: Context,
  parts: Pick<PaymentsOptions, "repository" | "gateway" | "onDecided" | "onGatewayCall">,
) {
  return new Payments({
    ...parts,
    log: logger,
    limits: { timeoutMs: config.GATEWAY_TIMEOUT_MS, inflight: config.GATEWAY_MAX_INFLIGHT },
    answerWithinMs: config.PAYMENTS_ANSWER_WITHIN_MS,
  });
}

async function build(context: Context): Promise<ServiceParts> {
  const { config, database, logger: log } = context;
  const { gateway, close } = await openGateway(context);
  // An operation may wait for a free call and then run, both within twice the timeout of a call.
  const repository = new OperationRepository(database, 2 * config.GATEWAY_TIMEOUT_MS + leaseMarginMs);
  const metrics = new PaymentMetrics(context.registry);
  const onDecided: PaymentsOptions["onDecided"] = (ticket) => metrics.decided(ticket);
  const payments = buildPayments(context, { repository, gateway, onDecided, onGatewayCall: metrics.gatewayCalled });
  const audit = new AuditTrail({ service: "payments", ...context });
  const resolve = async () => {
    await metrics.refresh(repository);
    return payments.resolve();
  };
  const everyMs = config.PAYMENTS_RESOLVE_EVERY_MS;
  const resolving = new Relay({ name: "resolving payments", everyMs, log, sweep: resolve });
  const tokens = new PageTokens(config.PAGE_TOKEN_SECRET);
  const service = new PaymentService(payments, new PaymentRepository(database), tokens);
  return {
    services: [register(PaymentServiceDescriptor, service), audit.registration],
    async start() {
      resolving.start();
      audit.start();
    },
    async stop() {
      await Promise.all([payments.drain(drainGraceMs), resolving.stop(), audit.stop()]);
      await close();
    },
  };
}

await startService({ name: "payments", config: paymentsConfig, database: { entities, migrations }, build });
