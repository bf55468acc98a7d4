import { Migration } from "@mikro-orm/migrations";
import { personalKeyTable } from "#platform/personal/personal-key.ts";

/**
 * Where sealed personal data lies: contacts in columns of their own, addresses as text in the column in which an object is plain. Nothing
 * is sealed here, and what a process of the version before writes is plain: it is sealed by and by.
 *
 * The way back wants everything plain, which only a process with the keys can do: `PERSONAL_DATA=plain`.
 */
export class Personal extends Migration {
  override up(): void {
    for (const sql of [...personalKeyTable("orders", "the customer"), ...columns, ...index]) this.addSql(sql);
  }

  override down(): void {
    this.addSql(`do $$ begin
      if exists (select from customer where contact is not null or sealed_phone is not null)
        or exists (select from customer_order where contact is not null) then
        raise exception 'personal data is sealed: run the service with PERSONAL_DATA=plain until none is, then migrate down';
      end if;
    end $$`);
    this.addSql("drop table customer_email");
    this.addSql(`alter table customer drop column contact, drop column sealed_phone,
      alter column given_name set not null, alter column family_name set not null, alter column email set not null`);
    this.addSql(`alter table customer_order drop column contact,
      alter column given_name set not null, alter column family_name set not null, alter column email set not null`);
    this.addSql("drop table personal_key");
  }
}

const columns = [
  `alter table customer
    add column contact text,
    add column sealed_phone text,
    alter column given_name drop not null,
    alter column family_name drop not null,
    alter column email drop not null`,
  "comment on column customer.contact is 'sealed: names and e-mail address, which are null then'",
  "comment on column customer.sealed_phone is 'sealed: the telephone number, which is empty then'",
  `alter table customer_order
    add column contact text,
    alter column given_name drop not null,
    alter column family_name drop not null,
    alter column email drop not null`,
  "comment on column customer_order.contact is 'sealed, as the customer had it: names and e-mail address, which are null then'",
  "comment on column customer_order.shipping_address is 'an object, or a text: sealed'",
];

const index = [
  `create table customer_email (
    email_hash bytea not null,
    customer_id uuid not null,
    constraint customer_email_pkey primary key (email_hash),
    constraint customer_email_customer_key unique (customer_id)
  )`,
  "comment on table customer_email is 'who is found by an e-mail address that is sealed'",
  "comment on column customer_email.email_hash is 'by the key of nobody in personal_key'",
  "grant select, insert, update, delete on customer_email to orders",
];
