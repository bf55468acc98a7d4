import { create } from "@bufbuild/protobuf";
import { durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { ErrorInfoSchema } from "#gen/google/rpc/error_details_pb.js";
import {
  OrderEpisodeService,
  ParkedStepDecision,
  type SettleOrderRequest,
} from "#gen/shop/orders/v1/order_episode_service_pb.js";
import { ParcelFate } from "#gen/shop/orders/v1/order_lifecycle_service_pb.js";
import { OrderShipmentStatus, OrderStatus } from "#gen/shop/orders/v1/order_pb.js";
import {
  type EpisodeEvent,
  EpisodeEventSchema,
  type EpisodeOrder,
  EpisodeOrderSchema,
} from "#gen/shop/sagas/v1/saga_pb.js";
import { ShortagePolicy } from "#gen/shop/type/v1/shortage_pb.js";
import { newId } from "#platform/id.ts";
import type { SagaOrder } from "../../src/workflows/legacy/order-state.ts";
import type { CameBack, SagaState } from "../../src/workflows/order-state.ts";
import type { AmendmentDecision, ExchangeDecision, Judged, World } from "./world.ts";

type EventCase = NonNullable<EpisodeEvent["event"]["case"]>;

/** What an order is to become. */
export interface AmendmentWish extends Partial<Pick<SagaOrder, "lines" | "total" | "address" | "cardToken">> {}

/** An amendment of an order as its row knows it. */
interface AmendmentRow extends AmendmentWish {
  readonly number: number;
  status: "pending" | "accepted" | "refused";
  refusal: string;
  /** Whether its saga is through with it. */
  isOver: boolean;
}

/** An order as its row knows it. */
export interface OrderRow {
  order: SagaOrder;
  /** The lines as they were asked for, once something was missing. */
  asked: SagaOrder["lines"] | undefined;
  /** All of them, the oldest first. */
  amendments: AmendmentRow[];
  /** From when the patience of its checkout is counted. */
  createTime: number;
  episodeId: string;
  lastEpisodeId: string;
  /** How many episodes there were; the last may carry it. */
  episodes: number;
  /** As it was settled. */
  saga: string;
  /** What has happened and nobody has taken. */
  events: EpisodeEvent[];
  /** What the running episode has taken. */
  taken: EpisodeEvent[];
  /** When it is carried again by itself. */
  dueTime: number | undefined;
  cancellable: boolean;
  needsCard: boolean;
  awaitsStock: boolean;
  waitsFor: string;
  parked: { step: string; reason: string; error: string } | undefined;
  /** All settlements, as they came. */
  settlements: SettleOrderRequest[];
  /** Where the parcels leave from that were not with the customer when it was cancelled; undefined: it was not, or none had left. */
  recalled: string[] | undefined;
  /** The returns of whole parcels, by where they left from. */
  parcelReturns: Map<string, { returnId: string; isReceived: boolean }>;
  /** What was to be paid back of lost parcels. */
  losses: Map<string, bigint>;
  /** The returns that wait for labels. */
  labels: { returnId: string; locationId: string }[];
  /** What everything that came back was worth. */
  cameWorth: bigint;
  /** The credits that pay it, because it is sent in exchange. */
  credits: readonly bigint[];
}

/** An order that is to be sent for what came back. */
export interface WantedExchange {
  readonly order: SagaOrder;
  state: "wanted" | "made" | "refused";
  /** Why it is refused. */
  reason: string;
}

/** Parcels that are not with the customer, and may come to be. */
const underWay: ReadonlySet<OrderShipmentStatus> = new Set([OrderShipmentStatus.PLANNED, OrderShipmentStatus.SHIPPED]);
const ended: ReadonlySet<string> = new Set(["DELIVERED", "REJECTED", "CANCELLED", "FAILED"]);

/** One event as a message. */
export function anEvent(kind: EventCase, value: object = {}): EpisodeEvent {
  return create(EpisodeEventSchema, { event: { case: kind, value } as never });
}

/** The rows of the orders service, their fences and their events, in memory. */
export class OrderRows {
  readonly rows = new Map<string, OrderRow>();
  /** By the returns that they are for. */
  readonly exchanges = new Map<string, WantedExchange>();
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    world.decide = (decision) => this.#decideAmendment(decision);
    world.resolve = (parcel) => this.#resolve(parcel);
    world.exchange = (decision) => this.#exchange(decision);
    world.cut = (orderId, missing) => this.#cut(orderId, missing);
    world.tell = (orderId, locationId, news) => {
      const { generation = 0 } = news;
      const name = generation > 0 ? `${locationId}~${generation}` : locationId;
      if (news.news === "PACKED") world.order(orderId).shipments.set(name, "ready");
      // Sagas of the kind before episodes have no row here, and ask shipping themselves.
      if (this.rows.has(orderId)) this.happens(orderId, anEvent("shipment", { locationId, ...news }));
    };
  }

  row(orderId: string): OrderRow {
    const row = this.rows.get(orderId);
    if (!row) throw new Error(`there is no order ${orderId}`);
    return row;
  }

  /** An order that was accepted. */
  place(order: SagaOrder, createTime = Date.now()): void {
    this.rows.set(order.orderId, {
      order,
      asked: undefined,
      amendments: [],
      createTime,
      episodeId: "",
      lastEpisodeId: "",
      episodes: 0,
      saga: "",
      events: [anEvent("placed")],
      taken: [],
      dueTime: undefined,
      cancellable: true,
      needsCard: true,
      awaitsStock: false,
      waitsFor: "",
      parked: undefined,
      settlements: [],
      recalled: undefined,
      parcelReturns: new Map(),
      losses: new Map(),
      labels: [],
      cameWorth: 0n,
      credits: [],
    });
  }

  /** An amendment is accepted: it is decided by the next episode. @returns its number */
  amend(orderId: string, wish: AmendmentWish): number {
    const { amendments } = this.row(orderId);
    const number = amendments.length + 1;
    amendments.push({ ...wish, number, status: "pending", refusal: "", isOver: false });
    this.happens(orderId, anEvent("amendment", { number }));
    return number;
  }

  /** A return was approved, and the carrier is to make its label. */
  wantsLabel(orderId: string, returnId: string): void {
    this.row(orderId).labels.push({ returnId, locationId: "BER" });
    this.happens(orderId, anEvent("decision", { step: "take-back", resolved: false, requestId: `label-${returnId}` }));
  }

  /** The order is cancelled when parcels of it have left, as its row decides. @returns whether anything is under way */
  recall(orderId: string): boolean {
    const row = this.row(orderId);
    const { status, confirmedAs } = this.#world.order(orderId);
    if (row.recalled) return true;
    const shown = row.settlements.findLast(({ shipments }) => shipments.length > 0)?.shipments ?? [];
    const over = (locationId: string) =>
      shown.some((each) => each.locationId === locationId && !underWay.has(each.status));
    const away = Object.keys(confirmedAs).filter((locationId) => !over(locationId));
    if (!["CONFIRMED", "PREPARING", "SHIPPED"].includes(status) || away.length === 0) return false;
    row.recalled = away;
    this.happens(orderId, anEvent("cancellation", { reason: "on request" }));
    return true;
  }

  #resolve({ orderId, locationId, fate }: { orderId: string; locationId: string; fate: ParcelFate }): Judged<object> {
    const row = this.row(orderId);
    const known = row.parcelReturns.get(locationId);
    const amount = this.#world.order(orderId).confirmedAs[locationId] ?? 0n;
    if (fate === ParcelFate.LOST) {
      const charged = Object.entries(this.#world.order(orderId).confirmedAs)
        .filter(([location]) => !row.losses.has(location))
        .reduce((sum, [, cost]) => sum + cost, 0n);
      const left = charged - row.cameWorth;
      const refund = row.losses.get(locationId) ?? (amount < left ? amount : left);
      if (!row.losses.has(locationId)) this.#world.took(orderId, `lose:${locationId}`, `${orderId}:lose:${locationId}`);
      row.losses.set(locationId, refund);
      return { response: { returnId: "", refund } };
    }
    const isReceived = fate === ParcelFate.CAME_BACK;
    const { returnId } = known ?? { returnId: newId() };
    if (!known || (isReceived && !known.isReceived)) {
      row.parcelReturns.set(locationId, { returnId, isReceived });
      const effect = `${isReceived ? "receive" : "announce"}:${locationId}`;
      this.#world.took(orderId, effect, `${orderId}:${effect}`);
      const parts = this.#world.order(orderId).parts.filter((part) => part.locationId === locationId);
      if (isReceived)
        this.comesBack(orderId, { returnId, parts, amount: Number(amount), parcelLocationId: locationId });
    }
    return { response: { returnId, refund: 0n } };
  }

  #exchange({ orderId, returnId, credits, failure }: ExchangeDecision): Judged<object> {
    const wanted = this.exchanges.get(returnId);
    if (!wanted) return { response: { made: false } };
    if (wanted.state === "wanted") {
      wanted.state = failure ? "refused" : "made";
      wanted.reason = failure;
      this.#world.took(orderId, `${wanted.state}:${returnId}`, `exchange:${returnId}`);
      if (wanted.state === "made") {
        this.place(wanted.order);
        this.row(wanted.order.orderId).credits = credits;
      }
    }
    return { response: { made: wanted.state === "made" } };
  }

  /** What became of the last amendment of an order. */
  amended(orderId: string): string {
    const { status = "", refusal = "" } = this.row(orderId).amendments.at(-1) ?? {};
    return refusal || status;
  }

  #decideAmendment({ orderId, number, refusal }: AmendmentDecision): Judged<object> {
    const row = this.row(orderId);
    const amendment = row.amendments.find((each) => each.number === number);
    const wanted = refusal === "" ? "accepted" : "refused";
    if (!amendment || (amendment.status !== "pending" && amendment.status !== wanted)) {
      return { refuse: "AMENDMENT_DECIDED" };
    }
    if (amendment.status === wanted) return { response: {} };
    amendment.status = wanted;
    amendment.refusal = refusal;
    const { lines, total, address } = amendment;
    if (wanted === "accepted") {
      row.order = { ...row.order, ...(lines && { lines }), ...(total && { total }), ...(address && { address }) };
    }
    this.#world.took(orderId, wanted === "accepted" ? "AMENDED" : `NOT AMENDED: ${refusal}`, `${orderId}:${number}`);
    return { response: {} };
  }

  #cut(orderId: string, missing: readonly { sku: string; quantity: number }[]): Judged<object> {
    const row = this.row(orderId);
    const less = (sku: string) => missing.find((each) => each.sku === sku)?.quantity ?? 0;
    if (row.asked === undefined) {
      if (this.#world.order(orderId).status !== "PENDING") return { refuse: "SHORTAGE_DECIDED" };
      const { lines, total } = row.order;
      row.asked = lines;
      const left = lines.map((line) => ({ ...line, quantity: line.quantity - less(line.sku) }));
      const kept = left.filter(({ quantity }) => quantity > 0);
      const amount = kept.reduce((sum, { quantity, unitPrice }) => sum + quantity * unitPrice, 0);
      row.order = { ...row.order, lines: kept, total: { ...total, amount } };
      this.#world.took(orderId, "cut", `${orderId}:cut`);
    }
    const { lines, total } = row.order;
    const isSame = row.asked.every(({ sku, quantity }) => {
      const left = lines.find((line) => line.sku === sku)?.quantity ?? 0;
      return quantity - left === less(sku);
    });
    if (!isSame) return { refuse: "SHORTAGE_DECIDED" };
    return {
      response: {
        lines: lines.map(toLine),
        total: { currency: total.currency, amount: BigInt(total.amount) },
        followed: this.#world.rests.has(orderId),
      },
    };
  }

  /** Something happens to an order, wherever it is. */
  happens(orderId: string, event: EpisodeEvent): void {
    this.rows.get(orderId)?.events.push(event);
  }

  state(orderId: string): SagaState {
    return JSON.parse(this.row(orderId).saga) as SagaState;
  }

  /** Whether an order has come to its end and nobody carries it. */
  isOver(orderId: string): boolean {
    const { episodeId, events, dueTime } = this.row(orderId);
    const still = episodeId === "" && events.length === 0 && dueTime === undefined;
    return still && ended.has(this.#world.order(orderId).status);
  }

  /** Whether an order rests, and nothing is due. */
  rests(orderId: string): boolean {
    const { episodeId, events, dueTime } = this.row(orderId);
    return episodeId === "" && events.length === 0 && (dueTime === undefined || dueTime > Date.now());
  }

  /** Takes the orders that are due into an episode, at most 64. */
  claim(): { episodeId: string; orders: EpisodeOrder[] } | undefined {
    const due = [...this.rows.values()].filter(
      ({ episodeId, events, dueTime = Number.POSITIVE_INFINITY }) =>
        episodeId === "" && (events.length > 0 || dueTime <= Date.now()),
    );
    if (due.length === 0) return undefined;
    const episodeId = newId();
    return { episodeId, orders: due.slice(0, 64).map((row) => this.#claimOne(row, episodeId)) };
  }

  #claimOne(row: OrderRow, episodeId: string): EpisodeOrder {
    const { order, createTime, saga, dueTime } = row;
    const retry = dueTime !== undefined && dueTime <= Date.now() ? [anEvent("retry")] : [];
    row.taken = [...row.events, ...retry];
    row.events = [];
    row.dueTime = undefined;
    row.episodeId = episodeId;
    row.lastEpisodeId = episodeId;
    row.episodes++;
    const { orderId, customerId, total, traceparent, lines, address, cardToken } = order;
    const { status } = this.#world.order(orderId);
    const isAmended = status === "PREPARING" && row.amendments.length > 0;
    const open = status === "PENDING" || status === "CONFIRMED" || isAmended;
    const amendment = row.amendments.find((each) => !each.isOver);
    return create(EpisodeOrderSchema, {
      orderId,
      fence: row.episodes,
      customerId,
      total: { currency: total.currency, amount: BigInt(total.amount) },
      createTime: timestampFromMs(createTime),
      traceparent,
      saga,
      events: row.taken,
      confirmed: status !== "PENDING" && status !== "REJECTED",
      returns: [...(this.#world.cameBack.get(orderId)?.values() ?? [])].map(({ amount, exchange, ...back }) => ({
        ...back,
        amount: BigInt(amount),
        ...(exchange && { exchange: { orderId: exchange.orderId, credit: BigInt(exchange.credit) } }),
      })),
      credits: [...row.credits],
      ...(open && {
        checkout: {
          lines: lines.map(toLine),
          shippingAddress: address,
          cardToken: row.needsCard ? cardToken : "",
          screen: status === "PENDING" && this.#world.screens.has(orderId),
          shortagePolicy: this.#policyOf(orderId),
          asked: (row.asked ?? []).map(({ sku, quantity }) => ({ sku, quantity })),
        },
      }),
      ...(row.recalled && { recall: { locationIds: row.recalled } }),
      labels: row.labels,
      ...(amendment && {
        amendment: {
          number: amendment.number,
          accepted: amendment.status === "accepted",
          lines: (amendment.lines ?? []).map(toLine),
          total: {
            currency: total.currency,
            amount: BigInt((amendment.total ?? total).amount),
          },
          ...(amendment.address && { shippingAddress: amendment.address }),
          cardToken: amendment.status === "accepted" ? "" : (amendment.cardToken ?? ""),
        },
      }),
    });
  }

  #policyOf(orderId: string): ShortagePolicy {
    if (this.#world.rests.has(orderId)) return ShortagePolicy.SHIP_AND_BACK_ORDER;
    if (this.#world.missing.has(orderId)) return ShortagePolicy.SHIP_AVAILABLE;
    return this.#world.backOrders.has(orderId) ? ShortagePolicy.BACK_ORDER : ShortagePolicy.REJECT;
  }

  /** Takes back the orders of an episode whose workflow is gone. */
  giveBack(episodeId: string): number {
    const lost = [...this.rows.values()].filter((row) => row.episodeId === episodeId);
    for (const row of lost) {
      row.events = [...row.taken, anEvent("retry"), ...row.events];
      row.taken = [];
      row.episodeId = "";
    }
    return lost.length;
  }

  /** The fake of the service that the worker calls. */
  routes(router: ConnectRouter): void {
    const world = this.#world;
    router.service(OrderEpisodeService, {
      batchSettleOrders: ({ requests }) =>
        world.batch(requests, {
          step: "settle",
          of: (request) => request,
          id: ({ orderId, episodeId }) => `${orderId}:${episodeId}:${Math.random()}`,
          apply: (request) => this.#settle(request),
        }),
      getOrderSaga: ({ orderId }) => {
        if (!this.rows.has(orderId)) throw new ConnectError("there is no such order", Code.NotFound);
        const { episodeId, lastEpisodeId, saga } = this.row(orderId);
        return { saga: { orderId, episodeId, lastEpisodeId, saga, legacy: false } };
      },
      listParkedOrders: () => ({
        orders: [...this.rows.values()].flatMap(({ order, parked: step, lastEpisodeId }) =>
          step ? [{ orderId: order.orderId, customerId: order.customerId, step, lastEpisodeId }] : [],
        ),
      }),
      decideParkedStep: ({ orderId, step, decision, requestId }) => {
        if (this.rows.get(orderId)?.parked?.step !== step) {
          const detail = { desc: ErrorInfoSchema, value: { reason: "STEP_NOT_PARKED", domain: "orders.shop" } };
          throw new ConnectError("it does not wait", Code.FailedPrecondition, undefined, [detail]);
        }
        this.decide(orderId, step, { resolved: decision === ParkedStepDecision.RESOLVE, requestId });
        return {};
      },
      // Of many parked rows the tests that have the real orders tell.
      beginParkedDecisions: () => ({ parkedBefore: timestampFromMs(Date.now()), matching: 0, waiting: 0 }),
    });
  }

  /** The warehouse has received what came back. */
  comesBack(orderId: string, back: CameBack): void {
    const known = this.#world.cameBack.get(orderId) ?? new Map<string, CameBack>();
    this.#world.cameBack.set(orderId, known.set(back.returnId, back));
    const { returnId: requestId } = back;
    this.row(orderId).cameWorth += BigInt(back.amount);
    this.happens(orderId, anEvent("decision", { step: "take-back", resolved: false, requestId }));
  }

  /** The same, and an order is wanted for it, which it pays as far as it is worth that. @returns what is left of it */
  isExchanged(orderId: string, back: CameBack, order: SagaOrder): number {
    const credit = Math.min(back.amount, order.total.amount);
    this.exchanges.set(back.returnId, { order, state: "wanted", reason: "" });
    this.comesBack(orderId, { ...back, exchange: { orderId: order.orderId, credit } });
    return back.amount - credit;
  }

  /** A person decides about an order under review. */
  review(orderId: string, decision: "released" | "refused"): void {
    const row = this.row(orderId);
    this.#world.screens.set(orderId, decision === "released" ? "pass" : "refuse");
    row.createTime = Date.now();
    const requestId = `${orderId}-${decision}`;
    this.happens(orderId, anEvent("decision", { step: "screen", resolved: decision === "released", requestId }));
  }

  /** Stock arrives, it is the order's turn, and inventory tells so. */
  served(orderId: string): void {
    this.#world.short.delete(orderId);
    this.row(orderId).createTime = Date.now();
    this.happens(orderId, anEvent("retry"));
  }

  /** The order has waited for as long as it may. */
  waitedTooLong(orderId: string): void {
    this.#world.backOrders.delete(orderId);
    this.happens(orderId, anEvent("retry"));
  }

  /** An operator decides about a parked step. */
  decide(orderId: string, step: string, decision: { resolved: boolean; requestId: string }): void {
    const row = this.row(orderId);
    if (row.parked?.step !== step) throw new Error(`${step} does not wait`);
    row.parked = undefined;
    this.happens(orderId, anEvent("decision", { step, ...decision }));
  }

  #settle(request: SettleOrderRequest) {
    const { orderId, episodeId } = request;
    const row = this.row(orderId);
    if (row.episodeId !== episodeId) return { refuse: "EPISODE_OVER" };
    if (request.status === OrderStatus.FAILED && row.recalled) return { refuse: "ORDER_RECALLED" };
    if (request.status !== OrderStatus.UNSPECIFIED) {
      const moved = this.#world.move(orderId, OrderStatus[request.status] ?? "", request.failure?.reason ?? "");
      if ("refuse" in moved) return moved;
    }
    row.settlements.push(request);
    row.episodeId = "";
    row.taken = [];
    row.saga = request.saga;
    for (const amendment of row.amendments) if (amendment.number <= request.amended) amendment.isOver = true;
    row.cancellable = request.cancellable;
    row.needsCard = request.needsCard;
    row.awaitsStock = request.awaitsStock;
    row.waitsFor = request.waitsFor;
    row.parked = request.parked;
    row.dueTime = request.retryAfter && Date.now() + durationMs(request.retryAfter);
    return { response: {} };
  }
}

function toLine({ sku, quantity, unitPrice, amount }: SagaOrder["lines"][number]) {
  return { sku, quantity, unitPrice: BigInt(unitPrice), ...(amount !== undefined && { amount: BigInt(amount) }) };
}
