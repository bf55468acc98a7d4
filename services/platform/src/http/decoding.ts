import type { JsonValue } from "@bufbuild/protobuf";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { badRequest, become, type FieldViolation, refuseUnread, unreadable } from "#platform/bad-request.ts";
import { faultIn } from "./json-fault.ts";

/** How protobuf-es begins to say that JSON is no message. */
const unreadJson = "cannot decode ";

/**
 * Reads the texts of requests, and keeps the last one: Connect tells in the same moment that a message could not be made of it,
 * but not where.
 */
class LastText extends TextDecoder {
  #last: string | undefined;

  constructor() {
    // Bytes that are no text are refused, not replaced.
    super("utf-8", { fatal: true });
  }

  override decode(bytes?: ArrayBuffer | NodeJS.ArrayBufferView): string {
    this.#last = super.decode(bytes);
    return this.#last;
  }

  take(): string | undefined {
    const last = this.#last;
    this.#last = undefined;
    return last;
  }
}

/**
 * Has requests that cannot be read refused as what they are, INVALID_ARGUMENT, and with the name of the field. Connect reads
 * them before any interceptor, so this listens for how a call ends.
 */
export class Decoding {
  /** To be given to Connect among its options for JSON. */
  readonly textDecoder = new LastText();

  /** To be called for each call before it is read. */
  readonly watch = (context: HandlerContext): void => {
    const { signal } = context;
    signal.addEventListener("abort", () => this.#explain(context, signal.reason), { once: true });
  };

  /** The error is sent after this, as it is then. */
  #explain({ method, protocolName }: HandlerContext, error: unknown): void {
    if (!(error instanceof ConnectError) || error.details.length > 0) return;
    const { cause } = error;
    refuseUnread(error, method.input);
    if (error.code === Code.InvalidArgument && isOfDecoder(cause)) {
      // Only there nothing else is read between the reading and its failure.
      const text = protocolName === "connect" && method.methodKind === "unary" ? this.textDecoder.take() : undefined;
      const fault = text === undefined ? undefined : this.#faultIn(method.input, text);
      become(
        error,
        fault ? badRequest(`${fault.field}: ${fault.description}`, [fault], cause) : unreadable(method.input, cause),
      );
    }
  }

  #faultIn(schema: HandlerContext["method"]["input"], text: string): FieldViolation | undefined {
    try {
      // biome-ignore lint/plugin/json: a request that was read already, within MAX_MESSAGE_BYTES
      return faultIn(schema, JSON.parse(text) as JsonValue);
    } catch {
      return undefined;
    }
  }
}

/** What reading JSON may fail with: bytes that are no text, too deep a nesting, and what protobuf-es says. */
function isOfDecoder(cause: unknown): boolean {
  if (cause instanceof TypeError || cause instanceof RangeError) return true;
  return cause instanceof Error && cause.message.startsWith(unreadJson);
}
