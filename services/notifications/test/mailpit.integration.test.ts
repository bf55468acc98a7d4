// A mail server of somebody else's: it gets each mail once, however often it refuses, breaks off, dies and comes back.
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { OrderEventSchema } from "#gen/shop/events/v1/order_event_pb.js";
import { PaymentEventSchema } from "#gen/shop/events/v1/payment_event_pb.js";
import { NotificationStatus } from "#gen/shop/notifications/v1/notification_pb.js";
import { type Order, OrderShipmentStatus } from "#gen/shop/orders/v1/order_pb.js";
import { decodeId, newId } from "#platform/id.ts";
import { Authority } from "#testing/certificates.ts";
import { until } from "#testing/until.ts";
import { type Chaos, type ListedMail, Mailpit } from "../../../dev/testing/mailpit.ts";
import { Wire } from "./wire.ts";
import { parcel, type Running, World } from "./world.ts";

const patience = { deadlineMs: 90_000, everyMs: 50 };

let mailpit: Mailpit;
let world: World;
before(async () => {
  mailpit = await Mailpit.start("--smtp-auth-accept-any", "--smtp-auth-allow-insecure");
  world = await World.open();
});
after(async () => {
  await world?.[Symbol.asyncDispose]();
  await mailpit?.[Symbol.asyncDispose]();
});
afterEach(() => mailpit?.refuse());

const replica = (more: NodeJS.ProcessEnv = {}): Promise<Running> =>
  world.start({ MAIL_SERVER_URL: mailpit.url, ...more });

function tell({ orderId }: Order, what: "confirmed" | "shipped" | "delivered"): Promise<string> {
  return world.tell({ type: `shop.orders.order.${what}.v1`, schema: OrderEventSchema, data: { orderId } });
}

/** New orders that are confirmed. */
async function confirmed(count: number): Promise<Order[]> {
  const orders = Array.from({ length: count }, () => world.orders.add());
  for (const order of orders) await tell(order, "confirmed");
  return orders;
}

interface Row {
  readonly order_id: Buffer;
  readonly status: string;
  readonly reason: string;
  readonly attempts: number;
}

function rowsOf(orders: readonly Order[]): Promise<Row[]> {
  const ids = orders.map(({ orderId }) => decodeId(orderId));
  return world.test.database.query<Row>(
    "select order_id, status, reason, attempts from notification where order_id = any($1::uuid[])",
    [ids],
  );
}

/** Waits until of each order there is a notification that became so; returns them. */
function become(orders: readonly Order[], status: string): Promise<Row[]> {
  const look = async () => {
    const rows = await rowsOf(orders);
    return rows.length === orders.length && rows.every((row) => row.status === status) && rows;
  };
  return until(look, `each is ${status}`, patience);
}

const said = (orders: readonly Order[], reason: RegExp) =>
  until(async () => (await rowsOf(orders)).some((row) => reason.test(row.reason)), `${reason} is noted`, patience);

async function mailsOf({ orderId }: Order): Promise<ListedMail[]> {
  return (await mailpit.mails()).filter(({ Subject }) => Subject.includes(orderId));
}

/** How many mails of each order there are, under how many Message-IDs. */
async function countsOf(orders: readonly Order[]): Promise<{ mails: number; ids: number }[]> {
  const all = await mailpit.mails();
  return orders.map(({ orderId }) => {
    const own = all.filter(({ Subject }) => Subject.includes(orderId));
    return { mails: own.length, ids: new Set(own.map(({ MessageID }) => MessageID)).size };
  });
}

async function onceEach(orders: readonly Order[]): Promise<void> {
  assert.deepEqual(
    await countsOf(orders),
    orders.map(() => ({ mails: 1, ids: 1 })),
  );
}

