import { IndexMigration } from "#platform/database/index-migration.ts";

/** Tokens that were sent to an address that is sealed. */
export class MailTokenIndex extends IndexMigration {
  protected override readonly indexes = {
    mail_token_email_hash_idx: "mail_token (email_hash, create_time) where email_hash is not null",
  };
}
