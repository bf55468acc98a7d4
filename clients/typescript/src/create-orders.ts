import { setTimeout as pause } from "node:timers/promises";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Client, Code } from "@connectrpc/connect";
import {
  type CreateOrderOutcome,
  type CreateOrderRequest,
  CreateOrderRequestSchema,
  type OrderService,
} from "./gen/shop/orders/v1/order_service_pb.js";
import { refusalOf } from "./refusal.ts";
import { giveIds } from "./request-ids.ts";

/** From the contract: the most orders of one call. */
const most = 1_000;
/** Of the orders of one call, in bytes: half of what a message may have by default, so that the answer fits as well. */
const mostBytes = 4 * 1024 * 1024;
/** Added to the pauses that services ask for, by chance; milliseconds. */
const chanceMs = 200;

/** Until when orders are tried. */
export interface CreateOrdersOptions {
  /** Entries that are refused for the moment are repeated for so long, in milliseconds; default 120,000. */
  readonly withinMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Creates any number of orders by calls for many, and repeats the entries that were refused for the moment. Every order has its
 * outcome, at the place of its request; one that is still refused when the time is over has that refusal.
 *
 * @throws what a call throws that fails as a whole; with request ids of your own the same may be asked for again
 */
export async function createOrders(
  orders: Client<typeof OrderService>,
  requests: readonly MessageInitShape<typeof CreateOrderRequestSchema>[],
  { withinMs = 120_000, signal }: CreateOrdersOptions = {},
): Promise<CreateOrderOutcome[]> {
  const end = performance.now() + withinMs;
  const wanted = requests.map((request) => {
    const message = create(CreateOrderRequestSchema, { ...request });
    giveIds(CreateOrderRequestSchema, message);
    return message;
  });
  const outcomes = new Map<CreateOrderRequest, CreateOrderOutcome>();
  for (let open = wanted; open.length > 0; ) {
    const sent = open.slice(0, fitting(open));
    const answer = await orders.bulkCreateOrders({ requests: sent }, signal && { signal });
    for (const [index, request] of sent.entries()) outcomes.set(request, answer.outcomes[index] as CreateOrderOutcome);
    const delays = new Map(sent.map((request) => [request, delayOf(outcomes.get(request))] as const));
    const again = sent.filter((request) => delays.get(request) !== undefined);
    // biome-ignore lint/plugin/random: spreads pauses, and hides nothing
    const delayMs = Math.max(0, ...again.map((request) => delays.get(request) ?? 0)) + chanceMs * Math.random();
    const rest = open.slice(sent.length);
    if (again.length > 0 && performance.now() + delayMs < end) {
      await pause(delayMs, undefined, signal && { signal });
      open = [...again, ...rest];
    } else open = rest;
  }
  return wanted.map((request) => outcomes.get(request) as CreateOrderOutcome);
}

/** How many of the first go into one call; at least one. */
function fitting(requests: readonly CreateOrderRequest[]): number {
  let bytes = 0;
  const tooMany = requests.slice(0, most).findIndex((request) => {
    bytes += toBinary(CreateOrderRequestSchema, request).length;
    return bytes > mostBytes;
  });
  return tooMany < 0 ? most : Math.max(1, tooMany);
}

/** After how many milliseconds an entry is to be repeated; undefined when it is decided. */
function delayOf(outcome: CreateOrderOutcome | undefined): number | undefined {
  if (outcome?.outcome.case !== "failure") return undefined;
  const { code, retryDelayMs } = refusalOf(outcome.outcome.value);
  return retryDelayMs ?? (code === Code.DeadlineExceeded ? 0 : undefined);
}
