import type { CustomerRecord } from "#gen/shop/orders/v1/import_record_pb.js";
import { type AuditOrigin, auditEvents, insertAuditEvents } from "#platform/audit/audit-entry.ts";
import { writtenColumns } from "#platform/database/columns.ts";
import type { SqlText } from "#platform/database/sql-text.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import { decodeId, encodeId, newId } from "#platform/id.ts";
import type { ImportRecord, Refusal } from "#platform/import/import-record.ts";
import type { Outcome } from "#platform/import/import-run.ts";
import type { BlindIndex } from "#platform/personal/blind-index.ts";
import type { PersonalData } from "#platform/personal/personal-data.ts";
import { type PersonalKeyRow, personalKeyColumns } from "#platform/personal/personal-key.ts";
import { folded } from "../customer/customer.repository.ts";
import { type PersonColumns, protectPerson } from "../customer/customer-person.ts";
import { timeOf } from "./record-times.ts";

/** A customer as it is inserted. */
interface InsertedCustomer extends PersonColumns {
  readonly customerId: string;
  readonly externalId: string;
  /** In hexadecimal; null when the address lies plain. */
  readonly emailHash: string | null;
  readonly createTime: Date;
}

const inserted = writtenColumns<InsertedCustomer>({
  customerId: "uuid",
  externalId: "text",
  givenName: "text",
  familyName: "text",
  email: "text",
  phone: "text",
  contact: "text",
  sealedPhone: "text",
  emailHash: "text",
  createTime: "timestamptz",
});
const person = writtenColumns<PersonColumns>({
  givenName: "text",
  familyName: "text",
  email: "text",
  phone: "text",
  contact: "text",
  sealedPhone: "text",
});

/** $1 source, $2 external ids. */
const findKnown: SqlText = {
  name: "customer_import_known",
  text: `select external_id as "externalId" from imported_customer where source = $1 and external_id = any($2::text[])`,
};

/** $1 hashes of addresses, $2 the addresses in small letters: those that somebody has, as they were given. */
const findTaken: SqlText = {
  name: "customer_import_taken",
  text: `select encode(email_hash, 'hex') as taken from customer_email where email_hash = any($1::bytea[])
    union all select lower(email) from customer where lower(email) = any($2::text[])`,
};

/** The time of the import is that of the last change: who has no orders yet, because they are imported after him, is not forgotten. */
const insertCustomers: SqlText = {
  name: "customer_import",
  text: `with input as materialized (
    select * from json_to_recordset($1::json) as i(${inserted.typed})
  ), keyed as (
    insert into personal_key (${personalKeyColumns.names}, subject)
    select ${personalKeyColumns.names}, subject from json_to_recordset($2::json) as k(subject uuid, ${personalKeyColumns.typed})
  ), addressed as (
    insert into customer_email (email_hash, customer_id)
    select decode(email_hash, 'hex'), customer_id from input where email_hash is not null order by email_hash
  ), mapped as (
    insert into imported_customer (source, external_id, customer_id) select $3, external_id, customer_id from input
  ), audited as (${insertAuditEvents("$4")})
  insert into customer (customer_id, ${person.names}, create_time, update_time)
  select customer_id, ${person.names}, create_time, now() from input`,
};

const taken: Refusal = {
  reason: "EMAIL_TAKEN",
  field: "email",
  message:
    "another customer has this e-mail address: name that one in the orders, or give this one an address of its own",
};

/** Writes customers of another shop as if they had registered here, long ago. */
export class ImportedCustomers {
  readonly #source: string;
  readonly #personal: PersonalData;
  readonly #index: BlindIndex | undefined;
  readonly #origin: AuditOrigin;

  /** @param index finds who is sealed; ready */
  constructor(
    source: string,
    personal: PersonalData,
    { index, origin }: { readonly index: BlindIndex | undefined; readonly origin: AuditOrigin },
  ) {
    this.#source = source;
    this.#personal = personal;
    this.#index = index;
    this.#origin = origin;
  }

  /** For each record what came of it. */
  async write(tx: Transaction, records: readonly ImportRecord<CustomerRecord>[]): Promise<Outcome[]> {
    if (records.length === 0) return [];
    const ids = records.map(({ externalId }) => externalId);
    const rows = await tx.query<{ externalId: string }>(findKnown, [this.#source, ids]);
    const known = new Set(rows.map(({ externalId }) => externalId));
    const addresses = await this.#takenAddresses(tx, records);
    const fresh: ImportRecord<CustomerRecord>[] = [];
    const outcomes = records.map((record): Outcome => {
      if (known.has(record.externalId)) return "known";
      const address = folded(record.message.email);
      if (addresses.has(address)) return taken;
      known.add(record.externalId);
      addresses.add(address);
      fresh.push(record);
      return "imported";
    });
    await this.#insert(tx, fresh);
    return outcomes;
  }

  /** Those of the records that somebody has. */
  async #takenAddresses(tx: Transaction, records: readonly ImportRecord<CustomerRecord>[]): Promise<Set<string>> {
    const byForm = new Map<string, string>();
    const hashes: Buffer[] = [];
    const letters: string[] = [];
    for (const { message } of records) {
      const address = folded(message.email);
      const hash = await this.#index?.hash(address);
      if (hash) hashes.push(hash);
      if (hash) byForm.set(hash.toString("hex"), address);
      letters.push(message.email.toLowerCase());
      byForm.set(message.email.toLowerCase(), address);
    }
    const rows = await tx.query<{ taken: string }>(findTaken, [hashes, letters]);
    return new Set(rows.map((row) => byForm.get(row.taken) ?? row.taken));
  }

  async #insert(tx: Transaction, fresh: readonly ImportRecord<CustomerRecord>[]): Promise<void> {
    if (fresh.length === 0) return;
    const keys: (PersonalKeyRow & { readonly subject: string })[] = [];
    const rows: InsertedCustomer[] = [];
    for (const { externalId, message } of fresh) {
      const createTime = timeOf(message.createTime);
      const customerId = decodeId(newId(undefined, createTime.getTime()));
      const { givenName, familyName, email, phone } = message;
      const sealed = await protectPerson(this.#personal, customerId, { givenName, familyName, email, phone });
      keys.push(...sealed.keys.map((key) => ({ ...key, subject: customerId })));
      const hash = this.#personal.seals ? await this.#index?.hash(folded(email)) : undefined;
      rows.push({ customerId, externalId, ...sealed.columns, emailHash: hash?.toString("hex") ?? null, createTime });
    }
    const effects = rows.map(({ customerId }) => ({
      action: "customer.imported",
      subject: encodeId(customerId),
      details: { revision: "1" },
      origin: this.#origin,
    }));
    const texts = [JSON.stringify(rows.map(toColumns)), JSON.stringify(keys), this.#source, auditEvents(effects)];
    await tx.query(insertCustomers, texts);
  }
}

function toColumns(row: InsertedCustomer) {
  return {
    customer_id: row.customerId,
    external_id: row.externalId,
    given_name: row.givenName,
    family_name: row.familyName,
    email: row.email,
    phone: row.phone,
    contact: row.contact,
    sealed_phone: row.sealedPhone,
    email_hash: row.emailHash,
    create_time: row.createTime,
  };
}
