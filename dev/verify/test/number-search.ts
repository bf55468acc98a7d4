// Looks for numbers wherever they may have been kept: rows of all tables, histories of workflows, files, lines.
import { Client, Connection, type WorkflowExecutionInfo } from "@temporalio/client";
import type { Payload, PayloadCodec } from "@temporalio/common";
import pg from "pg";
import { loadConfig } from "#platform/config.ts";
import { dataConverterOf } from "../../../services/worker/src/payloads/data-converter.ts";
import { temporalConfig } from "../../../services/worker/src/temporal/temporal-config.ts";
import { addressOf, type Blueprint } from "../../stack/blueprint.ts";
import { payloadKeysFile } from "../../stack/credentials.ts";

/** What was found, and where: `orders.customer.phone`, `history.….input.payloads`. */
export interface Hit {
  readonly digits: string;
  readonly place: string;
}

/** Shorter numbers count only when no other digit is beside them: ids and times hold many digits in a row. */
const neverByChance = 15;
/** What people write between the digits of a card number. */
const separators = /(?<=\d)[\s\u2000-\u200d\u2010-\u2015\u00b7._/-]{1,2}(?=\d)/g;
const wideDigits = /[\uff10-\uff19]/g;

/** What is looked for in values of any depth. */
export abstract class Search {
  /** Which of it is in a text. */
  abstract in(text: string): string[];

  /** Which of it is in a value of any depth, each with the names of the fields around it. */
  within(value: unknown, place: string): Hit[] {
    if (typeof value === "string") return this.#inText(value, place);
    if (value instanceof Uint8Array) return this.#inBytes(value, place);
    if (typeof value === "number" || typeof value === "bigint") return this.#inText(String(value), place);
    if (Array.isArray(value)) return value.flatMap((entry) => this.within(entry, place));
    if (typeof value !== "object" || value === null) return [];
    return Object.entries(value).flatMap(([name, entry]) => [
      ...this.#inText(name, `${place}.(name)`),
      ...this.within(entry, `${place}.${name}`),
    ]);
  }

  #inText(text: string, place: string): Hit[] {
    // This is how PostgreSQL writes bytes.
    if (text.startsWith("\\x")) return this.#inBytes(Buffer.from(text.slice(2), "hex"), place);
    return this.in(text).map((digits) => ({ digits, place }));
  }

  #inBytes(bytes: Uint8Array, place: string): Hit[] {
    const text = Buffer.from(bytes).toString();
    try {
      const value: unknown = JSON.parse(text);
      if (typeof value === "object") return this.within(value, place);
    } catch {
      // Not JSON: a text, or bytes of which some are text.
    }
    return this.in(text).map((digits) => ({ digits, place }));
  }
}

/** Numbers to look for. */
export class Wanted extends Search {
  readonly #numbers: ReadonlySet<string>;
  readonly #lengths: readonly number[];

  constructor(numbers: Iterable<string>) {
    super();
    this.#numbers = new Set(numbers);
    this.#lengths = [...new Set([...this.#numbers].map((digits) => digits.length))];
  }

  /** With separators or without. */
  override in(text: string): string[] {
    const narrow = text.replace(wideDigits, (digit) => String(digit.charCodeAt(0) - 0xff10));
    const joined = narrow.replace(separators, "");
    const runs = [...(narrow.match(/\d{12,}/g) ?? []), ...(joined.match(/\d{12,}/g) ?? [])];
    return [...new Set(runs.flatMap((run) => this.#inRun(run)))];
  }

  #inRun(run: string): string[] {
    const candidates = [run];
    for (const length of this.#lengths.filter((each) => each >= neverByChance && each < run.length)) {
      for (let at = 0; at + length <= run.length; at += 1) candidates.push(run.slice(at, at + length));
    }
    return candidates.filter((digits) => this.#numbers.has(digits));
  }
}

const tables = `select format('%I.%I', schemaname, tablename) as name from pg_tables
  where schemaname not in ('pg_catalog', 'information_schema')`;

/** What is wanted in all columns of all tables of a database. */
export async function searchDatabase(url: string, wanted: Search): Promise<Hit[]> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    const hits: Hit[] = [];
    for (const { name } of (await client.query<{ name: string }>(tables)).rows) {
      const { rows } = await client.query<{ row: unknown }>(`select to_jsonb(t) as row from ${name} t`);
      const place = `${client.database}.${name.replace(/^public\./, "")}`;
      for (const { row } of rows) hits.push(...wanted.within(row, place));
    }
    return hits;
  } finally {
    await client.end();
  }
}

/**
 * What is wanted in all that Temporal keeps of all workflows of a stack: ids, search attributes, and every event of every history, what is
 * encrypted as it was before.
 */
export async function searchWorkflows(blueprint: Blueprint, wanted: Search): Promise<Hit[]> {
  const keys = { TEMPORAL_CODEC_KEYS_FILE: payloadKeysFile(blueprint.dataDirectory) };
  const dataConverter = dataConverterOf(loadConfig(temporalConfig, keys));
  const hits: Hit[] = [];
  await ofEveryWorkflow(blueprint, async (client, { raw, workflowId, runId }) => {
    hits.push(...wanted.within(raw, "execution"));
    const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    hits.push(...wanted.within(await decrypted(events, dataConverter.payloadCodecs ?? []), "history"));
  });
  return hits;
}

/** Has Temporal forget all workflows of a stack, as it does by itself when the retention of its namespace is over. */
export async function forgetWorkflows(blueprint: Blueprint): Promise<void> {
  await ofEveryWorkflow(blueprint, async ({ workflowService, options }, { workflowId, runId }) => {
    const { namespace } = options;
    await workflowService.deleteWorkflowExecution({ namespace, workflowExecution: { workflowId, runId } });
  });
}

async function ofEveryWorkflow(
  blueprint: Blueprint,
  work: (client: Client, workflow: WorkflowExecutionInfo) => Promise<void>,
): Promise<void> {
  const connection = await Connection.connect({ address: addressOf("temporal", blueprint.ports) });
  try {
    const client = new Client({ connection });
    for await (const workflow of client.workflow.list()) await work(client, workflow);
  } finally {
    await connection.close();
  }
}

/** A value of any depth, with its payloads as they were before they were encrypted. */
async function decrypted(value: unknown, codecs: readonly PayloadCodec[]): Promise<unknown> {
  if (Array.isArray(value)) return await Promise.all(value.map((entry) => decrypted(entry, codecs)));
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (isPayload(value)) {
    let payloads = [value];
    for (const codec of codecs) payloads = await codec.decode(payloads);
    return payloads[0];
  }
  const entries = Object.entries(value).map(async ([name, entry]) => [name, await decrypted(entry, codecs)] as const);
  return Object.fromEntries(await Promise.all(entries));
}

function isPayload(value: object): value is Payload {
  return "metadata" in value && "data" in value && value.data instanceof Uint8Array;
}
