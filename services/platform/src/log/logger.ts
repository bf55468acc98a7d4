import { ecsFormat } from "@elastic/ecs-winston-format";
import winston from "winston";
import { requestContext } from "#platform/context.ts";
import { logLines } from "#platform/metrics/process-metrics.ts";
import { redaction } from "#platform/redact/redact.ts";
import { activeSpanIds } from "#platform/trace/spans.ts";
import { LogOutput } from "./log-output.ts";
import { RepeatedLines, repeatedField, sampling } from "./log-sampling.ts";

/** Writes log lines: `logger.info("message", { "order.id": id })`. Errors go under the key `err`. */
export type Logger = winston.Logger;

/** What {@link createLogger} needs to know. */
export interface LoggerOptions {
  /** `service.name` of every line. */
  name: string;
  level: "error" | "warn" | "info" | "debug";
  /** `json` is Elastic Common Schema; `pretty` is coloured text. Pretty on a terminal unless given. */
  format?: "json" | "pretty" | undefined;
  /** Where the lines go; standard output unless given. */
  stream?: NodeJS.WritableStream;
}

/** Puts on a line what it is about, unless it says so itself; before repeated lines are looked for. */
const withSubject = winston.format((info) => {
  const { subject } = requestContext();
  for (const name in subject) if (subject[name]) info[name] ??= subject[name];
  return info;
});

/** Puts the ids of the running call on a line. */
const withCall = winston.format((info) => {
  const { traceId, requestId, userId, caller } = requestContext();
  const span = activeSpanIds();
  if (span) info["span.id"] = span.spanId;
  const trace = span?.traceId ?? traceId;
  if (trace) info["trace.id"] = trace;
  if (requestId) info["http.request.id"] = requestId;
  if (userId) info["user.id"] = userId;
  if (caller) info["client.user.id"] = caller.subject;
  return info;
});

const hidden = new Set([
  "level",
  "message",
  "timestamp",
  "err",
  "service.name",
  "trace.id",
  "span.id",
  "http.request.id",
  "user.id",
  "client.user.id",
]);

function prettyLine(info: winston.Logform.TransformableInfo): string {
  const fields = Object.entries(info).filter(([name]) => !hidden.has(name));
  const text = fields.map(([name, value]) => ` ${name}=${typeof value === "object" ? JSON.stringify(value) : value}`);
  const stack = info.err instanceof Error ? `\n${describe(info.err)}` : "";
  return `${info.timestamp} ${info.level} ${info["service.name"]} ${info.message}${text.join("")}${stack}`;
}

/** The stack of an error and of its causes. */
export function describe(error: Error): string {
  const lines: string[] = [];
  let next: unknown = error;
  for (; next instanceof Error && lines.length < 8; next = next.cause) lines.push(next.stack ?? String(next));
  return lines.join("\ncaused by ");
}

/** An error as ECS has it. There is one stack trace: those of the causes are put into it. */
const withError = winston.format((info) => {
  if (!(info.err instanceof Error)) return info;
  const { err, ...rest } = info;
  return { ...rest, error: { type: err.constructor.name, message: err.message, stack_trace: describe(err) } };
});

/** Leaves out what the level forbids before it costs anything: winston itself looks only once a line is formatted. */
const allowed = winston.format((info, options) => {
  const { levels, level } = (options as { logger: () => Logger }).logger();
  return (levels[info.level] ?? 0) <= (levels[level] ?? 0) ? info : false;
});

/** Counts the lines that are written, and leaves out those for which there is no place. */
const counted = winston.format((info, options) => {
  const { stream } = options as { stream: NodeJS.WritableStream };
  if (stream instanceof LogOutput && !stream.admit()) return false;
  logLines.inc({ level: info.level });
  return info;
});

function jsonFormat(lines: RepeatedLines, stream: NodeJS.WritableStream, logger: () => Logger) {
  // The ids come from our own context: the format's look-up of an Elastic agent would be one more on every line.
  const ecs = ecsFormat({ apmIntegration: false, convertErr: false });
  return winston.format.combine(
    allowed({ logger }),
    withSubject(),
    sampling({ lines }),
    counted({ stream }),
    withCall(),
    withError(),
    redaction(),
    ecs,
  );
}

function prettyFormat(stream: NodeJS.WritableStream, logger: () => Logger) {
  const time = winston.format.timestamp({ format: "HH:mm:ss.SSS" });
  return winston.format.combine(
    allowed({ logger }),
    withSubject(),
    counted({ stream }),
    withCall(),
    redaction(),
    time,
    winston.format.colorize(),
    winston.format.printf(prettyLine),
  );
}

/** A logger, and what it leaves out. */
export interface LoggerParts {
  readonly logger: Logger;
  /** What is left out because it repeats: for a metric, and to be settled at the end. */
  readonly repeated: RepeatedLines;
}

/** Makes the logger of a process. */
export function createLogger(options: LoggerOptions): LoggerParts {
  const stream = options.stream ?? process.stdout;
  const format = options.format ?? (process.stdout.isTTY ? "pretty" : "json");
  const repeated = new RepeatedLines({
    report: ({ level, message, count }) => logger.log(level, message, { [repeatedField]: count }),
  });
  const logger = winston.createLogger({
    level: options.level,
    defaultMeta: { "service.name": options.name },
    format: format === "json" ? jsonFormat(repeated, stream, () => logger) : prettyFormat(stream, () => logger),
    transports: [new winston.transports.Stream({ stream })],
    exitOnError: false,
  });
  return { logger, repeated };
}
