import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { newId } from "#platform/id.ts";
import type { TestDatabase } from "#testing/postgres.ts";
import type { Allocation, AllocationStatus, Reservation, StockCommand } from "../src/stock.ts";
import { inventoryDatabase, levels, minute, openReplica, pass, requireExplained, Shop } from "./harness.ts";

const skus = ["a", "b", "c"];
const locations = ["l1", "l2", "l3"];

/** Stock as one would keep it on paper: what was delivered, what each order holds, and until when. */
class Paper {
  readonly onHand = new Map<string, bigint>();
  readonly orders = new Map<string, { parts: Allocation[]; until: number | undefined }>();

  reservedAt(place: string): bigint {
    const parts = [...this.orders.values()].flatMap((order) => order.parts);
    return parts
      .filter(
        (part) => `${part.sku}@${part.locationId}` === place && (part.status === "held" || part.status === "confirmed"),
      )
      .reduce((sum, part) => sum + part.quantity, 0n);
  }

  available(sku: string): bigint {
    const places = [...this.onHand].filter(([place]) => place.startsWith(`${sku}@`));
    return places.reduce((sum, [place, onHand]) => sum + onHand - this.reservedAt(place), 0n);
  }

  /** Takes over what the service says and checks that it could say so. */
  took(orderId: string, { allocations, expireTime }: Reservation): void {
    this.orders.set(orderId, { parts: [...allocations], until: expireTime?.getTime() });
    for (const { sku, locationId } of allocations) {
      const place = `${sku}@${locationId}`;
      assert.ok(this.reservedAt(place) <= (this.onHand.get(place) ?? 0n), `too much promised of ${place}`);
    }
  }

  move(orderId: string, from: readonly AllocationStatus[], to: AllocationStatus, locationId?: string): void {
    const order = this.orders.get(orderId);
    if (!order) return;
    order.parts = order.parts.map((part) => {
      if (!from.includes(part.status) || (locationId && part.locationId !== locationId)) return part;
      const place = `${part.sku}@${part.locationId}`;
      if (to === "committed") this.onHand.set(place, (this.onHand.get(place) ?? 0n) - part.quantity);
      return { ...part, status: to };
    });
  }

  /** Whole minutes pass, and holds last whole minutes: what is over does not depend on how long the test takes. */
  pass(milliseconds: number): void {
    for (const order of this.orders.values()) if (order.until !== undefined) order.until -= milliseconds;
  }

  expire(now: number): void {
    for (const [orderId, order] of this.orders) {
      if (order.until !== undefined && order.until <= now) this.move(orderId, ["held"], "expired");
    }
  }

  toString(): string {
    const places = [...this.onHand].sort(([one], [other]) => (one < other ? -1 : 1));
    return places.map(([place, onHand]) => `${place} ${onHand}/${this.reservedAt(place)}`).join(", ");
  }
}

describe("stock, whatever happens in whatever order", () => {
  let test: TestDatabase;
  before(async () => {
    test = await inventoryDatabase();
  });
  after(() => test[Symbol.asyncDispose]());

  it("is what one would have on paper", async () => {
    const shop = new Shop(test.database);
    const paper = new Paper();
    const random = numbers(20_261_121);
    const pick = <T>(items: readonly T[]): T => items[random(items.length)] as T;
    for (let step = 0; step < 500; step += 1) {
      const known = [...paper.orders.keys()];
      const orderId = known.length > 0 && random(5) > 0 ? pick(known) : newId();
      const locationId = random(3) === 0 ? pick(locations) : undefined;
      const at = locationId ? { locationId } : {};
      switch (random(8)) {
        case 0:
          await deliver(pick(skus), pick(locations), BigInt(random(9) - 2));
          break;
        case 1:
        case 2:
          await reserve(random(4) === 0 ? orderId : newId());
          break;
        case 3: {
          const wasExpired = paper.orders.get(orderId)?.parts.some((part) => part.status === "expired");
          const done = await attempt(shop.do({ kind: "confirm", orderId }));
          if (done && wasExpired) paper.took(orderId, done);
          else if (done) paper.move(orderId, ["held"], "confirmed");
          break;
        }
        case 4:
          if (await attempt(shop.do({ kind: "commit", orderId, ...at })))
            paper.move(orderId, ["confirmed"], "committed", locationId);
          break;
        case 5:
          if (await attempt(shop.do({ kind: "release", orderId, ...at })))
            paper.move(orderId, ["held", "confirmed", "expired"], "released", locationId);
          break;
        case 6: {
          const time = random(10) * minute;
          await pass(test.database, time);
          paper.pass(time);
          break;
        }
        default:
          while ((await shop.stock.expire()) > 0);
          paper.expire(Date.now());
      }
      if (step % 20 === 0) await compare(step);
    }
    await compare(500);
    for (const orderId of paper.orders.keys()) {
      await shop.do({ kind: "release", orderId });
      paper.move(orderId, ["held", "confirmed", "expired"], "released");
    }
    await compare(501);
    for (const place of paper.onHand.keys()) assert.equal(paper.reservedAt(place), 0n);

    async function reserve(orderId: string): Promise<void> {
      const wanted = skus.filter(() => random(2) === 0).map((sku) => [sku, BigInt(1 + random(4))] as const);
      if (wanted.length === 0) return;
      const enough = wanted.every(([sku, quantity]) => paper.available(sku) >= quantity);
      const isNew = !paper.orders.has(orderId);
      const done = await attempt(
        shop.reserve(wanted.map(([sku, quantity]) => `${sku}:${quantity}`).join(" "), orderId),
      );
      if (isNew && !done) assert.ok(!enough || !paper.onHand.size, "refused although there is enough");
      if (isNew && done) assert.ok(enough, "promised although there is not enough");
      if (done) paper.took(orderId, done);
    }

    async function deliver(sku: string, locationId: string, delta: bigint): Promise<void> {
      if (delta === 0n) return;
      const place = `${sku}@${locationId}`;
      const onHand = paper.onHand.get(place) ?? 0n;
      const done = await attempt(shop.deliver(sku, `${locationId}:${delta}`).then(() => true));
      assert.equal(done !== undefined, onHand + delta >= paper.reservedAt(place));
      if (done !== undefined) paper.onHand.set(place, onHand + delta);
    }

    async function compare(step: number): Promise<void> {
      assert.equal(await levels(test.database), String(paper), `after ${step} steps`);
      await requireExplained(test.database);
    }
  });
});

