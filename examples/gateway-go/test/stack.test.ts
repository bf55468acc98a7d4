// A shop sells by a gateway in Go that is killed meanwhile, pays back what comes back, and the books agree with its journal.
import assert from "node:assert/strict";
import { it } from "node:test";
import { OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { until } from "#testing/until.ts";
import { demonstrate, isOver } from "../../../dev/shop/demo.ts";
import { Shopper } from "../../../dev/shop/shopper.ts";
import { Screen } from "../../../dev/terminal/screen.ts";
import { openGoShop } from "../src/main.ts";

const sold = 12;

it("a shop sells by a gateway in another language, and is paid once for each order though the gateway is killed", async (context) => {
  await using shop = await openGoShop(() => undefined);
  const { order } = await demonstrate(shop.stack, new Screen(false), context.signal);
  assert.equal(order.status, OrderStatus.DELIVERED);
  using shopper = new Shopper(shop.stack);
  await shopper.stock("mug", "berlin", sold);
  const customer = await shopper.customer("grace");
  const place = (index: number) =>
    shopper.place(customer, {
      requestId: `mug-${index}`,
      cardToken: index === 0 ? "tok_decline" : "tok_approve",
      lines: [{ sku: "mug", quantity: 1 }],
    });
  const placing = Promise.all(Array.from({ length: sold }, (_, index) => place(index)));
  for (let kills = 0; kills < 3; kills += 1) {
    await shop.gateway.kill();
    await shop.gateway.run();
  }
  const ids = await placing;
  const look = async () => {
    const orders = await Promise.all(ids.map((id) => shopper.get(id)));
    return orders.every(isOver) ? orders : undefined;
  };
  const ended = await until(look, "every order is over", { deadlineMs: 120_000, everyMs: 500 });
  const wanted = ended.map((_, index) => OrderStatus[index === 0 ? OrderStatus.REJECTED : OrderStatus.DELIVERED]);
  assert.deepEqual(
    ended.map(({ status }) => OrderStatus[status]),
    wanted,
  );
  const { findings, inBalance, orders } = await shop.balance();
  assert.deepEqual(
    findings.flatMap(({ wrong }) => wrong),
    [],
  );
  assert.ok(inBalance);
  assert.equal(orders, sold + 2);
});
