import { durationMs, timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type CreateEndpointRequest,
  CreateEndpointResponseSchema,
  type DeleteEndpointRequest,
  DeleteEndpointResponseSchema,
  type EnableEndpointRequest,
  EnableEndpointResponseSchema,
  type GetEndpointRequest,
  GetEndpointResponseSchema,
  type ListDeliveriesRequest,
  ListDeliveriesResponseSchema,
  type ListEndpointsRequest,
  ListEndpointsResponseSchema,
  type ReplayDeliveriesRequest,
  ReplayDeliveriesResponseSchema,
  type RotateSecretRequest,
  RotateSecretResponseSchema,
  type SendTestEventRequest,
  SendTestEventResponseSchema,
  type UpdateEndpointRequest,
  UpdateEndpointResponseSchema,
  type WebhookService,
} from "#gen/shop/webhooks/v1/webhook_service_pb.js";
import { isId } from "#platform/id.ts";
import type { Json, PageTokens } from "#platform/page-token.ts";
import { whole } from "#platform/whole.ts";
import type { DeliveryRepository } from "../delivery/delivery.repository.ts";
import type { EndpointRepository } from "../endpoint/endpoint.repository.ts";
import { isProven } from "../endpoint/endpoint.ts";
import type { WebhookSecrets } from "../endpoint/webhook-secrets.ts";
import type { Introduction } from "../introduction/introduction.ts";
import { endpointUnverified, urlRefused } from "../proof/errors.ts";
import type { Walls } from "../wall/walls.ts";
import { toDeliveryProto, toDeliveryStatus, toEndpointProto } from "./webhook-proto.ts";

/** What the API works with. */
export interface WebhookApiOptions {
  readonly endpoints: EndpointRepository;
  readonly deliveries: DeliveryRepository;
  readonly secrets: WebhookSecrets;
  readonly introduction: Introduction;
  readonly walls: Walls;
  readonly pageTokens: PageTokens;
  readonly maxEndpoints: number;
}

/** How long secrets of before sign as well when a request does not say, in milliseconds. */
const defaultOverlapMs = 24 * 3_600_000;

function placeOf(cursor: Json): string | undefined {
  return typeof cursor === "string" && isId(cursor) ? cursor : undefined;
}

/** WebhookService, as its proto says. */
export class WebhookApi implements ServiceImpl<typeof WebhookService> {
  readonly #options: WebhookApiOptions;

  constructor(options: WebhookApiOptions) {
    this.#options = options;
  }

  /** Makes an endpoint. */
  async createEndpoint({ name, url, eventTypes, personal }: CreateEndpointRequest) {
    const { endpoints, maxEndpoints } = this.#options;
    this.#checkUrl(url);
    const settings = { url, eventTypes: [...new Set(eventTypes)], personal };
    const { endpoint, secret } = await endpoints.create(name, settings, maxEndpoints);
    return whole(CreateEndpointResponseSchema, { endpoint: toEndpointProto(endpoint), secret });
  }

  /** Returns one endpoint. */
  async getEndpoint({ endpointId }: GetEndpointRequest) {
    return whole(GetEndpointResponseSchema, {
      endpoint: toEndpointProto(await this.#options.endpoints.get(endpointId)),
    });
  }

  /** Lists endpoints, the newest first. */
  async listEndpoints(request: ListEndpointsRequest) {
    const { endpoints, pageTokens } = this.#options;
    const { items, nextPageToken } = await pageTokens.page(request, {
      filter: ["ListEndpoints"],
      place: placeOf,
      read: (page) => endpoints.list(page),
      cursorOf: ({ endpointId }) => endpointId,
    });
    return whole(ListEndpointsResponseSchema, { endpoints: items.map(toEndpointProto), nextPageToken });
  }

  /** Says anew where an endpoint is and what it is told of. */
  async updateEndpoint({ endpointId, url, eventTypes, personal }: UpdateEndpointRequest) {
    this.#checkUrl(url);
    const settings = { url, eventTypes: [...new Set(eventTypes)], personal };
    const endpoint = await this.#options.endpoints.update(endpointId, settings);
    return whole(UpdateEndpointResponseSchema, { endpoint: toEndpointProto(endpoint) });
  }

  /** Forgets an endpoint. */
  async deleteEndpoint({ endpointId }: DeleteEndpointRequest) {
    await this.#options.endpoints.delete(endpointId);
    return whole(DeleteEndpointResponseSchema, {});
  }

  /** Has an endpoint told that answers the challenge. */
  async enableEndpoint({ endpointId }: EnableEndpointRequest) {
    const endpoint = await this.#options.introduction.enable(endpointId);
    return whole(EnableEndpointResponseSchema, { endpoint: toEndpointProto(endpoint) });
  }

  /** Makes another secret. */
  async rotateSecret({ endpointId, overlap }: RotateSecretRequest) {
    const overlapMs = overlap ? durationMs(overlap) : defaultOverlapMs;
    const secret = await this.#options.secrets.rotate(endpointId, overlapMs);
    return whole(RotateSecretResponseSchema, { secret });
  }

  /** Sends an event that says nothing. */
  async sendTestEvent({ endpointId }: SendTestEventRequest) {
    return whole(SendTestEventResponseSchema, await this.#options.introduction.test(endpointId));
  }

  /** Lists deliveries, the newest first. */
  async listDeliveries(request: ListDeliveriesRequest) {
    const { endpoints, deliveries, pageTokens } = this.#options;
    const { endpointId } = request;
    const status = toDeliveryStatus(request.status);
    await endpoints.get(endpointId);
    const { items, nextPageToken } = await pageTokens.page(request, {
      filter: ["ListDeliveries", endpointId, status],
      place: placeOf,
      read: (page) => deliveries.list({ endpointId, status }, page),
      cursorOf: ({ deliveryId }) => deliveryId,
    });
    return whole(ListDeliveriesResponseSchema, { deliveries: items.map(toDeliveryProto), nextPageToken });
  }

  /** Has deliveries made again. */
  async replayDeliveries({ endpointId, which, failedOnly }: ReplayDeliveriesRequest) {
    const { endpoints, deliveries } = this.#options;
    if (!isProven(await endpoints.get(endpointId))) throw endpointUnverified(endpointId);
    const { count: replayed, next } = await deliveries.replay({
      endpointId,
      deliveryId: which.case === "deliveryId" ? which.value : undefined,
      from: which.case === "fromTime" ? timestampDate(which.value) : undefined,
      failedOnly,
    });
    return whole(ReplayDeliveriesResponseSchema, {
      replayed,
      nextFromTime: next ? timestampFromDate(next) : undefined,
    });
  }

  #checkUrl(url: string): void {
    const rule = this.#options.walls.brokenRule(url);
    if (rule !== undefined) throw urlRefused(rule);
  }
}
