// What another team does: installs the packed file into an empty folder and calls a running mesh; and the programs in
// docs/clients.md, in the languages that are installed here.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { clientOptionsFor } from "../../../dev/shop/clients.ts";
import { freePorts } from "../../../dev/stack/free-ports.ts";
import { Stack } from "../../../dev/stack/stack.ts";
import { Ordermesh } from "../src/ordermesh.ts";

const run = promisify(execFile);
const own = join(import.meta.dirname, "..");
const documentation = readFileSync(join(own, "../../docs/clients.md"), "utf8");

let stack: Stack;
let customerId: string;
let folder: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), "ordermesh-caller-"));
  // Orders are accepted without anybody who carries them.
  stack = await Stack.start({ ports: await freePorts(), components: ["postgres", "orders", "identity"] });
  using shop = new Ordermesh(clientOptionsFor(stack));
  const ada = { givenName: "Ada", familyName: "Lovelace", email: "ada@example.com" };
  const { customer } = await shop.customers.createCustomer(ada);
  customerId = customer?.customerId ?? "";
});
after(async () => {
  await stack?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const minute = 60_000;

/** Runs a program; its output without the line break at the end. */
async function output(
  program: string,
  args: readonly string[],
  environment: Record<string, string> = {},
): Promise<string> {
  const { stdout } = await run(program, args, {
    cwd: folder,
    // Where the registry is, and how to get there, stands in it on some machines.
    env: { ...process.env, ...environment },
    timeout: 3 * minute,
  });
  return stdout.trim();
}

/** What a caller in TypeScript writes; compiled against the package's own types, and run. */
const caller = `
import { Ordermesh, refusalOf, type Refusal } from "@ordermesh/client";
import { OrderStatus, PriceAdjustmentKind } from "@ordermesh/client/gen/shop/orders/v1/order_pb";

const [address = "", customerId = "", authorization = ""] = process.argv.slice(2);
using shop = new Ordermesh({ addresses: { orders: address }, headers: () => ({ authorization }) });
const wanted = {
  customerId,
  lines: [{ sku: "espresso-cup", quantity: 2, unitPrice: { currency: "EUR", amount: 950n } }],
  shippingAddress: { recipient: "Ada Lovelace", lines: ["1 Dorset Street"], city: "London", country: "GB" },
  cardToken: "tok_approve",
};
const euros = (amount: bigint) => ({ currency: "EUR", amount });
const adjustments = [
  { kind: PriceAdjustmentKind.SHIPPING, name: "Standard delivery", amount: euros(490n) },
  { kind: PriceAdjustmentKind.DISCOUNT, name: "SPRING10", amount: euros(-190n) },
];
const { order } = await shop.orders.createOrder({ ...wanted, adjustments, total: euros(2_200n) });
const { outcomes } = await shop.orders.bulkCreateOrders({ requests: [wanted, { ...wanted, cardToken: "none" }] });
const refusals: Refusal[] = outcomes.flatMap(({ outcome }) => (outcome.case === "failure" ? refusalOf(outcome.value) : []));
const missing = await shop.orders.getOrder({ orderId: customerId }).catch(refusalOf);
console.log(
  JSON.stringify({
    status: OrderStatus[order?.status ?? 0],
    adjustments: order?.adjustments.map(({ name }) => name),
    cases: outcomes.map(({ outcome }) => outcome.case),
    fields: refusals.flatMap(({ fields }) => fields.map(({ field }) => field)),
    reason: "reason" in missing ? missing.reason : "none",
  }),
);
`;

test("the packed client is installed into an empty folder, compiles there, and calls", async () => {
  const npm = async (...args: string[]) =>
    output("npm", [...args, "--no-audit", "--no-fund", "--prefer-offline", "--loglevel=error"]);
  await npm("pack", own);
  const [packed = ""] = readdirSync(folder).filter((name) => name.endsWith(".tgz"));
  assert.match(packed, /^ordermesh-client-\d/);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "caller", private: true, type: "module" }));
  await npm("install", `./${packed}`);
  const files = readdirSync(join(folder, "node_modules/@ordermesh/client/dist"), { recursive: true }).map(String);
  assert.deepEqual(
    files.filter((name) => !/\.(?:js|d\.ts)$/.test(name) && name.includes(".")),
    [],
    "what the services alone read is packed",
  );
  writeFileSync(join(folder, "caller.ts"), caller);
  const tsc = join(own, "../../node_modules/.bin/tsc");
  const types = join(own, "../../node_modules/@types");
  // Connect's types want those of a browser beside Node's.
  const flags = [
    "--strict",
    "--skipLibCheck",
    "--module",
    "nodenext",
    "--target",
    "es2024",
    "--lib",
    "es2024,esnext.disposable",
  ];
  await output(tsc, [...flags, "--typeRoots", types, "--types", "node", "--noEmit", "caller.ts"]);
  const told = await output(process.execPath, [
    ...["caller.ts", `http://${stack.address("orders")}`, customerId],
    stack.headers.authorization,
  ]);
  assert.deepEqual(JSON.parse(told), {
    status: "PENDING",
    adjustments: ["Standard delivery", "SPRING10"],
    cases: ["response", "failure"],
    fields: ["requests[1].card_token"],
    reason: "ORDER_NOT_FOUND",
  });
});

