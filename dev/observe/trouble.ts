import { isObserver } from "../stack/layout.ts";

/** Levels that a person should see at once; everything is in the logs. */
const troubling = ["error", "fatal"];

/**
 * What a person should read of a line that a component wrote: the message of an error line, or a line that is no JSON, as
 * when a process dies early. Undefined for everything else.
 */
export function troubleIn(component: string, line: string): string | undefined {
  if (isObserver(component)) return undefined;
  const entry = parsed(line);
  if (entry === undefined) return line;
  if (!troubling.includes(String(entry["log.level"]))) return undefined;
  return String(entry.message);
}

function parsed(line: string): Readonly<Record<string, unknown>> | undefined {
  if (!line.startsWith("{")) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}