describe("the mails of an order's life", () => {
  const german = { recipient: "Ada", lines: ["Weg 1"], city: "Berlin", country: "DE" };
  const cases = [
    {
      language: "en",
      order: () => world.orders.add({ shipments: [parcel("berlin")] }),
      greeting: "Hello Ada Lovelace,",
      subjects: [
        "Your order … is confirmed",
        "Your order … is on its way",
        "Your order … has arrived",
        "We have paid back €9.90 for your order …",
      ],
    },
    {
      language: "de",
      order: () => world.orders.add({ shipments: [parcel("berlin")], shippingAddress: german }),
      greeting: "Guten Tag Ada Lovelace,",
      subjects: [
        "Ihre Bestellung … ist bestätigt",
        "Ihre Bestellung … ist unterwegs",
        "Ihre Bestellung … ist angekommen",
        "Wir haben 9,90 € für Ihre Bestellung … zurückgezahlt",
      ],
    },
  ];
  for (const { language, order: added, greeting, subjects } of cases)
    it(`arrive once each, in order, as text and HTML: ${language}`, async () => {
      await using running = await replica();
      const order = added();
      const { orderId } = order;
      await tell(order, "confirmed");
      await tell(order, "shipped");
      await until(async () => (await mailsOf(order)).length === 2, "it has left", patience);
      Object.assign(order.shipments[0] ?? {}, { status: OrderShipmentStatus.DELIVERED });
      await tell(order, "delivered");
      const refund = { orderId, operationId: newId(), amount: { currency: "EUR", amount: 990n } };
      await world.tell({ type: "shop.payments.payment.refunded.v1", schema: PaymentEventSchema, data: refund });
      const sent = async () => {
        const { notifications } = await running.client.listNotifications({ orderId });
        return notifications.length === 4 && notifications.every(isSent) && notifications.reverse();
      };
      const notifications = await until(sent, "all of it is told", patience);
      const mails = await mailsOf(order);
      const plain = mails.map(({ Subject }) => Subject.replace(orderId, "…").replace(/\s/g, " "));
      assert.deepEqual(plain, subjects);
      const ids = notifications.map(({ notificationId }) => `${notificationId}@shop.example`);
      assert.deepEqual(
        mails.map(({ MessageID }) => MessageID),
        ids,
      );
      for (const mail of mails) await looksRight(mail, language, greeting);
    });

  const isSent = ({ status }: { readonly status: NotificationStatus }) => status === NotificationStatus.SENT;

  /** From the shop to the customer and to nobody else, in parts that every mail program reads, with nothing to follow. */
  async function looksRight(mail: ListedMail, language: string, greeting: string): Promise<void> {
    const read = await mailpit.read(mail);
    const shop = { Name: "The shop", Address: "orders@shop.example" };
    assert.deepEqual([read.From, read.ReturnPath], [shop, shop.Address]);
    assert.deepEqual(read.To, [{ Name: "Ada Lovelace", Address: "ada@example.com" }]);
    assert.deepEqual([read.Cc, read.Bcc, read.Attachments, read.Inline], [[], [], [], []]);
    assert.ok(read.Text.startsWith(greeting), read.Text);
    assert.ok(!/<\w/.test(read.Text), read.Text);
    assert.ok(read.HTML.includes(`<html lang="${language}">`) && read.HTML.includes(`<p>${greeting}</p>`), read.HTML);
    const headers = await mailpit.headers(mail);
    assert.match(headers["Content-Type"]?.[0] ?? "", /^multipart\/alternative;/);
    assert.deepEqual(headers["Auto-Submitted"], ["auto-generated"]);
    assert.deepEqual(headers["Content-Language"], [language]);
    // There is no page of ours that it could lead to.
    assert.equal(headers["List-Unsubscribe"], undefined);
    assert.deepEqual(await mailpit.links(mail), []);
    // Some put its content into a page of their own, which loses nothing of a body without style.
    assert.deepEqual(await mailpit.unsupported(mail), ["html-body"]);
  }
});

describe("a server that refuses", () => {
  const later = [
    ["Sender", 451],
    ["Sender", 550],
    ["Recipient", 450],
    ["Recipient", 421],
    ["Authentication", 454],
    ["Authentication", 535],
  ] as const;
  for (const [asked, code] of later)
    it(`each, then two of five, with ${code} of the ${asked.toLowerCase()}: it gets each mail once in the end`, async () => {
      const login = { MAIL_USERNAME: "shop", MAIL_PASSWORD: "secret" };
      await mailpit.refuse(all({ asked, code }));
      await using first = await replica(login);
      await using second = await replica(login);
      const orders = await confirmed(12);
      await said(orders, new RegExp(`^smtp ${code}`));
      await mailpit.refuse({ [asked]: { ErrorCode: code, Probability: 40 } });
      const rows = await become(orders, "sent");
      const attempts = rows.reduce((sum, row) => sum + row.attempts, 0);
      assert.ok(attempts > orders.length, `${attempts} attempts`);
      await onceEach(orders);
      for (const { log } of [first, second]) assert.ok(!log().includes("ada@example.com"));
    });

  it("a recipient for good is believed at once, and asked again when an operator says so", async () => {
    await mailpit.refuse(all({ asked: "Recipient", code: 550 }));
    await using running = await replica();
    const orders = await confirmed(3);
    const failed = await become(orders, "failed");
    assert.deepEqual(
      failed.map(({ reason, attempts }) => `${reason}, ${attempts}`),
      failed.map(() => "smtp 550, 1"),
    );
    const list = () => running.client.listNotifications({ status: NotificationStatus.FAILED });
    const ids = (await list()).notifications.map(({ notificationId }) => notificationId);
    assert.equal(ids.length, orders.length);
    await mailpit.refuse();
    const others = await confirmed(3);
    await become(others, "sent");
    assert.deepEqual(
      await countsOf(orders),
      orders.map(() => ({ mails: 0, ids: 0 })),
    );
    await running.client.retryNotifications({ notificationIds: ids });
    await become(orders, "sent");
    assert.deepEqual((await list()).notifications, []);
    await onceEach([...orders, ...others]);
  });

  function all({ asked, code }: { readonly asked: keyof Chaos; readonly code: number }): Chaos {
    return { [asked]: { ErrorCode: code, Probability: 100 } };
  }
});

