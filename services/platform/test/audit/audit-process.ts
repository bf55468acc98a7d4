// Publishes what there is to standard output and then hangs, before the cursor is moved: to be killed.
import { AuditRepository } from "#platform/audit/audit.repository.ts";
import { AuditStream } from "#platform/audit/audit-stream.ts";
import { Database } from "#platform/database/database.ts";

const database = await Database.open({ url: process.argv[2] ?? "", name: "audit-process", entities: [] });
const stream = new AuditStream({ service: "platform", format: "json" });
await new AuditRepository(database).publish(100, async (events) => {
  await stream.write(events);
  await new Promise((resolve) => setTimeout(resolve, 60_000));
});
