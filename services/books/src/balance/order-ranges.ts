import { type AccountedService, accountedServices } from "../../../services.ts";
import type { Reader } from "./ask.ts";
import { AuditComparison } from "./audit.ts";
import { CarriedOrders, readOwed, readWaiting } from "./carried.ts";
import type { CarrierReader } from "./carrier-reader.ts";
import type { Finding } from "./finding.ts";
import { readMoney } from "./money.ts";
import { OrderComparison, readEnded } from "./orders.ts";
import { Parcels } from "./parcels.ts";
import { endOfPage, type IdRange, type PageColumn, pagesOf } from "./range.ts";
import { mergeRests, type Rest, readRests } from "./rest.ts";
import { OrdersInPart, readMissing } from "./shortages.ts";
import { StockOfOrders } from "./stock.ts";
import { readQueued } from "./turns.ts";

/** A connection to each database. */
export type Readers = Readonly<Record<AccountedService, Reader>>;

/** Where a service keeps what it knows of orders. */
const ordersOf: Readonly<Record<AccountedService, PageColumn>> = {
  orders: { table: "customer_order", column: "order_id" },
  inventory: { table: "reservation", column: "order_id" },
  payments: { table: "payment", column: "order_id" },
  shipping: { table: "shipment", column: "order_id" },
};

/** What all services know of the same orders, range by range. */
export class OrderRanges {
  readonly #readers: Readers;
  readonly #carrier: CarrierReader;
  readonly #stock = new StockOfOrders();
  readonly #parcels = new Parcels();
  readonly #orders = new OrderComparison();
  readonly #carried = new CarriedOrders();
  readonly #inPart = new OrdersInPart();
  readonly #audits: Readonly<Record<AccountedService, AuditComparison>>;
  /** Where the orders that have not come to their end stand; the longest first. */
  rests: readonly Rest[] = [];

  constructor(readers: Readers, carrier: CarrierReader) {
    this.#readers = readers;
    this.#carrier = carrier;
    const audits = accountedServices.map((service) => [service, new AuditComparison(service)] as const);
    this.#audits = Object.fromEntries(audits) as Record<AccountedService, AuditComparison>;
  }

  get findings(): Finding[] {
    const audits = accountedServices.map((service) => this.#audits[service].finding);
    const own = [this.#stock, this.#parcels].map(({ finding }) => finding);
    return [...own, ...this.#orders.findings, this.#inPart.finding, this.#carried.finding, ...audits];
  }

  /** Orders that have not come to their end. */
  get underway(): number {
    return countOf(this.rests);
  }

  /**
   * The ranges that the ids fall into. Each ends where the first service has a page full, so none has more than that in it,
   * whatever the others lack.
   */
  rangesOf(ids: IdRange, size: number): AsyncGenerator<IdRange> {
    return pagesOf(ids, async (left) => {
      const ends = accountedServices.map((service) =>
        this.#readers[service].moment((ask) => endOfPage(ask, ordersOf[service], { ...left, size })),
      );
      return (await Promise.all(ends)).filter((end) => end !== undefined).toSorted()[0];
    });
  }

  /**
   * The order of the reads makes one moment of four. Ended orders are read first: what belongs to them was written before, so
   * every later look must see it. Whether an order is there is asked last: it is durable before anything is done for it.
   *
   * @returns how many orders there are in the range
   */
  async compare(range: IdRange): Promise<number> {
    const { orders } = this.#readers;
    const { ended, before } = await orders.moment(async (ask) => ({
      ended: await readEnded(ask, range),
      before: await readWaiting(ask, range),
    }));
    const { stock, queued, missing, money, parcels, owed } = await this.#readOthers(range);
    await this.#parcels.compare(this.#carrier);
    return await orders.moment(async (ask) => {
      await this.#orders.compare(ask, { ended, stock, money, parcels, queued, range });
      await this.#inPart.compare(ask, { ended, missing, range });
      await this.#audits.orders.compare(ask, range);
      const rests = await readRests(ask, range);
      this.rests = mergeRests([...this.rests, ...rests]);
      const underway = countOf(rests);
      this.#carried.compare({ before, after: await readWaiting(ask, range), owed, queued, underway });
      return ended.length + underway;
    });
  }

  async #readOthers(range: IdRange) {
    const { inventory, payments, shipping } = this.#readers;
    const [{ stock, queued, missing }, money, { parcels, owed }] = await Promise.all([
      inventory.moment(async (ask) => {
        await this.#audits.inventory.compare(ask, range);
        const ofStock = await this.#stock.compare(ask, range);
        return { stock: ofStock, queued: await readQueued(ask, range), missing: await readMissing(ask, range) };
      }),
      payments.moment(async (ask) => {
        await this.#audits.payments.compare(ask, range);
        return await readMoney(ask, range);
      }),
      shipping.moment(async (ask) => {
        await this.#audits.shipping.compare(ask, range);
        return { parcels: await this.#parcels.read(ask, range), owed: await readOwed(ask, range) };
      }),
    ]);
    return { stock, queued, missing, money, parcels, owed };
  }
}

function countOf(rests: readonly Rest[]): number {
  return rests.reduce((sum, { orders }) => sum + orders, 0);
}
