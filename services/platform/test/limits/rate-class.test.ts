// What calls are counted as, for the whole contract.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { DescMethod, DescService } from "@bufbuild/protobuf";
import { AuditService } from "#gen/shop/audit/v1/audit_service_pb.js";
import { IdentityAdminService } from "#gen/shop/identity/v1/identity_admin_service_pb.js";
import { IdentityService } from "#gen/shop/identity/v1/identity_service_pb.js";
import { PersonService } from "#gen/shop/identity/v1/person_service_pb.js";
import { OrderEpisodeService } from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { PaymentService } from "#gen/shop/payments/v1/payment_service_pb.js";
import { rateClassOf } from "#platform/limits/rate-class.ts";

function namesOf(name: string, ...services: readonly DescService[]): string[] {
  const methods: readonly DescMethod[] = services.flatMap((service) => service.methods);
  return methods.filter((method) => rateClassOf(method) === name).map((method) => method.name);
}

test("what proves who somebody is, and what gives money back, is sensitive", () => {
  const services = [IdentityService, PersonService, IdentityAdminService, PaymentService, OrderService];
  assert.deepEqual(namesOf("sensitive", ...services), [
    ...["MailPasswordToken", "SetPassword", "Login", "ChangePassword"],
    ...["EnrollSecondFactor", "ConfirmSecondFactor", "DisableSecondFactor"],
    ...["ExportPerson", "ErasePerson"],
    ...["RefundPayment", "ApproveRefund"],
  ]);
});

test("what only services may call is theirs", () => {
  const { methods } = OrderEpisodeService;
  assert.deepEqual(
    namesOf("service", OrderEpisodeService, OrderService),
    methods.map(({ name }) => name),
  );
  assert.deepEqual(
    namesOf("service", PaymentService).every((name) => name.startsWith("Batch")),
    true,
  );
});

test("the rest is read or written, as its side effects say", () => {
  assert.deepEqual(namesOf("read", OrderService, AuditService), [
    ...["GetOrder", "ListOrders", "WatchOrder"],
    "ListAuditEvents",
  ]);
  assert.deepEqual(namesOf("write", OrderService), [
    ...["CreateOrder", "BulkCreateOrders", "CancelOrder", "AmendOrder", "CancelOrderLines", "DeleteOrder"],
  ]);
});
