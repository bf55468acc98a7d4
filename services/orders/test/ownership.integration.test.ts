// What a customer sees and does who calls for himself: his own, and nothing that tells of others.
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { type Client, createClient, createRouterTransport, type Transport } from "@connectrpc/connect";
import { CustomerService } from "#gen/shop/orders/v1/customer_service_pb.js";
import { ReturnReason, ReturnStatus } from "#gen/shop/orders/v1/order_return_pb.js";
import { OrderReturnService } from "#gen/shop/orders/v1/order_return_service_pb.js";
import { OrderService } from "#gen/shop/orders/v1/order_service_pb.js";
import { Role } from "#gen/shop/type/v1/access_pb.js";
import { newId } from "#platform/id.ts";
import { authorizationInterceptor } from "#platform/interceptors/authorization.ts";
import { contextInterceptor } from "#platform/interceptors/context.ts";
import { errorInterceptor } from "#platform/interceptors/errors.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { delivered, wholeParcel } from "./delivered-orders.ts";
import { FakeWorker } from "./fake-worker.ts";
import { orderRequest, ordersDatabase, type Replica, refusal, startReplica, unique } from "./harness.ts";

interface Customer {
  readonly id: string;
  readonly orders: Client<typeof OrderService>;
  readonly customers: Client<typeof CustomerService>;
  readonly returns: Client<typeof OrderReturnService>;
}

