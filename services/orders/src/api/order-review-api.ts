import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { HandlerContext, ServiceImpl } from "@connectrpc/connect";
import {
  type DecideReviewRequest,
  DecideReviewRequestSchema,
  DecideReviewResponseSchema,
  type ListReviewsRequest,
  ListReviewsResponseSchema,
  OrderReviewSchema,
  type OrderReviewService,
  ReviewDecision,
} from "#gen/shop/orders/v1/order_review_service_pb.js";
import { withSubject } from "#platform/context.ts";
import { fingerprint } from "#platform/database/idempotency.ts";
import { isId } from "#platform/id.ts";
import type { Json, PageTokens } from "#platform/page-token.ts";
import { whole } from "#platform/whole.ts";
import type { OrderFollower } from "../follow/order-follower.ts";
import type { ReviewDecisions } from "../screening/review-decisions.ts";
import type { Review, ReviewPlace, ReviewsRepository } from "../screening/reviews.repository.ts";
import { toProto } from "./order-proto.ts";

/** What the service works with. */
export interface OrderReviewApiOptions {
  readonly reviews: Pick<ReviewsRepository, "list">;
  readonly decisions: Pick<ReviewDecisions, "decide">;
  readonly follower: Pick<OrderFollower, "get">;
  readonly pageTokens: PageTokens;
}

/** OrderReviewService, as its proto says. */
export class OrderReviewApi implements ServiceImpl<typeof OrderReviewService> {
  readonly #options: OrderReviewApiOptions;

  constructor(options: OrderReviewApiOptions) {
    this.#options = options;
  }

  /** Lists orders that wait for a person, the longest waiting first. */
  async listReviews(request: ListReviewsRequest) {
    const { reviews, pageTokens } = this.#options;
    const filter = { reason: request.reason || undefined, customerId: request.customerId || undefined };
    const { items, nextPageToken } = await pageTokens.page(request, {
      filter: ["ListReviews", filter.reason ?? "", filter.customerId ?? ""],
      place: toPlace,
      read: (page) => reviews.list(filter, page),
      cursorOf: ({ reviewTime, orderId }) => [reviewTime.getTime(), orderId],
    });
    return whole(ListReviewsResponseSchema, { reviews: items.map(toReviewProto), nextPageToken });
  }

  /** Takes a person's decision. */
  async decideReview(request: DecideReviewRequest, { signal }: HandlerContext) {
    const { decisions, follower } = this.#options;
    const { requestId, orderId, note } = request;
    return await withSubject({ "order.id": orderId }, async () => {
      const decision = request.decision === ReviewDecision.RELEASE ? "released" : "refused";
      const known = fingerprint(DecideReviewRequestSchema, request);
      await decisions.decide({ requestId, orderId, decision, note, fingerprint: known }, signal);
      return whole(DecideReviewResponseSchema, { order: toProto(await follower.get(orderId)) });
    });
  }
}

function toPlace(cursor: Json): ReviewPlace | undefined {
  if (!Array.isArray(cursor)) return undefined;
  const [time, orderId] = cursor;
  if (typeof time !== "number" || typeof orderId !== "string" || !isId(orderId)) return undefined;
  return { reviewTime: new Date(time), orderId };
}

function toReviewProto({ reviewTime, customerCreateTime, ...review }: Review) {
  return whole(OrderReviewSchema, {
    ...review,
    reasons: [...review.reasons],
    reviewTime: timestampFromDate(reviewTime),
    customerCreateTime: timestampFromDate(customerCreateTime),
  });
}
