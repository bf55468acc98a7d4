import { Agent as HttpAgent, request as httpRequest } from "node:http";
import { Agent as HttpsAgent, request as httpsRequest } from "node:https";
import { ThriftType, ThriftWriter } from "./thrift-writer.ts";

/** A tag as the Jaeger exporter makes it: the value is where the type says. OpenTelemetry's values have no other types. */
interface Tag {
  readonly key: string;
  readonly vType: "STRING" | "DOUBLE" | "BOOL";
  readonly vStr: string;
  readonly vDouble: number;
  readonly vBool: boolean;
}

/** A span as the Jaeger exporter makes it; numbers of 64 bits are big-endian already. */
export interface JaegerSpan {
  readonly traceIdLow: Buffer;
  readonly traceIdHigh: Buffer;
  readonly spanId: Buffer;
  readonly parentSpanId: Buffer;
  readonly operationName: string;
  readonly references: readonly {
    readonly refType: "CHILD_OF" | "FOLLOWS_FROM";
    readonly traceIdLow: Buffer;
    readonly traceIdHigh: Buffer;
    readonly spanId: Buffer;
  }[];
  readonly flags: number;
  readonly startTime: Buffer;
  readonly duration: Buffer;
  readonly tags: readonly Tag[];
  readonly logs: readonly { readonly timestamp: Buffer; readonly fields: readonly Tag[] }[];
}

/** Is told how many spans went, and why they did not. */
type Done = (count: number, error?: string) => void;

const { bool, double, i32, list, string, struct } = ThriftType;
const tagTypes = { STRING: 0, DOUBLE: 1, BOOL: 2 } as const;
const references = { CHILD_OF: 0, FOLLOWS_FROM: 1 } as const;

/**
 * Sends what the Jaeger exporter makes of spans to a collector, as Thrift over HTTP (jaeger.thrift of Jaeger's IDL). For
 * the sender that the exporter brings along, which takes five times as long and writes every field of every tag.
 */
export class JaegerSender {
  readonly #url: URL;
  readonly #agent: HttpAgent;
  readonly #beginning: Buffer;
  readonly #spans = new ThriftWriter();
  #count = 0;

  /**
   * @param endpoint the collector's URL for Thrift over HTTP
   * @param attributes of the process, said once with each batch
   */
  constructor(endpoint: string, serviceName: string, attributes: Readonly<Record<string, string>>) {
    this.#url = new URL(endpoint);
    this.#agent = new (this.#url.protocol === "https:" ? HttpsAgent : HttpAgent)({ keepAlive: true });
    this.#beginning = beginningOfBatch(serviceName, attributes);
  }

  /** Takes a span; it goes with {@link flush}. */
  append(span: JaegerSpan, done: Done): void {
    writeSpan(this.#spans, span);
    this.#count += 1;
    done(0);
  }

  /** Sends what was taken, in one request. */
  flush(done: Done): void {
    const count = this.#count;
    if (count === 0) {
      done(0);
      return;
    }
    this.#spans.stop(); // of the batch
    const spans = this.#spans.take();
    this.#count = 0;
    const body = Buffer.concat([this.#beginning, spans]);
    body.writeInt32BE(count, this.#beginning.length - 4);
    this.#post(body, (error) => done(count, error));
  }

  /** Ends the connections. */
  close(): void {
    this.#agent.destroy();
  }

  #post(body: Buffer, done: (error?: string) => void): void {
    const send = this.#url.protocol === "https:" ? httpsRequest : httpRequest;
    const headers = { "content-type": "application/x-thrift", "content-length": body.length };
    const request = send(this.#url, { method: "POST", agent: this.#agent, headers }, (response) => {
      response.resume();
      const { statusCode = 0 } = response;
      done(statusCode < 400 ? undefined : `the collector answers with HTTP status ${statusCode}`);
    });
    request.on("error", (error) => done(error.message));
    request.end(body);
  }
}

/** A batch up to its first span; ends with the count of its spans, four bytes that are not known yet. */
function beginningOfBatch(serviceName: string, attributes: Readonly<Record<string, string>>): Buffer {
  const writer = new ThriftWriter();
  const entries = Object.entries(attributes);
  writer.field(struct, 1);
  writer.field(string, 1);
  writer.string(serviceName);
  writer.field(list, 2);
  writer.structs(entries.length);
  for (const [key, vStr] of entries) writeTag(writer, { key, vType: "STRING", vStr, vDouble: 0, vBool: false });
  writer.stop();
  writer.field(list, 2);
  writer.structs(0);
  return writer.take();
}

function writeSpan(writer: ThriftWriter, span: JaegerSpan): void {
  writer.long(1, span.traceIdLow);
  writer.long(2, span.traceIdHigh);
  writer.long(3, span.spanId);
  writer.long(4, span.parentSpanId);
  writer.field(string, 5);
  writer.string(span.operationName);
  writer.field(list, 6);
  writer.structs(span.references.length);
  for (const { refType, traceIdLow, traceIdHigh, spanId } of span.references) {
    writer.field(i32, 1);
    writer.i32(references[refType]);
    writer.long(2, traceIdLow);
    writer.long(3, traceIdHigh);
    writer.long(4, spanId);
    writer.stop();
  }
  writer.field(i32, 7);
  writer.i32(span.flags);
  writer.long(8, span.startTime);
  writer.long(9, span.duration);
  writeTags(writer, 10, span.tags);
  writer.field(list, 11);
  writer.structs(span.logs.length);
  for (const { timestamp, fields } of span.logs) {
    writer.long(1, timestamp);
    writeTags(writer, 2, fields);
    writer.stop();
  }
  writer.stop();
}

function writeTags(writer: ThriftWriter, field: number, tags: readonly Tag[]): void {
  writer.field(list, field);
  writer.structs(tags.length);
  for (const tag of tags) writeTag(writer, tag);
}

function writeTag(writer: ThriftWriter, { key, vType, vStr, vDouble, vBool }: Tag): void {
  writer.field(string, 1);
  writer.string(key);
  writer.field(i32, 2);
  if (vType === "DOUBLE") {
    writer.i32(tagTypes.DOUBLE);
    writer.field(double, 4);
    writer.double(vDouble);
  } else if (vType === "BOOL") {
    writer.i32(tagTypes.BOOL);
    writer.field(bool, 5);
    writer.bool(vBool);
  } else {
    writer.i32(tagTypes.STRING);
    writer.field(string, 3);
    writer.string(vStr);
  }
  writer.stop();
}