describe("a connection that ends", () => {
  it("in the middle of a mail: it is there once", async () => {
    await using wire = await Wire.to(mailpit.port);
    let cuts = 0;
    wire.cut = (text, by) => by === "client" && /^Message-ID:/im.test(text) && Math.random() < 0.5 && ++cuts > 0;
    await using _running = await replica({ MAIL_SERVER_URL: wire.url });
    const orders = await confirmed(12);
    await become(orders, "sent");
    assert.ok(cuts > 0);
    await onceEach(orders);
  });

  it("before the server has said that it took the mail, and with it the server: it is there twice, under one Message-ID", async () => {
    await using wire = await Wire.to(mailpit.port);
    const killed = Promise.withResolvers<void>();
    wire.cut = (text, by) => {
      if (by === "client" || !text.includes("queued")) return false;
      wire.cut = () => false;
      killed.resolve(mailpit.kill());
      return true;
    };
    await using _running = await replica({ MAIL_SERVER_URL: wire.url });
    const orders = await confirmed(1);
    await killed.promise;
    await said(orders, /./);
    await mailpit.run();
    const [row] = await become(orders, "sent");
    assert.ok((row?.attempts ?? 0) > 1);
    assert.deepEqual(await countsOf(orders), [{ mails: 2, ids: 1 }]);
  });
});

describe("a server", () => {
  it("that is killed again and again gets all mails, and none twice but what was on its way", async () => {
    await using _running = await replica();
    const orders: Order[] = [];
    const kills = 4;
    for (let round = 0; round < kills; round += 1) {
      const before = (await mailpit.mails()).length;
      const fresh = await confirmed(15);
      orders.push(...fresh);
      await until(async () => (await mailpit.mails()).length > before, "some have come", patience);
      await mailpit.kill();
      const more = await confirmed(2);
      orders.push(...more);
      await said(more, /^econnection|^esocket/);
      await mailpit.run();
    }
    await become(orders, "sent");
    const counts = await countsOf(orders);
    assert.ok(counts.every(({ mails, ids }) => mails > 0 && ids === 1));
    const twice = counts.reduce((sum, { mails }) => sum + mails - 1, 0);
    // So many may be on their way at the same time.
    assert.ok(twice <= kills * 4, `${twice} came twice`);
  });

  it("that says nothing for a while gets each mail once", async (t) => {
    await using _running = await replica();
    await become(await confirmed(1), "sent");
    mailpit.signal("SIGSTOP");
    t.after(() => mailpit.signal("SIGCONT"));
    const orders = await confirmed(6);
    await said(orders, /./);
    mailpit.signal("SIGCONT");
    await become(orders, "sent");
    await onceEach(orders);
  });

  it("that wants TLS and a password gets them", async () => {
    await using authority = await Authority.create();
    const files = await authority.issue("localhost");
    const passwords = join(authority.folder, "passwords");
    writeFileSync(passwords, "shop:right\n");
    const tls = ["--smtp-tls-cert", files.GRPC_TLS_CERT, "--smtp-tls-key", files.GRPC_TLS_KEY];
    await using guarded = await Mailpit.start(...tls, "--smtp-require-starttls", "--smtp-auth-file", passwords);
    await using _running = await replica({
      MAIL_SERVER_URL: `smtp://localhost:${guarded.port}`,
      MAIL_TLS: "required",
      MAIL_CA: files.GRPC_TLS_CA,
      MAIL_USERNAME: "shop",
      MAIL_PASSWORD: "right",
    });
    const [row] = await become(await confirmed(1), "sent");
    assert.equal(row?.attempts, 1);
    const mails = await guarded.mails();
    assert.deepEqual(
      mails.map(({ Username }) => Username),
      ["shop"],
    );
  });
});
