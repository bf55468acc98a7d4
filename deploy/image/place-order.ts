// `place-order --orders <host:port> --inventory <host:port>`: places one order and waits until it is delivered. Ends with 0
// then, with 1 and one sentence when it was refused, failed or is late, with 2 when it was called wrongly. `--tls <folder>`
// calls with the certificate tls.crt, tls.key and ca.crt of a folder. `SERVICE_KEY` proves who it is, where that is asked.
import { randomUUID } from "node:crypto";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import { ConnectError } from "@connectrpc/connect";
import { type Order, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import { TlsFiles } from "#platform/tls/tls-files.ts";
import { buyerTokens, isOver, Shop, ShopError } from "./shop.ts";

/** The certificate, key and authority in a folder, as a secret of cert-manager is mounted. */
function tlsIn(folder: string | undefined) {
  if (folder === undefined) return undefined;
  const [GRPC_TLS_CERT, GRPC_TLS_KEY, GRPC_TLS_CA] = ["tls.crt", "tls.key", "ca.crt"].map((name) => join(folder, name));
  return TlsFiles.open({ GRPC_TLS_CERT, GRPC_TLS_KEY, GRPC_TLS_CA, GRPC_TLS_REFRESH_MS: 60_000 });
}

function options(args: readonly string[]) {
  const { values } = parseArgs({
    args: [...args],
    options: {
      orders: { type: "string" },
      inventory: { type: "string" },
      deadline: { type: "string", default: "120" },
      tls: { type: "string" },
    },
  });
  const { orders, inventory, deadline } = values;
  if (!orders || !inventory) throw new TypeError("--orders and --inventory say where the two services answer");
  if (!(Number(deadline) > 0)) throw new TypeError(`--deadline is a number of seconds, not "${deadline}"`);
  return { addresses: { orders, inventory }, deadlineMs: Number(deadline) * 1_000, tls: tlsIn(values.tls) };
}

/** Follows the order until it ends or time is up; a broken stream is opened again. */
async function follow(shop: Shop, accepted: Order, signal: AbortSignal): Promise<Order> {
  let order = accepted;
  const begin = performance.now();
  let shown: OrderStatus | undefined;
  while (!isOver(order) && !signal.aborted) {
    try {
      for await (const answer of shop.orders.watchOrder({ orderId: order.orderId }, { signal })) {
        order = answer.order ?? order;
        if (order.status !== shown) console.log(`${after(begin)} ${OrderStatus[order.status]}`);
        shown = order.status;
      }
    } catch (error) {
      if (signal.aborted) break;
      console.log(`${after(begin)} the stream broke: ${ConnectError.from(error).message}`);
      await pause(500);
    }
  }
  return order;
}

function after(begin: number): string {
  return `${((performance.now() - begin) / 1_000).toFixed(1).padStart(6)} s`;
}

async function main(): Promise<void> {
  const { addresses, deadlineMs, tls } = options(process.argv.slice(2));
  const signal = AbortSignal.timeout(deadlineMs);
  using tokens = await buyerTokens();
  using shop = new Shop(addresses, { tls, tokens });
  await shop.stock(1, signal);
  const placed = await shop.buy(await shop.buyer(signal), randomUUID(), signal);
  console.log(`order ${placed.orderId}`);
  const order = await follow(shop, placed, signal);
  if (order.status === OrderStatus.DELIVERED) return;
  const why = order.failure ? `: ${order.failure.reason}` : "";
  const late = isOver(order) ? "" : ` after ${deadlineMs / 1_000} s`;
  throw new ShopError(`the order is ${OrderStatus[order.status]}${late}${why}`);
}

try {
  await main();
} catch (error) {
  const wrongCall = error instanceof TypeError;
  console.error(error instanceof ConnectError ? `a call failed: ${error.message}` : (error as Error).message);
  process.exitCode = wrongCall ? 2 : 1;
}
