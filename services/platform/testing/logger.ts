import { PassThrough } from "node:stream";
import { createLogger, type Logger } from "#platform/log/logger.ts";

/** A line as it was written, in Elastic Common Schema. */
export type LogLine = Readonly<Record<string, unknown>> & { readonly message: string };

/** A logger and what was written with it. */
export interface KeptLog {
  readonly logger: Logger;
  /** Everything that was written, as text. */
  text(): string;
  /** Every line that was written. */
  lines(): LogLine[];
}

/** A logger whose lines are kept, from `debug` on. */
export function keptLog(name = "test"): KeptLog {
  const stream = new PassThrough();
  const chunks: string[] = [];
  stream.on("data", (chunk: Buffer) => chunks.push(chunk.toString()));
  const { logger } = createLogger({ name, level: "debug", format: "json", stream });
  const text = () => chunks.join("");
  const lines = () =>
    text()
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as LogLine);
  return { logger, text, lines };
}

/** A logger whose lines nobody reads. */
export function quietLogger(): Logger {
  return createLogger({ name: "test", level: "error", format: "json", stream: new PassThrough().resume() }).logger;
}
