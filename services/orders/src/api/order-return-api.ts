import type { ServiceImpl } from "@connectrpc/connect";
import {
  type ApproveReturnRequest,
  ApproveReturnResponseSchema,
  type CancelReturnRequest,
  CancelReturnResponseSchema,
  type GetReturnRequest,
  GetReturnResponseSchema,
  type GrantRefundRequest,
  GrantRefundResponseSchema,
  type ListReturnsRequest,
  ListReturnsResponseSchema,
  type OrderReturnService,
  type ReceiveReturnRequest,
  ReceiveReturnResponseSchema,
  type RejectReturnRequest,
  RejectReturnResponseSchema,
  type RequestReturnRequest,
  RequestReturnResponseSchema,
} from "#gen/shop/orders/v1/order_return_service_pb.js";
import { requestContext, withSubject } from "#platform/context.ts";
import { isId } from "#platform/id.ts";
import type { PageTokens } from "#platform/page-token.ts";
import { whole } from "#platform/whole.ts";
import type { OrderReturnRepository } from "../returns/order-return.repository.ts";
import type { OrderReturns, ReturnCommand } from "../returns/order-returns.ts";
import {
  toApproval,
  toGrant,
  toReceipt,
  toRejection,
  toRequest,
  toReturnFilter,
  toReturnProto,
  toWithdrawal,
} from "./order-return-proto.ts";

/** What the service works with. */
export interface OrderReturnApiOptions {
  readonly returns: Pick<OrderReturns, "do" | "get">;
  readonly repository: Pick<OrderReturnRepository, "list">;
  readonly pageTokens: PageTokens;
}

/** OrderReturnService, as its proto says. */
export class OrderReturnApi implements ServiceImpl<typeof OrderReturnService> {
  readonly #options: OrderReturnApiOptions;

  constructor(options: OrderReturnApiOptions) {
    this.#options = options;
  }

  /** Asks whether articles may be sent back. */
  async requestReturn(request: RequestReturnRequest) {
    return whole(RequestReturnResponseSchema, { orderReturn: await this.#do(toRequest(request)) });
  }

  /** Returns one return. */
  async getReturn({ orderId, returnId }: GetReturnRequest) {
    const found = await withSubject({ "order.id": orderId }, () =>
      this.#options.returns.get({ orderId, returnId }, requestContext().owner),
    );
    return whole(GetReturnResponseSchema, { orderReturn: toReturnProto(found) });
  }

  /** Lists returns, the newest first. */
  async listReturns(request: ListReturnsRequest) {
    const { repository, pageTokens } = this.#options;
    const filter = toReturnFilter(request, requestContext().owner);
    if (!filter) return whole(ListReturnsResponseSchema, { orderReturns: [], nextPageToken: "" });
    const { orderId = "", customerId = "", status = "", labelState = "" } = filter;
    const { items, nextPageToken } = await pageTokens.page(request, {
      filter: ["ListReturns", orderId, customerId, status, labelState],
      place: (cursor) => (typeof cursor === "string" && isId(cursor) ? cursor : undefined),
      read: (page) => repository.list(filter, page),
      cursorOf: ({ returnId }) => returnId,
    });
    return whole(ListReturnsResponseSchema, { orderReturns: items.map(toReturnProto), nextPageToken });
  }

  /** Approves a return. */
  async approveReturn(request: ApproveReturnRequest) {
    return whole(ApproveReturnResponseSchema, { orderReturn: await this.#do(toApproval(request)) });
  }

  /** Rejects a return. */
  async rejectReturn(request: RejectReturnRequest) {
    return whole(RejectReturnResponseSchema, { orderReturn: await this.#do(toRejection(request)) });
  }

  /** Withdraws a return. */
  async cancelReturn(request: CancelReturnRequest) {
    return whole(CancelReturnResponseSchema, { orderReturn: await this.#do(toWithdrawal(request)) });
  }

  /** Takes what came. */
  async receiveReturn(request: ReceiveReturnRequest) {
    return whole(ReceiveReturnResponseSchema, { orderReturn: await this.#do(toReceipt(request)) });
  }

  /** Grants a refund of which nothing comes back. */
  async grantRefund(request: GrantRefundRequest) {
    const grantedBy = requestContext().caller?.subject ?? "";
    return whole(GrantRefundResponseSchema, { orderReturn: await this.#do(toGrant(request, grantedBy)) });
  }

  async #do(command: ReturnCommand) {
    const { owner } = requestContext();
    const { orderId } = command;
    return toReturnProto(await withSubject({ "order.id": orderId }, () => this.#options.returns.do(command, owner)));
  }
}
