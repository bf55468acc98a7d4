// Hands to the broker what there is, says so, and then hangs before the cursor is moved: to be killed.
import { setTimeout as pause } from "node:timers/promises";
import { Database } from "#platform/database/database.ts";
import { toCloudEvent } from "#platform/events/cloud-event.ts";
import { isTold } from "#platform/events/event-types.ts";
import { EventsRepository } from "#platform/events/events.repository.ts";
import { NatsBroker } from "#platform/events/nats-broker.ts";
import { stream, types } from "./setup.ts";

const [url = "", server = ""] = process.argv.slice(2);
const database = await Database.open({ url, name: "relay-process", entities: [] });
const broker = new NatsBroker({ servers: [server], name: "killed", stream });
await new EventsRepository(database).relay(100, async (events) => {
  const delivered = await broker.deliver(
    events.flatMap((event) => {
      const type = types[event.action];
      if (!type || !isTold(type)) return [];
      const about = { service: "platform", format: "json" } as const;
      return [{ address: `ordermesh.platform.${event.action}`, event: toCloudEvent(event, type, about) }];
    }),
  );
  process.stdout.write(`${delivered.arrived}\n`);
  await pause(60_000);
  return delivered;
});
