import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Handler } from "#platform/http/rpc.ts";
import type { Logger } from "#platform/log/logger.ts";
import type { Secret } from "#platform/secret.ts";

/** What is told of cannot be looked at now: it has to be looked at again. */
export class NotNow extends Error {
  override readonly name = "NotNow";
}

/** Something that was told by who may. */
export interface Told {
  /** What the other side calls it. */
  readonly eventId: string;
  /** Does what follows from it. @throws NotNow */
  readonly look: () => Promise<void>;
}

/** What webhooks are answered by. */
export interface WebhookOptions {
  /** What a webhook tells; undefined when nobody of ours has signed it. @param body the bytes as they came, which are what is signed */
  readonly read: (body: Buffer, headers: IncomingHttpHeaders) => Told | undefined;
  /** Told of the status of each answer. */
  readonly answered: (status: number) => void;
  readonly log: Pick<Logger, "warn" | "error">;
}

/** Webhooks have some kilobytes. */
const largestBody = 256 * 1024;

/** Takes webhooks: they are answered once what they are about was looked at, so that what was not is told again. */
export function webhookHandler(options: WebhookOptions): Handler {
  const answer = (response: ServerResponse, status: number) => {
    options.answered(status);
    if (!response.headersSent) response.writeHead(status, { "cache-control": "no-store" }).end();
  };
  return (request, response) => {
    answerOf(request, options).then(
      (status) => answer(response, status),
      (err: unknown) => {
        options.log.error("a webhook could not be answered", { err });
        answer(response, 500);
      },
    );
  };
}

/** The secrets of a list, with spaces or commas between: two while one is changed. */
export function secretsOf({ text }: Pick<Secret, "text">): readonly string[] {
  return text.split(/[\s,]+/).filter((secret) => secret !== "");
}

async function answerOf(request: IncomingMessage, { read, log }: WebhookOptions): Promise<number> {
  if (request.method !== "POST") return 405;
  const body = await bytesOf(request);
  if (!body) return 413;
  const told = read(body, request.headers);
  if (!told) return 400;
  try {
    await told.look();
    return 200;
  } catch (error) {
    if (!(error instanceof NotNow)) throw error;
    const about = { "event.id": told.eventId, "error.message": error.message };
    log.warn("what a webhook tells of cannot be looked at now", about);
    return 503;
  }
}

/** Undefined for too many. */
async function bytesOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    length += (chunk as Buffer).length;
    if (length > largestBody) return undefined;
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