describe("orders that pack what was confirmed", () => {
  let test: TestDatabase;
  before(async () => {
    test = await inventoryDatabase();
  });
  after(() => test[Symbol.asyncDispose]());

  it("leave nothing reserved and take no more than there was, however late and often they ask, and however they end", async () => {
    const { database } = test;
    const replica = await openReplica(test, "replica-1");
    const shops = [new Shop(database), new Shop(replica)];
    const random = numbers(20_261_130);
    const shop = () => shops[random(2)] as Shop;
    const delivered = new Map<string, bigint>();
    const left = new Map<string, bigint>();
    const ends = new Map<string, number>();
    for (let round = 0; round < 20; round += 1) {
      for (const sku of skus) {
        await add(sku, locations[random(3)] as string, BigInt(random(8)));
        await add(sku, locations[random(3)] as string, BigInt(random(3)));
      }
      const orders = Array.from({ length: 20 }, () => order(newId()));
      await Promise.all(orders);
      await requireExplained(database);
      assert.deepEqual(await database.query("select from stock_level where reserved <> 0"), [], `round ${round}`);
    }
    for (const [place, amount] of delivered) delivered.set(place, amount - (left.get(place) ?? 0n));
    const onHand = [...delivered].sort(([one], [other]) => (one < other ? -1 : 1));
    assert.equal(await levels(database), onHand.map(([place, amount]) => `${place} ${amount}/0`).join(", "));
    for (const end of ["refused", "given up", "hold expired", "moved", "packed"]) {
      assert.ok((ends.get(end) ?? 0) > 0, `no order was ${end}: ${JSON.stringify([...ends])}`);
    }
    await replica.close();

    async function add(sku: string, locationId: string, amount: bigint): Promise<void> {
      if (amount === 0n) return;
      const place = `${sku}@${locationId}`;
      await shop().deliver(sku, `${locationId}:${amount}`);
      delivered.set(place, (delivered.get(place) ?? 0n) + amount);
    }

    async function letTimePass(): Promise<void> {
      await pass(database, random(6) * minute);
      await shop().stock.expire();
    }

    async function order(orderId: string): Promise<void> {
      const wanted = skus.filter(() => random(2) === 0).map((sku) => `${sku}:${1 + random(3)}`);
      const end = await checkout(orderId, wanted.length > 0 ? wanted.join(" ") : "a:1");
      ends.set(end, (ends.get(end) ?? 0) + 1);
    }

    /** Says how it ended. */
    async function checkout(orderId: string, lines: string): Promise<string> {
      for (let others = random(8); others > 0; others -= 1) await letTimePass();
      const held = await attempt(shop().reserve(lines, orderId, orderId));
      const gaveUp = random(4) === 0;
      for (let patience = random(4); patience > 0; patience -= 1) await letTimePass();
      const firm = held && !gaveUp ? await attempt(twice({ kind: "confirm", orderId })) : undefined;
      if (!firm) {
        await twice({ kind: "release", orderId });
        await assert.rejects(shop().reserve(lines, orderId), { reasonName: "RESERVATION_ENDED" });
        return held ? (gaveUp ? "given up" : "hold expired") : "refused";
      }
      await pack(orderId, firm.allocations);
      return held && sameParts(held.allocations, firm.allocations) ? "packed" : "moved";
    }

    async function pack(orderId: string, parts: readonly Allocation[]): Promise<void> {
      for (const locationId of new Set(parts.map((part) => part.locationId))) {
        const kind = random(3) === 0 ? "release" : "commit";
        await twice({ kind, orderId, locationId });
        if (kind === "release") continue;
        for (const { sku, quantity } of parts.filter((part) => part.locationId === locationId)) {
          const place = `${sku}@${locationId}`;
          left.set(place, (left.get(place) ?? 0n) + quantity);
        }
      }
    }

    /** Asks two replicas with the same request id, at once or one after the other: the answers are the same. */
    async function twice(command: Exclude<StockCommand, { kind: "adjust" }>): Promise<Reservation> {
      const requestId = `${command.orderId}:${command.kind}:${"locationId" in command ? command.locationId : ""}`;
      const first = shop().do(command, requestId);
      if (random(2) === 0) await attempt(first);
      const second = shop().do(command, requestId);
      const [one, other] = await Promise.allSettled([first, second]);
      if (one.status === "rejected") return second;
      if (other.status === "fulfilled") assert.deepEqual(one.value, other.value);
      return one.value;
    }
  });
});

function sameParts(some: readonly Allocation[], others: readonly Allocation[]): boolean {
  const show = (part: Allocation) => `${part.sku}@${part.locationId}:${part.quantity}`;
  return some.map(show).join() === others.map(show).join();
}

/** Undefined when it is refused. */
async function attempt<T>(work: Promise<T>): Promise<T | undefined> {
  try {
    return await work;
  } catch (error) {
    if (error instanceof Error && "reasonName" in error) return undefined;
    throw error;
  }
}

/** Repeatable numbers below a bound. */
function numbers(seed: number): (bound: number) => number {
  let state = seed;
  return (bound) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % bound;
  };
}
