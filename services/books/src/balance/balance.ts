import { encodeId } from "#platform/id.ts";
import { type AccountedService, accountedServices } from "../../../services.ts";
import { Reader } from "./ask.ts";
import { type CarrierList, CarrierReader } from "./carrier-reader.ts";
import type { Finding } from "./finding.ts";
import { type GatewayList, GatewayReader } from "./gateway-reader.ts";
import { checkLevels, readSettled } from "./levels.ts";
import { checkMoney } from "./money.ts";
import { OrderRanges, type Readers } from "./order-ranges.ts";
import { type Outside, OutsideTally } from "./outside.ts";
import { checkCarrier } from "./parcels.ts";
import type { Onward } from "./progress.ts";
import { allIds, type IdRange } from "./range.ts";
import type { Rest } from "./rest.ts";
import { checkTurns } from "./turns.ts";

/** The state of stock and money. */
export interface Balance {
  readonly findings: readonly Finding[];
  /** Orders that have not come to their end; what they hold is theirs by right. */
  readonly underway: number;
  /** Where these stand, and for how long; the longest first. */
  readonly rests: readonly Rest[];
  /** What was done at the gateway without us: no fault of ours. */
  readonly outside: Outside;
  readonly inBalance: boolean;
  /** How many orders were compared. */
  readonly orders: number;
  /** Whether these were all, and what belongs to no single order was compared, too. */
  readonly isWhole: boolean;
  readonly effort: Effort;
}

/** What was asked of the databases, of gateway and carrier, and of this process; neither grows with the number of orders. */
export interface Effort {
  /** The most rows of one database, or things that gateway or carrier did, that were read, and held in memory, at a time. */
  readonly mostRows: number;
  /** How long one moment of a database was looked at, at most, in milliseconds: so long it could not be vacuumed. */
  readonly longestMs: number;
}

/** Whom the books ask. */
export interface BooksSources {
  /** A connection to each service's database that may read what is compared. */
  readonly urls: Readonly<Record<AccountedService, string>>;
  /** What the card gateway did. */
  readonly gateway: GatewayList;
  /** What the carrier has. */
  readonly carrier: CarrierList;
}

/** What is compared, and how. */
export interface BalanceOptions {
  /** Only orders, payments and operations with these ids; everything by default. */
  readonly ids?: IdRange | undefined;
  /** How many rows of a table are looked at together; default 2,000. */
  readonly pageSize?: number;
  readonly onProgress?: Onward;
}

/**
 * Compares what the services have written down, each with itself and with the others, and with what the outside world
 * remembers. May run at any time: what has not come to its end is only held to what always holds.
 *
 * Goes from range to range of ids. What each moment shows must hold by itself; only the stock of an article has to be summed over all.
 * @throws BooksError when a database, or the connector of gateway or carrier, cannot be asked
 */
export async function takeBalance(
  { urls, gateway, carrier }: BooksSources,
  options: BalanceOptions = {},
): Promise<Balance> {
  await using opened = new AsyncDisposableStack();
  const readers: Partial<Record<AccountedService, Reader>> = {};
  for (const service of accountedServices) readers[service] = opened.use(await Reader.open(urls[service]));
  const world = { gateway: new GatewayReader(gateway), carrier: new CarrierReader(carrier) };
  return await compare(readers as Readers, world, options);
}

/** Those of the world outside that are asked. */
interface World {
  readonly gateway: GatewayReader;
  readonly carrier: CarrierReader;
}

async function compare(readers: Readers, { gateway, carrier }: World, options: BalanceOptions): Promise<Balance> {
  const { ids = allIds, pageSize = 2_000, onProgress = () => undefined } = options;
  const isWhole = ids === allIds;
  const settled = await readers.inventory.moment(readSettled);
  const ranges = new OrderRanges(readers, carrier);
  const of = isWhole ? await readers.orders.estimate("customer_order") : undefined;
  let orders = 0;
  for await (const range of ranges.rangesOf(ids, pageSize)) {
    orders += await ranges.compare(range);
    onProgress({ what: "orders", done: orders, of });
  }
  const page = { pageSize, onProgress };
  const tally = new OutsideTally();
  const onOutside = tally.add.bind(tally);
  const money = await checkMoney(readers.payments, gateway, { ids, ...page, onOutside });
  const others = isWhole
    ? [
        await checkCarrier(readers.shipping, carrier, page),
        ...(await checkLevels(readers.inventory, settled, page)),
        await checkTurns(readers.inventory),
      ]
    : [];
  const findings = [...ranges.findings, ...money, ...others].map(inPublicTerms);
  return {
    findings,
    underway: ranges.underway,
    rests: ranges.rests,
    outside: tally.outside,
    inBalance: findings.every(({ wrong }) => wrong.length === 0),
    orders,
    isWhole,
    effort: effortOf(Object.values(readers), { gateway, carrier }),
  };
}

function effortOf(readers: readonly Reader[], { gateway, carrier }: World): Effort {
  return {
    mostRows: Math.max(gateway.mostRecords, carrier.mostParcels, ...readers.map(({ mostRows }) => mostRows)),
    longestMs: Math.max(...readers.map(({ longestMs }) => longestMs)),
  };
}

/** Ids as the API shows them, so that they can be asked for. */
function inPublicTerms({ checked, wrong }: Finding): Finding {
  const uuid = /\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/g;
  return { checked, wrong: wrong.map((sentence) => sentence.replace(uuid, encodeId)) };
}
