import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { type Customer as CustomerProto, CustomerSchema } from "#gen/shop/orders/v1/customer_pb.js";
import {
  type CreateCustomerRequest,
  CreateCustomerRequestSchema,
  type EraseCustomerRequest,
  EraseCustomerRequestSchema,
  type UpdateCustomerRequest,
  UpdateCustomerRequestSchema,
} from "#gen/shop/orders/v1/customer_service_pb.js";
import { fingerprint } from "#platform/database/idempotency.ts";
import { whole } from "#platform/whole.ts";
import type { KeyedChange, KeyedDetails } from "../customer/customer.repository.ts";
import type { Customer } from "../customer/customer.ts";
import type { EraseRequest } from "../customer/erasure.repository.ts";

/** A request as a new customer. */
export function toKeyedDetails(request: CreateCustomerRequest): KeyedDetails {
  const { requestId, givenName, familyName, email, phone } = request;
  return {
    requestId,
    fingerprint: fingerprint(CreateCustomerRequestSchema, request),
    details: { givenName, familyName, email, phone },
  };
}

/** A request as a change of a customer. */
export function toKeyedChange(request: UpdateCustomerRequest): KeyedChange {
  const { requestId, customerId, givenName, familyName, email, phone, revision } = request;
  return {
    requestId,
    fingerprint: fingerprint(UpdateCustomerRequestSchema, request),
    change: { customerId, details: { givenName, familyName, email, phone }, revision },
  };
}

/** A request to forget a customer. */
export function toEraseRequest(request: EraseCustomerRequest): EraseRequest {
  const { requestId, customerId } = request;
  return { requestId, customerId, fingerprint: fingerprint(EraseCustomerRequestSchema, request) };
}

/** A customer as callers see it. */
export function toProto(customer: Customer): CustomerProto {
  return whole(CustomerSchema, {
    customerId: customer.customerId,
    givenName: customer.givenName,
    familyName: customer.familyName,
    email: customer.email,
    phone: customer.phone,
    revision: customer.revision,
    createTime: timestampFromDate(customer.createTime),
    updateTime: timestampFromDate(customer.updateTime),
  });
}
