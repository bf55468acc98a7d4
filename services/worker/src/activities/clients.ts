import type { Client } from "@connectrpc/connect";
import type { InventoryService } from "#gen/shop/inventory/v1/inventory_service_pb.js";
import type { OrderLifecycleService } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import type { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import type { FulfillmentService } from "#gen/shop/shipping/v1/fulfillment_service_pb.js";
import type { ShippingService } from "#gen/shop/shipping/v1/shipping_service_pb.js";

/** The services that the saga calls. */
export interface ServiceClients {
  readonly orders: Client<typeof OrderLifecycleService>;
  readonly payments: Client<typeof PaymentService>;
  readonly inventory: Client<typeof InventoryService>;
  readonly shipping: Client<typeof ShippingService>;
  readonly fulfillment: Client<typeof FulfillmentService>;
}
