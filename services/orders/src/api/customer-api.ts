import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  type CreateCustomerRequest,
  CreateCustomerResponseSchema,
  type CustomerService,
  type EraseCustomerRequest,
  EraseCustomerResponseSchema,
  type ExportCustomerRequest,
  ExportCustomerResponseSchema,
  type GetCustomerRequest,
  GetCustomerResponseSchema,
  type ListCustomersRequest,
  ListCustomersResponseSchema,
  type UpdateCustomerRequest,
  UpdateCustomerResponseSchema,
} from "#gen/shop/orders/v1/customer_service_pb.js";
import { isId } from "#platform/id.ts";
import type { PageTokens } from "#platform/page-token.ts";
import { whole } from "#platform/whole.ts";
import type { CustomerRepository } from "../customer/customer.repository.ts";
import type { ErasureRepository } from "../customer/erasure.repository.ts";
import type { OrderRepository } from "../order/order.repository.ts";
import type { OrderReturnRepository } from "../returns/order-return.repository.ts";
import { toEraseRequest, toKeyedChange, toKeyedDetails, toProto } from "./customer-proto.ts";
import { toProto as toOrderProto } from "./order-proto.ts";
import { toReturnProto } from "./order-return-proto.ts";

/** What the API works with. */
export interface CustomerApiOptions {
  readonly customers: CustomerRepository;
  readonly orders: OrderRepository;
  readonly returns: Pick<OrderReturnRepository, "ofOrders">;
  readonly erasures: ErasureRepository;
  readonly pageTokens: PageTokens;
  /** Called after somebody is erased: orders that may be forgotten need not wait for the timer. */
  readonly onErased: () => void;
}

/** CustomerService, as its proto says. */
export class CustomerApi implements ServiceImpl<typeof CustomerService> {
  readonly #repository: CustomerRepository;
  readonly #orders: OrderRepository;
  readonly #returns: Pick<OrderReturnRepository, "ofOrders">;
  readonly #erasures: ErasureRepository;
  readonly #pageTokens: PageTokens;
  readonly #onErased: () => void;

  constructor({ customers, orders, returns, erasures, pageTokens, onErased }: CustomerApiOptions) {
    this.#repository = customers;
    this.#orders = orders;
    this.#returns = returns;
    this.#erasures = erasures;
    this.#pageTokens = pageTokens;
    this.#onErased = onErased;
  }

  /** Creates a customer. */
  async createCustomer(request: CreateCustomerRequest) {
    const customer = await this.#repository.create(toKeyedDetails(request));
    return whole(CreateCustomerResponseSchema, { customer: toProto(customer) });
  }

  /** Returns one customer. */
  async getCustomer({ customerId }: GetCustomerRequest) {
    return whole(GetCustomerResponseSchema, { customer: toProto(await this.#repository.get(customerId)) });
  }

  /** Lists customers, the newest first. */
  async listCustomers(request: ListCustomersRequest) {
    const { email } = request;
    const { items, nextPageToken } = await this.#pageTokens.page(request, {
      filter: ["ListCustomers", email.toLowerCase()],
      place: (cursor) => (typeof cursor === "string" && isId(cursor) ? cursor : undefined),
      read: ({ after, limit }) => this.#repository.list({ email, after, limit }),
      cursorOf: ({ customerId }) => customerId,
    });
    return whole(ListCustomersResponseSchema, { customers: items.map(toProto), nextPageToken });
  }

  /** Changes the fields that are given. */
  async updateCustomer(request: UpdateCustomerRequest) {
    const customer = await this.#repository.update(toKeyedChange(request));
    return whole(UpdateCustomerResponseSchema, { customer: toProto(customer) });
  }

  /** Returns everything that is kept about a customer. */
  async exportCustomer(request: ExportCustomerRequest) {
    const { customerId } = request;
    const customer = await this.#repository.get(customerId);
    const filter = { customerId, status: undefined, createdFrom: undefined, createdUntil: undefined };
    const { items, nextPageToken } = await this.#pageTokens.page(request, {
      filter: ["ExportCustomer", customerId],
      place: (cursor) => (typeof cursor === "string" && isId(cursor) ? cursor : undefined),
      read: (page) => this.#orders.list(filter, page),
      cursorOf: ({ orderId }) => orderId,
    });
    const returns = await this.#returns.ofOrders(items.map(({ orderId }) => orderId));
    return whole(ExportCustomerResponseSchema, {
      customer: toProto(customer),
      orders: items.map(toOrderProto),
      returns: returns.map(toReturnProto),
      nextPageToken,
    });
  }

  /** Forgets who a customer is. */
  async eraseCustomer(request: EraseCustomerRequest) {
    const { eraseTime, keptOrders, keepTime } = await this.#erasures.erase(toEraseRequest(request));
    this.#onErased();
    return whole(EraseCustomerResponseSchema, {
      eraseTime: timestampFromDate(eraseTime),
      keptOrders,
      keepTime: keepTime && timestampFromDate(keepTime),
    });
  }
}
