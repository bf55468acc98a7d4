import { childEnvironment } from "../config.ts";
import type { ProgramSpec } from "../process/guard-protocol.ts";
import { httpProbe } from "../process/readiness.ts";
import type { Watchable } from "./elk.ts";

/** What a mail server listens on, on this machine only. */
export interface MailPlace {
  /** SMTP. */
  readonly mail: number;
  /** What came, as JSON. */
  readonly mailPage: number;
}

/** A mail server that delivers nothing, and shows what came. */
export function mailProgram(common: Pick<ProgramSpec, "name" | "cwd" | "logFile">, place: MailPlace): Watchable {
  const spec: ProgramSpec = {
    ...common,
    command: process.execPath,
    args: ["dev/mail/main.ts", String(place.mail), String(place.mailPage)],
    env: childEnvironment({}),
    stopSignal: "SIGTERM",
    stopOrder: 2,
  };
  return { spec, probe: httpProbe(`http://127.0.0.1:${place.mailPage}/`) };
}
