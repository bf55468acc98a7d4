import { Migration } from "@mikro-orm/migrations";

/** The last episode that has asked about a reservation. No index has it: a row that changes stays in its place. */
export class Fence extends Migration {
  override up(): void {
    this.addSql("alter table reservation add column fence int not null default 0");
    this.addSql(
      "comment on column reservation.fence is 'the highest number of an episode of the order that has asked about it; 0: none had one'",
    );
  }

  override down(): void {
    this.addSql("alter table reservation drop column fence");
  }
}
