import { decodeId, timeOf } from "#platform/id.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import type { OrderRepository } from "../order/order.repository.ts";
import { addressPlace } from "../order/order-person.ts";
import type { PreparedRest } from "../order/order-transition.repository.ts";

/** Prepares the rests of orders: what was missing of them, as orders of their own. */
export class RestOrders {
  readonly #orders: Pick<OrderRepository, "find">;
  readonly #personal: PersonalData;

  constructor(orders: Pick<OrderRepository, "find">, personal: PersonalData) {
    this.#orders = orders;
    this.#personal = personal;
  }

  /** By the order of which it is the rest, for those of these that have one that is not made. */
  async prepare(orderIds: readonly string[]): Promise<ReadonlyMap<string, PreparedRest>> {
    const orders = await this.#orders.find(orderIds);
    const prepared = orders.map(async ({ orderId, shortage, shippingAddress }) => {
      if (!shortage?.restId) return [];
      const place = addressPlace(decodeId(shortage.restId));
      const { stored, key } = await this.#personal.protect(place, shippingAddress);
      const rest = { orderId: shortage.restId, createTime: timeOf(shortage.restId), shippingAddress: stored, key };
      return [[orderId, rest] as const];
    });
    return new Map((await Promise.all(prepared)).flat());
  }
}
