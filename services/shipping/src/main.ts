import { SagaCallbackService } from "#gen/shop/sagas/v1/saga_callback_service_pb.js";
import { Relay } from "#platform/batch/relay.ts";
import { runInContext } from "#platform/context.ts";
import { Database } from "#platform/database/database.ts";
import { type ServiceContext, type ServiceParts, startService } from "#platform/process/service.ts";
import { shippingConfig } from "./config.ts";
import { migrations } from "./migrations/list.ts";
import { ShipmentEntity, TrackingEventEntity } from "./shipment/shipment.entity.ts";
import { buildShipping } from "./shipping.ts";
import { CarrierClock } from "./simulators/carrier-clock.ts";
import { CarrierSimulator } from "./simulators/carrier-simulator.ts";
import { WarehouseSimulator } from "./simulators/warehouse-simulator.ts";
import type { TrackingReport } from "./tracking/tracking.repository.ts";

/** The simulated outside world, with connections of its own: what it did is not undone when a transaction of ours is. */
function openSimulators({ config, logger }: ServiceContext<typeof shippingConfig>) {
  return Database.open({
    url: config.DATABASE_URL,
    name: "shipping-simulator",
    entities: [],
    poolMax: config.SIMULATOR_POOL_MAX,
    log: logger,
  });
}

async function build(context: ServiceContext<typeof shippingConfig>): Promise<ServiceParts> {
  const { config, database, logger, output, registry, client } = context;
  const store = await openSimulators(context);
  const carrier = new CarrierSimulator({
    store,
    transitMs: config.CARRIER_TRANSIT_MS,
    slowMs: config.CARRIER_SLOW_MS,
    refusedLocations: config.CARRIER_SIMULATOR_REFUSED_LOCATIONS,
  });
  const warehouse = new WarehouseSimulator({ store, packingMs: config.PACKING_MS });
  const sagas = client(SagaCallbackService, config.WORKER_ADDRESS);
  const shipping = buildShipping({ config, database, logger, output, registry, sagas, carrier, warehouse });
  const { services, shipments } = shipping;
  // What a carrier's webhook would be, with the carrier as its caller.
  const report = (event: TrackingReport) => runInContext({ actor: "carrier:simulator" }, () => shipments.report(event));
  const clock = new CarrierClock({ store, report });
  const relay = new Relay({
    name: "simulator.clock",
    everyMs: config.SWEEP_MS,
    log: logger,
    sweep: () => clock.sweep(),
  });
  return {
    services,
    async start() {
      await shipping.start();
      relay.start();
    },
    async stop() {
      await relay.stop();
      await shipping.stop();
      await store.close();
    },
  };
}

await startService({
  name: "shipping",
  config: shippingConfig,
  database: { entities: [ShipmentEntity, TrackingEventEntity], migrations },
  build,
});