test("entries of a call in JSON are named as JSON names them", async () => {
  const order = {
    requestId: "json",
    customerId,
    lines: [{ sku: "espresso-cup", quantity: 2, unitPrice: { currency: "EUR", amount: "950" } }],
    shippingAddress: { recipient: "Ada Lovelace", lines: ["1 Dorset Street"], city: "London", country: "GB" },
    cardToken: "tok_approve",
  };
  const body = JSON.stringify({
    requests: [order, { ...order, cardToken: "4111111111111111" }, { ...order, waitFor: "WAIT_FOR_CONFIRMED" }],
  });
  const url = `${stack.httpUrl("orders")}/shop.orders.v1.OrderService/BulkCreateOrders`;
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", ...stack.headers },
    body,
  });
  const { outcomes } = (await response.json()) as {
    outcomes: { response?: { order: { status: string } }; failure?: { fieldViolations: { field: string }[] } }[];
  };
  assert.deepEqual(
    outcomes.map(
      (outcome) => outcome.response?.order.status ?? outcome.failure?.fieldViolations.map(({ field }) => field),
    ),
    ["ORDER_STATUS_PENDING", ["requests[1].cardToken"], ["requests[2].waitFor"]],
  );
});

describe("the programs in docs/clients.md place an order", () => {
  for (const { language, file, program, args } of [
    { language: "go", file: "main.go", program: "go", args: ["run", "main.go"] },
    { language: "python", file: "place_order.py", program: "python3", args: ["place_order.py"] },
    { language: "java", file: "PlaceOrder.java", program: "java", args: ["PlaceOrder.java"] },
  ]) {
    test(language, async (t) => {
      const version = language === "go" ? "version" : "--version";
      const installed = await output(program, [version]).then(
        () => true,
        () => false,
      );
      if (!installed) return t.skip(`${program} is not installed`);
      const [, text = ""] = documentation.match(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "ms")) ?? [];
      writeFileSync(join(folder, file), text);
      const place = { ORDERS_URL: stack.httpUrl("orders"), ORDERMESH_KEY: stack.blueprint.credentials.developmentKey };
      const printed = await output(program, args, { ...place, CUSTOMER_ID: customerId });
      using shop = new Ordermesh(clientOptionsFor(stack));
      const { order } = await shop.orders.getOrder({ orderId: printed });
      assert.equal(order?.customerId, customerId);
      // Refused for good: it says why at once, and does not try for half a minute.
      await assert.rejects(output(program, args, { ...place, CUSTOMER_ID: printed }), /there is no customer/);
    });
  }
});
