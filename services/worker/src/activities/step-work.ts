import type { Client } from "@connectrpc/connect";
import type { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import type { OrderEpisodeService } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import type { OrderLifecycleService } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import type { OrderStatisticsService } from "#gen/shop/orders/v1/order_statistics_service_pb.js";
import type { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import type { FulfillmentService } from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import type { ShippingService } from "#gen/shop/shipping/v1/shipping_service_pb.js";
import type { Fenced } from "#platform/fence.ts";
import type { Outcome } from "../workflows/engine/step-batch.ts";
import type { InputOf, OutputOf, StepName } from "./all-steps.ts";
import type { LongBatchPolicy } from "./long-batch.ts";

/** The services that the worker calls. */
export interface ServiceClients {
  readonly orders: Client<typeof OrderLifecycleService>;
  readonly episodes: Client<typeof OrderEpisodeService>;
  readonly statistics: Client<typeof OrderStatisticsService>;
  readonly payments: Client<typeof PaymentService>;
  readonly inventory: Client<typeof InventoryService>;
  readonly shipping: Client<typeof ShippingService>;
  readonly fulfillment: Client<typeof FulfillmentService>;
}

/** One entry of a step's batch, and which episode of its order asks. */
export type FencedInput<N extends StepName> = InputOf<N> & Fenced;

/** What each step does for the entries of a batch, by the name of its activity: it answers for each entry. */
export type StepWorks = {
  readonly [N in StepName]: (
    clients: ServiceClients,
    entries: FencedInput<N>[],
    long: LongBatchPolicy,
  ) => Promise<Outcome<OutputOf<N>>[]>;
};
