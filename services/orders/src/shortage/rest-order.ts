import { decodeId, timeOf } from "#platform/id.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import type { OrderRepository } from "../order/order.repository.ts";
import type { Order } from "../order/order.ts";
import { type OrderCards, orderCardPlace } from "../order/order-cards.ts";
import { addressPlace } from "../order/order-person.ts";
import type { PreparedRest } from "../order/order-transition.repository.ts";

/** Prepares the rests of orders: what was missing of them, as orders of their own. */
export class RestOrders {
  readonly #orders: Pick<OrderRepository, "find" | "cardsOf">;
  readonly #personal: PersonalData;
  readonly #cards: OrderCards;

  constructor(
    orders: Pick<OrderRepository, "find" | "cardsOf">,
    { personal, cards }: { readonly personal: PersonalData; readonly cards: OrderCards },
  ) {
    this.#orders = orders;
    this.#personal = personal;
    this.#cards = cards;
  }

  /** By the order of which it is the rest, for those of these that have one that is not made. */
  async prepare(orderIds: readonly string[]): Promise<ReadonlyMap<string, PreparedRest>> {
    const orders = (await this.#orders.find(orderIds)).filter(({ shortage }) => shortage?.restId);
    if (orders.length === 0) return new Map();
    const cards = await this.#orders.cardsOf(orders.map(({ orderId }) => orderId));
    const prepared = orders.map(async (order) => {
      return [order.orderId, await this.#prepare(order, cards.get(order.orderId) ?? "")] as const;
    });
    return new Map(await Promise.all(prepared));
  }

  async #prepare({ shortage, shippingAddress }: Order, card: string): Promise<PreparedRest> {
    const { restId: orderId = "" } = shortage ?? {};
    const id = decodeId(orderId);
    const address = await this.#personal.protect(addressPlace(id), shippingAddress);
    const cardToken = await this.#cards.protectBeside(address, orderCardPlace(id), card);
    return { orderId, createTime: timeOf(orderId), shippingAddress: address.stored, cardToken, key: address.key };
  }
}
