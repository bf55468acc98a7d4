import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Customer as CustomerProto, CustomerSchema } from "#gen/shop/orders/v1/customer_pb.js";
import {
  type CreateCustomerRequest,
  CreateCustomerRequestSchema,
  type CustomerService,
  type GetCustomerRequest,
  type ListCustomersRequest,
  type UpdateCustomerRequest,
  UpdateCustomerRequestSchema,
} from "#gen/shop/orders/v1/customer_service_pb.js";
import { fingerprint } from "#platform/database/idempotency.ts";
import { isId } from "#platform/id.ts";
import type { PageTokens } from "#platform/page-token.ts";
import type { CustomerRepository } from "../customer/customer.repository.ts";
import type { Customer } from "../customer/customer.ts";

const defaultPageSize = 50;

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
    const { requestId, givenName, familyName, email, phone } = request;
    const customer = await this.#repository.create({
      requestId,
      fingerprint: fingerprint(CreateCustomerRequestSchema, request),
      details: { givenName, familyName, email, phone },
    });
    return { customer: toProto(customer) };
  }

  /** Returns one customer. */
  async getCustomer({ customerId }: GetCustomerRequest) {
    return { customer: toProto(await this.#repository.get(customerId)) };
  }

  /** Lists customers, the newest first. */
  async listCustomers({ email, pageSize, pageToken }: ListCustomersRequest) {
    const sealedFor = ["ListCustomers", email.toLowerCase()];
    const cursor = this.#pageTokens.open(pageToken, sealedFor);
    const after = typeof cursor === "string" && isId(cursor) ? cursor : undefined;
    const size = pageSize || defaultPageSize;
    const found = await this.#repository.list({ email, after, limit: size + 1 });
    const page = found.slice(0, size);
    const last = found.length > size ? page.at(-1) : undefined;
    const nextPageToken = last ? this.#pageTokens.seal(last.customerId, sealedFor) : "";
    return { customers: page.map(toProto), nextPageToken };
  }

  /** Changes the fields that are given. */
  async updateCustomer(request: UpdateCustomerRequest) {
    const { requestId, customerId, givenName, familyName, email, phone, revision } = request;
    const customer = await this.#repository.update({
      requestId,
      fingerprint: fingerprint(UpdateCustomerRequestSchema, request),
      change: { customerId, details: { givenName, familyName, email, phone }, revision },
    });
    return { customer: toProto(customer) };
  }
}

function toProto({ createTime, updateTime, ...rest }: Customer): CustomerProto {
  return create(CustomerSchema, {
    ...rest,
    createTime: timestampFromDate(createTime),
    updateTime: timestampFromDate(updateTime),
  });
}
