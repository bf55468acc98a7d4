import { replay } from "./replay.ts";

const hourMs = 3_600_000;

/** Prints what happened in the last hour: `npm run example -- events [nats://127.0.0.1:4222]`. */
export async function run(): Promise<void> {
  const [server = "nats://127.0.0.1:4222"] = process.argv.slice(3);
  const seen = new Set<string>();
  for await (const { id, type, subject, time, data } of replay({ server, since: new Date(Date.now() - hourMs) })) {
    // An event that the relay was not sure about comes again under its id.
    if (seen.has(id)) continue;
    seen.add(id);
    console.log(time, type, subject, JSON.stringify(data));
  }
  console.log(`${seen.size} events in the last hour`);
}