describe("a customer who calls for himself", () => {
  let test: TestDatabase;
  let worker: FakeWorker;
  let replica: Replica;
  let ada: Customer;
  let bob: Customer;
  before(async () => {
    test = await ordersDatabase();
    worker = new FakeWorker();
    replica = await startReplica(test.database, worker);
    [ada, bob] = await Promise.all([register("Ada"), register("Bob")]);
  });
  after(async () => {
    await replica?.stop();
    await test?.[Symbol.asyncDispose]();
  });

  /** Calls through what decides in production; whoever shows an id is the customer of that id. */
  function transportOf(id: string): Transport {
    const verify = async (subject: string) => ({ subject, roles: new Set([Role.CUSTOMER]) });
    const services = replica.registrations.map(({ service }) => service);
    const decide = authorizationInterceptor({ services, credentials: { verify }, onRefused: () => undefined });
    const routes: Parameters<typeof createRouterTransport>[0] = (router) => {
      for (const { route } of replica.registrations) route(router);
    };
    return createRouterTransport(routes, {
      router: { interceptors: [contextInterceptor(30_000), errorInterceptor(), decide] },
      transport: {
        interceptors: [
          (next) => (request) => {
            request.header.set("authorization", `Bearer ${id}`);
            return next(request);
          },
        ],
      },
    });
  }

  async function register(givenName: string): Promise<Customer> {
    const id = newId();
    const transport = transportOf(id);
    const customers = createClient(CustomerService, transport);
    const requestId = unique("customer");
    const details = { requestId, givenName, familyName: "L", email: `${unique(givenName)}@example.com` };
    const { customer } = await customers.createCustomer(details);
    assert.equal(customer?.customerId, id);
    const again = await refusal(
      customers.createCustomer({ ...details, requestId: unique("customer"), email: "x@example.com" }),
    );
    assert.match(again.message, /a customer already/);
    const [orders, returns] = [createClient(OrderService, transport), createClient(OrderReturnService, transport)];
    return { id, customers, orders, returns };
  }

  async function place(who: Customer): Promise<string> {
    const { order } = await who.orders.createOrder(orderRequest(who.id));
    return order?.orderId ?? "";
  }

  it("orders for himself, and for nobody else", async () => {
    assert.match(await place(ada), /^[0-9A-Z]{26}$/);
    const error = await refusal(ada.orders.createOrder(orderRequest(bob.id)));
    assert.match(error.message, /not for this call/);
  });

  it("sees his orders, and of others' not even that they are there", async () => {
    const [own, other] = [await place(ada), await place(bob)];
    assert.equal((await ada.orders.getOrder({ orderId: own })).order?.orderId, own);
    const [theirs, nobodys] = [
      await refusal(ada.orders.getOrder({ orderId: other })),
      await refusal(ada.orders.getOrder({ orderId: newId() })),
    ];
    assert.equal(theirs.message.replaceAll(/[0-9A-Z]{26}/g, "…"), nobodys.message.replaceAll(/[0-9A-Z]{26}/g, "…"));
    await assert.rejects(async () => {
      for await (const _ of ada.orders.watchOrder({ orderId: other })) assert.fail("it is shown");
    }, /not_found/);
  });

  it("lists his orders, whatever the filter says", async () => {
    const own = await place(ada);
    await place(bob);
    const { orders } = await ada.orders.listOrders({});
    assert.ok(orders.some(({ orderId }) => orderId === own));
    assert.ok(orders.every(({ customerId }) => customerId === ada.id));
    assert.deepEqual((await ada.orders.listOrders({ customerId: bob.id })).orders, []);
    assert.equal((await ada.orders.listOrders({ customerId: ada.id })).orders.length, orders.length);
  });

  it("cancels no order of somebody else, and leaves no trace of the attempt", async () => {
    const other = await place(bob);
    const before = await test.database.query("select count(*) from audit_event");
    const error = await refusal(
      ada.orders.cancelOrder({ requestId: unique("cancel"), orderId: other, reason: "mine" }),
    );
    assert.match(error.message, /not_found/);
    assert.deepEqual(await test.database.query("select count(*) from audit_event"), before);
  });

  it("sends back what is his, and sees and withdraws nothing that is somebody else's", async () => {
    const request = orderRequest(ada.id);
    const orderId = await delivered(replica, worker, { request, parcels: [wholeParcel(request, 4700n)] });
    const wanted = { orderId, lines: [{ lineNumber: 1, quantity: 1 }], reason: ReturnReason.UNWANTED };
    const asked = { requestId: unique("return"), ...wanted };
    assert.match((await refusal(bob.returns.requestReturn(asked))).message, /there is no order/);
    const { orderReturn } = await ada.returns.requestReturn(asked);
    const returnId = orderReturn?.returnId ?? "";
    const ids = { orderId, returnId };
    assert.equal((await ada.returns.getReturn(ids)).orderReturn?.status, ReturnStatus.REQUESTED);
    assert.match(
      (await refusal(bob.returns.requestReturn(asked))).message,
      /has no return/,
      "nor by a request of hers",
    );
    assert.match((await refusal(bob.returns.getReturn(ids))).message, /has no return/);
    const withdrawal = { requestId: unique("cancel"), ...ids };
    assert.match((await refusal(bob.returns.cancelReturn(withdrawal))).message, /has no return/);
    assert.deepEqual((await bob.returns.listReturns({ orderId })).orderReturns, []);
    assert.deepEqual((await bob.returns.listReturns({ customerId: ada.id })).orderReturns, []);
    assert.equal((await ada.returns.listReturns({})).orderReturns.length, 1);
    const own = { requestId: unique("return"), ...wanted, despitePolicy: true };
    assert.match((await refusal(ada.returns.requestReturn(own))).message, /only an agent/);
    const came = { requestId: unique("receive"), ...ids, lines: [{ lineNumber: 1, quantity: 1 }] };
    for (const call of [
      ada.returns.receiveReturn(came),
      ada.returns.approveReturn({ requestId: unique("approve"), ...ids }),
    ]) {
      assert.match((await refusal(call)).message, /not for this call/);
    }
    assert.equal((await ada.returns.cancelReturn(withdrawal)).orderReturn?.status, ReturnStatus.CANCELLED);
  });

  it("is asked for nothing that is not his: others' data, everybody's data", async () => {
    for (const call of [
      ada.customers.getCustomer({ customerId: bob.id }),
      ada.customers.updateCustomer({ requestId: unique("update"), customerId: bob.id, phone: "+441234567" }),
      ada.customers.listCustomers({}),
    ]) {
      assert.match((await refusal(call)).message, /not for this call/);
    }
    assert.equal((await ada.customers.getCustomer({ customerId: ada.id })).customer?.givenName, "Ada");
  });
});
