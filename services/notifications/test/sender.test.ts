import assert from "node:assert/strict";
import { test } from "node:test";
import { create } from "@bufbuild/protobuf";
import { OrderSchema } from "#gen/shop/orders/v1/order_pb.js";
import { newId } from "#platform/id.ts";
import type { MailOutcome } from "#platform/mail/mail-server.ts";
import { keptLog } from "#testing/logger.ts";
import { Sender } from "../src/delivery/sender.ts";
import type { Claimed } from "../src/outbox/notification.repository.ts";

const now = new Date();
const claimed = (): Claimed => ({
  notificationId: newId(),
  eventId: newId(),
  channel: "mail",
  kind: "order_confirmed",
  orderId: newId(),
  customerId: newId(),
  about: "",
  facts: {},
  status: "pending",
  reason: "",
  attempts: 1,
  nextTime: now,
  createTime: now,
  endTime: null,
  giveUpTime: new Date(now.getTime() + 60_000),
});

/** A sender of as many mails as the server has answers. */
function senderWith(answers: MailOutcome[]): Sender {
  const width = answers.length;
  return new Sender({
    notifications: {
      claim: async () => Array.from({ length: width }, claimed),
      settle: async () => true,
    },
    recipients: { get: async () => ({ language: "", muted: [], isErased: false }) },
    orderOf: async (orderId) =>
      create(OrderSchema, { orderId, contact: { email: "ada@example.com" }, total: { currency: "EUR", amount: 1n } }),
    server: { send: async () => answers.pop() ?? assert.fail("one mail too many") },
    metrics: { became: () => undefined, attempted: () => undefined },
    log: keptLog("notifications").logger,
    shopName: "The shop",
    timeZone: "UTC",
    width,
    timeoutMs: 1_000,
    pause: { firstMs: 10, mostMs: 100 },
  });
}

test("a server that takes some mails of a batch is there, and the next ones do not wait; one that takes none is not", async () => {
  const sent = { outcome: "sent", reason: "" } as const;
  const away = { outcome: "away", reason: "smtp 451" } as const;
  const refused = { outcome: "refused", reason: "smtp 550" } as const;
  const cases: [answers: MailOutcome[], isThere: boolean][] = [
    [[sent, sent], true],
    [[away, sent, away, away], true],
    [[away, refused], true],
    [[away], false],
    [[away, away, away, away], false],
  ];
  for (const [answers, isThere] of cases) {
    const tried = senderWith([...answers]).sweep();
    if (isThere) assert.equal(await tried, answers.length);
    else await assert.rejects(tried, /^Error: notifications wait: the mail server does not answer.*: smtp 451$/);
  }
});
