import type { StockRecord } from "#gen/shop/inventory/v1/import_record_pb.js";
import { type AuditOrigin, auditEvents, auditOrigin, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { arrayColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import type { ImportRecord, Refusal } from "#platform/import/import-record.ts";
import type { Importer, Outcome } from "#platform/import/import-run.ts";

/** Stock that comes from elsewhere. */
interface Arrival {
  readonly sku: string;
  readonly locationId: string;
  readonly onHand: bigint;
}

const arrivals = arrayColumns<Arrival>({ sku: "text", locationId: "text", onHand: "bigint" }, 3);

/** $1 source, $2 SKUs and $3 locations. */
const findKnown: SqlText = {
  name: "stock_import_known",
  text: `select i.sku, i.location_id as "locationId", i.on_hand as "onHand"
    from unnest($2::text[], $3::text[]) as w(sku, location_id) cross join lateral (
      select sku, location_id, on_hand from imported_stock
      where source = $1 and imported_stock.sku = w.sku and imported_stock.location_id = w.location_id limit 1
    ) i`,
};

/** The events of levels that may be low no more, and when they were low. */
const crossing = `$${arrivals.next}`;
const lowAt = `$${arrivals.next + 1}::bigint`;
const ofLevel = "join level on level.sku || '@' || level.location_id = a.subject";

/** $1 source, $2 audit events. Levels are locked in the order in which everybody locks them. */
const insertArrivals: SqlText = {
  name: "stock_import",
  text: `with input as materialized (
    select * from unnest(${arrivals.arrays}) as i(${arrivals.names}) order by sku, location_id
  ), level as (
    insert into stock_level as l (sku, location_id, on_hand, update_time)
    select sku, location_id, on_hand, now() from input
    on conflict (sku, location_id) do update set on_hand = l.on_hand + excluded.on_hand, update_time = now()
    returning l.sku, l.location_id, l.on_hand - l.reserved as available
  ), movement as (
    insert into stock_movement (sku, location_id, kind, on_hand_delta, reserved_delta, reason)
    select sku, location_id, 'adjustment', on_hand, 0, 'imported: ' || $1 from input
  ), audited as (${insertAuditEvents("$2", {
    // Behind the lock of its level, so that it comes after what was done to that before.
    join: ofLevel,
  })}), crossed as (${insertAuditEvents(crossing, {
    join: `${ofLevel} join input using (sku, location_id)
      where level.available > ${lowAt} and level.available - input.on_hand <= ${lowAt}`,
    details: "a.details || jsonb_build_object('available', level.available::text)",
  })})
  insert into imported_stock (source, sku, location_id, on_hand) select $1, sku, location_id, on_hand from input`,
};

/**
 * Takes stock that another shop brings along, once for each article and location.
 *
 * @param lowAt a level is low when no more than this is available: what rises above it is an event
 */
export function stockImporter(source: string, lowAt = 0): Importer {
  const origin = auditOrigin(`import:${source}`, "service:inventory");
  const stock = new ImportedStock(source, origin, lowAt);
  return {
    judge: () => undefined,
    write: (tx, records) => stock.write(tx, records as readonly ImportRecord<StockRecord>[]),
  };
}

class ImportedStock {
  readonly #source: string;
  readonly #origin: AuditOrigin;
  readonly #lowAt: number;

  constructor(source: string, origin: AuditOrigin, lowAt: number) {
    this.#source = source;
    this.#origin = origin;
    this.#lowAt = lowAt;
  }

  async write(tx: Transaction, records: readonly ImportRecord<StockRecord>[]): Promise<Outcome[]> {
    const wanted = records.map(({ message: { sku, locationId, onHand } }): Arrival => ({ sku, locationId, onHand }));
    const rows = await tx.query<Arrival>(findKnown, [
      this.#source,
      wanted.map(({ sku }) => sku),
      wanted.map(({ locationId }) => locationId),
    ]);
    const known = new Map(rows.map((row) => [levelOf(row), row.onHand]));
    const fresh: Arrival[] = [];
    const outcomes = wanted.map((arrival): Outcome => {
      const before = known.get(levelOf(arrival));
      if (before !== undefined) return before === arrival.onHand ? "known" : otherContent(arrival);
      known.set(levelOf(arrival), arrival.onHand);
      fresh.push(arrival);
      return "imported";
    });
    if (fresh.length > 0) {
      const values = [this.#source, this.#audit(fresh), ...arrivals.values(fresh), this.#crossings(fresh), this.#lowAt];
      await tx.query(insertArrivals, values);
    }
    return outcomes;
  }

  #audit(fresh: readonly Arrival[]): string {
    const entries = fresh.map((arrival) => {
      const subject = levelOf(arrival);
      const details = { [subject]: String(arrival.onHand) };
      return { action: "stock.imported", subject, details, origin: this.#origin };
    });
    return auditEvents(entries);
  }

  /** Of which the statement writes those that are some. */
  #crossings(fresh: readonly Arrival[]): string {
    const entries = fresh.map((arrival) => {
      const { sku, locationId: location } = arrival;
      const details = { sku, location, threshold: String(this.#lowAt) };
      return { action: "stock.available", subject: levelOf(arrival), details, origin: this.#origin };
    });
    return auditEvents(entries);
  }
}

/** As the audit log names it. */
export function levelOf({ sku, locationId }: Pick<Arrival, "sku" | "locationId">): string {
  return `${sku}@${locationId}`;
}

function otherContent(arrival: Arrival): Refusal {
  const message = `the stock of ${levelOf(arrival)} was imported before, and was another one: adjust it instead`;
  return { reason: "OTHER_CONTENT", field: "onHand", message };
}
