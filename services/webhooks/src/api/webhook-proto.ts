import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type WebhookDelivery,
  WebhookDeliverySchema,
  WebhookDeliveryStatus,
  type WebhookEndpoint,
  WebhookEndpointSchema,
  WebhookEndpointStatus,
} from "#gen/shop/webhooks/v1/webhook_endpoint_pb.js";
import { whole } from "#platform/whole.ts";
import type { Delivery, DeliveryStatus } from "../delivery/delivery.ts";
import type { Endpoint, EndpointStatus } from "../endpoint/endpoint.ts";

const endpointStatuses = {
  unverified: WebhookEndpointStatus.UNVERIFIED,
  enabled: WebhookEndpointStatus.ENABLED,
  disabled: WebhookEndpointStatus.DISABLED,
} as const satisfies Record<EndpointStatus, WebhookEndpointStatus>;

const deliveryStatuses = {
  pending: WebhookDeliveryStatus.PENDING,
  succeeded: WebhookDeliveryStatus.SUCCEEDED,
  failed: WebhookDeliveryStatus.FAILED,
} as const satisfies Record<DeliveryStatus, WebhookDeliveryStatus>;

function timeOf(date: Date | null) {
  return date ? timestampFromDate(date) : undefined;
}

/** A status as it is stored; empty for any. */
export function toDeliveryStatus(status: WebhookDeliveryStatus): DeliveryStatus | "" {
  const names = Object.keys(deliveryStatuses) as DeliveryStatus[];
  return names.find((name) => deliveryStatuses[name] === status) ?? "";
}

/** An endpoint as those see it who look after it. */
export function toEndpointProto(endpoint: Endpoint): WebhookEndpoint {
  return whole(WebhookEndpointSchema, {
    endpointId: endpoint.endpointId,
    name: endpoint.name,
    url: endpoint.url,
    eventTypes: [...endpoint.eventTypes],
    personal: endpoint.personal,
    status: endpointStatuses[endpoint.status],
    disableReason: endpoint.disableReason,
    pendingDeliveries: endpoint.pendingDeliveries,
    pauseTime: timeOf(endpoint.pauseTime),
    successTime: timeOf(endpoint.successTime),
    createTime: timestampFromDate(endpoint.createTime),
    updateTime: timestampFromDate(endpoint.updateTime),
  });
}

/** A delivery as those see it who look after it. */
export function toDeliveryProto(delivery: Delivery): WebhookDelivery {
  return whole(WebhookDeliverySchema, {
    deliveryId: delivery.deliveryId,
    endpointId: delivery.endpointId,
    eventId: delivery.eventId,
    eventType: delivery.eventType,
    subject: delivery.subject,
    status: deliveryStatuses[delivery.status],
    attempts: delivery.attempts,
    outcome: delivery.outcome,
    nextTime: delivery.status === "pending" ? timestampFromDate(delivery.nextTime) : undefined,
    eventTime: timestampFromDate(delivery.eventTime),
    endTime: timeOf(delivery.endTime),
  });
}
