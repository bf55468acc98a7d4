import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Code, type ConnectError } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import { newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import { FakeWorker } from "./fake-worker.ts";
import { orderRequest, ordersDatabase, type Replica, refusal, startReplica, unique } from "./harness.ts";

function reason(error: ConnectError): string {
  return error.findDetails(ErrorInfoSchema)[0]?.reason ?? "";
}

describe("the service of customers", () => {
  let test: TestDatabase;
  let replica: Replica;
  before(async () => {
    test = await ordersDatabase();
    replica = await startReplica(test.database, new FakeWorker());
  });
  after(async () => {
    await replica.stop();
    await test[Symbol.asyncDispose]();
  });

  const details = () => ({
    requestId: unique("customer"),
    givenName: "Grace",
    familyName: "Hopper",
    email: `${unique("grace")}@example.com`,
    phone: "+12025550123",
  });
  const created = async (request = details()) => {
    const { customer } = await replica.customers.createCustomer(request);
    assert.ok(customer);
    return customer;
  };

  it("creates, returns and lists", async () => {
    const request = details();
    const customer = await created(request);
    assert.equal(customer.revision, 1);
    assert.deepEqual((await replica.customers.getCustomer({ customerId: customer.customerId })).customer, customer);
    const found = await replica.customers.listCustomers({ email: request.email.toUpperCase() });
    assert.deepEqual(found.customers, [customer]);
    const missing = await refusal(replica.customers.getCustomer({ customerId: newId() }));
    assert.equal(`${reason(missing)} ${missing.code}`, `CUSTOMER_NOT_FOUND ${Code.NotFound}`);
  });

  it("pages, the newest first", async () => {
    const ids: string[] = [];
    for (let index = 0; index < 5; index += 1) ids.push((await created()).customerId);
    const first = await replica.customers.listCustomers({ pageSize: 3 });
    await created();
    const second = await replica.customers.listCustomers({ pageSize: 2, pageToken: first.nextPageToken });
    const seen = [...first.customers, ...second.customers].map((customer) => customer.customerId);
    assert.deepEqual(seen, ids.toReversed());
    const other = replica.customers.listCustomers({ email: "a@example.com", pageToken: first.nextPageToken });
    assert.equal(reason(await refusal(other)), "INVALID_PAGE_TOKEN");
  });

  it("makes one customer of one request id, however it is raced, and keeps the first answer", async () => {
    const request = details();
    const raced = await Promise.all(Array.from({ length: 8 }, () => replica.customers.createCustomer(request)));
    assert.equal(new Set(raced.map(({ customer }) => customer?.customerId)).size, 1);
    const customerId = raced[0]?.customer?.customerId ?? "";
    await replica.customers.updateCustomer({ requestId: unique("update"), customerId, givenName: "Amazing Grace" });
    const repeated = await replica.customers.createCustomer(request);
    assert.deepEqual(repeated.customer, raced[0]?.customer);
    const reused = replica.customers.createCustomer({ ...request, givenName: "Ada" });
    assert.equal(reason(await refusal(reused)), "REQUEST_ID_REUSED");
  });

  it("keeps e-mail addresses unique without regard to case", async () => {
    const customer = await created();
    const request = { ...details(), email: customer.email.toUpperCase() };
    const taken = await refusal(replica.customers.createCustomer(request));
    assert.equal(`${reason(taken)} ${taken.code}`, `EMAIL_TAKEN ${Code.AlreadyExists}`);
    const { customerId } = await created();
    const change = { requestId: unique("update"), customerId, email: customer.email };
    assert.equal(reason(await refusal(replica.customers.updateCustomer(change))), "EMAIL_TAKEN");
    await replica.customers.createCustomer({ ...request, email: `${unique("free")}@example.com` });
  });

  it("changes what is given, once for each request id, and leaves orders that exist as they are", async () => {
    const { customerId } = await created();
    const { order } = await replica.orders.createOrder(orderRequest(customerId));
    const request = { requestId: unique("update"), customerId, familyName: "Murray", phone: "" };
    const { customer } = await replica.customers.updateCustomer(request);
    assert.deepEqual(
      [customer?.givenName, customer?.familyName, customer?.phone, customer?.revision],
      ["Grace", "Murray", "", 2],
    );
    assert.deepEqual((await replica.customers.updateCustomer(request)).customer, customer);
    assert.deepEqual((await replica.customers.getCustomer({ customerId })).customer, customer);
    const reused = replica.customers.updateCustomer({ ...request, familyName: "Hopper" });
    assert.equal(reason(await refusal(reused)), "REQUEST_ID_REUSED");
    const read = await replica.orders.getOrder({ orderId: order?.orderId ?? "" });
    assert.equal(read.order?.contact?.familyName, "Hopper");
    const missing = replica.customers.updateCustomer({ ...request, requestId: unique("update"), customerId: newId() });
    assert.equal(reason(await refusal(missing)), "CUSTOMER_NOT_FOUND");
  });

  it("refuses a change of what somebody else has changed, and repeats its own answer", async () => {
    const { customerId } = await created();
    const change = (givenName: string, revision?: number) => ({
      requestId: unique("update"),
      customerId,
      givenName,
      ...(revision && { revision }),
    });
    const raced = await Promise.allSettled(
      ["A", "B", "C", "D"].map((name) => replica.customers.updateCustomer(change(name, 1))),
    );
    assert.equal(raced.filter((result) => result.status === "fulfilled").length, 1);
    const late = await refusal(replica.customers.updateCustomer(change("E", 1)));
    assert.equal(`${reason(late)} ${late.code}`, `CUSTOMER_CHANGED ${Code.Aborted}`);
    const request = change("F", 2);
    const first = await replica.customers.updateCustomer(request);
    assert.deepEqual(await replica.customers.updateCustomer(request), first);
  });

  it("makes all changes that may happen in any case", async () => {
    const { customerId } = await created();
    const changes = ["A", "B", "C"].map((givenName) => ({ requestId: unique("update"), customerId, givenName }));
    await Promise.all(changes.map((change) => replica.customers.updateCustomer(change)));
    assert.equal((await replica.customers.getCustomer({ customerId })).customer?.revision, 4);
  });
});
