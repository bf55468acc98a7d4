import type { ServiceImpl } from "@connectrpc/connect";
import {
  type CreateCustomerRequest,
  CreateCustomerResponseSchema,
  type CustomerService,
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
import { toKeyedChange, toKeyedDetails, toProto } from "./customer-proto.ts";

/** CustomerService, as its proto says. */
export class CustomerApi implements ServiceImpl<typeof CustomerService> {
  readonly #repository: CustomerRepository;
  readonly #pageTokens: PageTokens;

  constructor(repository: CustomerRepository, pageTokens: PageTokens) {
    this.#repository = repository;
    this.#pageTokens = pageTokens;
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
}
