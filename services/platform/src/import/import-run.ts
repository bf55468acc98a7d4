import type { Database } from "#platform/database/database.ts";
import { isDataError, sqlStateOf } from "#platform/database/sql-state.ts";
import type { Transaction } from "#platform/database/transaction.ts";
import type { ImportRecord, RecordReader, Refusal, RefusedLine } from "./import-record.ts";
import type { ImportReport } from "./import-report.ts";
import { advanceRun, type Checkpoint } from "./import-table.ts";
import { linesOf, type RecordSource } from "./record-lines.ts";

/** What came of a record. `known`: it was imported before. */
export type Outcome = "imported" | "known" | Refusal;

/** What a service does with records. */
export interface Importer {
  /** What is wrong with a record besides the rules of its fields, as far as it says so itself. */
  judge(record: ImportRecord): Refusal | undefined;
  /**
   * Writes records, once for each `externalId`; for each what came of it.
   *
   * @throws a data error when one of them cannot be written: then they are tried in halves
   */
  write(tx: Transaction, records: readonly ImportRecord[]): Promise<readonly Outcome[]>;
}

/** Why an import cannot go on, in one sentence for whoever runs it. */
export class ImportError extends Error {
  override readonly name = "ImportError";
}

/** A file that is imported. */
export interface ImportRunOptions {
  readonly source: RecordSource;
  readonly reader: RecordReader;
  readonly importer: Importer;
  /** Undefined: it is only looked at the file, and nothing is written but the report. */
  readonly database: Pick<Database, "transaction"> | undefined;
  /** What the checkpoint is found by; undefined: there is none, the file cannot be read again. */
  readonly key: { readonly source: string; readonly fingerprint: Buffer } | undefined;
  readonly report: ImportReport;
  readonly onProgress: (checkpoint: Checkpoint, bytes: number) => void;
  /** Records of one transaction; 500 unless given. */
  readonly chunk?: number;
  /** Stops after the chunk that is being written. */
  readonly signal: AbortSignal;
}

/** Records of one transaction, unless something else is said. */
const usualChunk = 500;

interface Chunk {
  readonly entries: readonly (ImportRecord | RefusedLine)[];
  /** The last line that was looked at. */
  readonly line: number;
  readonly bytes: number;
  readonly isLast: boolean;
}

const isRefused = (entry: ImportRecord | RefusedLine): entry is RefusedLine => "reason" in entry;

/** Imports a file, a chunk of its lines in each transaction: while one is written, the next one is read and judged. */
export class ImportRun {
  readonly #options: ImportRunOptions;
  #checkpoint: Checkpoint;

  constructor(options: ImportRunOptions, from: Checkpoint) {
    this.#options = options;
    this.#checkpoint = from;
  }

  /** How far it came: to the end of the file unless the signal stopped it. @throws ImportError */
  async run(): Promise<Checkpoint> {
    const { signal, onProgress } = this.#options;
    let writing: Promise<void> = Promise.resolve();
    for await (const chunk of this.#chunks()) {
      await writing;
      if (signal.aborted) break;
      writing = this.#write(chunk).then(() => onProgress(this.#checkpoint, chunk.bytes));
      // It is awaited before the next one; meanwhile its failure has nobody who hears of it.
      writing.catch(() => undefined);
    }
    await writing;
    return this.#checkpoint;
  }

  async *#chunks(): AsyncGenerator<Chunk> {
    const { source, reader, importer, chunk = usualChunk } = this.#options;
    const from = this.#checkpoint.line;
    let entries: (ImportRecord | RefusedLine)[] = [];
    let line = from;
    let bytes = 0;
    for await (const piece of linesOf(source)) {
      bytes = piece.bytes;
      for (const each of piece.lines) {
        if (each.number <= from) continue;
        line = each.number;
        const entry = reader.read(each);
        if (!entry) continue;
        entries.push(isRefused(entry) ? entry : judged(importer, entry));
        if (entries.length < chunk) continue;
        yield { entries, line, bytes, isLast: false };
        entries = [];
      }
    }
    yield { entries, line, bytes, isLast: true };
  }

  async #write({ entries, line, isLast }: Chunk): Promise<void> {
    const { database } = this.#options;
    const records = entries.filter((entry) => !isRefused(entry)) as ImportRecord[];
    if (!database) {
      await this.#settle(undefined, { entries, line, isLast, outcomes: records.map(() => "imported") });
      return;
    }
    await database.transaction(async (tx) => {
      const outcomes = await inHalves(tx, records, this.#options.importer);
      await this.#settle(tx, { entries, line, isLast, outcomes });
    });
  }

  /** The report comes first: what it says too much when the process dies here is cut off again by the checkpoint. */
  async #settle(tx: Transaction | undefined, done: Settled): Promise<void> {
    const { report, key } = this.#options;
    const refused = refusedOf(done);
    report.add(refused);
    const count = (outcome: Outcome) => done.outcomes.filter((each) => each === outcome).length;
    const before = this.#checkpoint;
    const after = {
      line: done.line,
      imported: before.imported + count("imported"),
      known: before.known + count("known"),
      refused: before.refused + refused.length,
      reportBytes: report.bytes,
      done: done.isLast,
    };
    if (tx && key) {
      const { source, fingerprint } = key;
      const { line, imported, known, refused: all, reportBytes } = after;
      const values = [source, fingerprint, before.line, line, imported, known, all, reportBytes, done.isLast];
      const rows = await tx.commitWith(advanceRun, values);
      if (rows.length === 0) throw new ImportError("another process imports this file: let it, or end it first");
    }
    this.#checkpoint = after;
  }
}

interface Settled extends Pick<Chunk, "entries" | "line" | "isLast"> {
  /** Of the records among the entries. */
  readonly outcomes: readonly Outcome[];
}

function judged(importer: Importer, record: ImportRecord): ImportRecord | RefusedLine {
  const refusal = importer.judge(record);
  return refusal ? toRefused(record, refusal) : record;
}

function toRefused({ line, kind, externalId: id }: ImportRecord, refusal: Refusal): RefusedLine {
  return { line, kind, id, ...refusal };
}

function refusedOf({ entries, outcomes }: Settled): RefusedLine[] {
  let next = 0;
  return entries.flatMap((entry) => {
    if (isRefused(entry)) return [entry];
    const outcome = outcomes[next++];
    return typeof outcome === "object" ? [toRefused(entry, outcome)] : [];
  });
}

/** Writes records behind a savepoint. When the data of one breaks the statement, it is found by halves, and the others are written. */
async function inHalves(tx: Transaction, records: readonly ImportRecord[], importer: Importer): Promise<Outcome[]> {
  if (records.length === 0) return [];
  await tx.query("savepoint import_lines");
  try {
    const outcomes = await importer.write(tx, records);
    await tx.query("release savepoint import_lines");
    return [...outcomes];
  } catch (error) {
    if (!isDataError(error)) throw error;
    await tx.query("rollback to savepoint import_lines");
    await tx.query("release savepoint import_lines");
    if (records.length === 1) return [unwritable(error)];
  }
  const half = Math.ceil(records.length / 2);
  const first = await inHalves(tx, records.slice(0, half), importer);
  return [...first, ...(await inHalves(tx, records.slice(half), importer))];
}

/** Of what the database says only what is in no row. */
function unwritable(error: unknown): Refusal {
  const { constraint = "" } = error as { readonly constraint?: string };
  const why = constraint ? `${sqlStateOf(error)}, ${constraint}` : sqlStateOf(error);
  return { reason: "UNWRITABLE", message: `the database does not take it (${why})` };
}
