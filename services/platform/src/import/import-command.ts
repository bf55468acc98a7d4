import { createHash } from "node:crypto";
// biome-ignore lint/plugin/files: the file that the operator names who runs an import
import { createReadStream, statSync } from "node:fs";
import { pipeline } from "node:stream/promises";
import { parseArgs } from "node:util";
import type { Database } from "#platform/database/database.ts";
import { type MigrationsList, pendingMigrations } from "#platform/database/migrate.ts";
import { StartError } from "#platform/process/startup.ts";
import { ImportProgress } from "./import-progress.ts";
import { RecordReader, type RecordReaderOptions } from "./import-record.ts";
import { ImportReport } from "./import-report.ts";
import { ImportError, type Importer, ImportRun } from "./import-run.ts";
import { beginRun, type Checkpoint, findRun, repeatRun } from "./import-table.ts";
import { openRecords } from "./record-lines.ts";

/** What the process ends with. */
export const importExits = { imported: 0, failed: 1, someRefused: 2, stopped: 130 } as const;

/** What somebody asked for. */
export interface ImportArguments {
  /** `-`: standard input. */
  readonly file: string;
  /** What the other shop is called: its ids are apart from those of others. */
  readonly source: string;
  /** Whether nothing is written. */
  readonly check: boolean;
  readonly report: string;
}

/** What of an import is a service's own. */
export interface ImportCommand extends RecordReaderOptions {
  /** The service, as the report's name has it. */
  readonly name: string;
  /** @param source what the other shop is called */
  readonly importer: (source: string, database: Database | undefined) => Importer | Promise<Importer>;
  readonly migrations: MigrationsList;
  /** Not called for a check. */
  readonly open: () => Promise<Database>;
}

const usage =
  "say import <file> [--source <name>] [--report <file>] [--check], where - is standard input; docs/import.md shows the file";
const sourceForm = /^[a-z0-9][a-z0-9-]{0,31}$/;

/** Reads the command line. @throws StartError */
export function importArguments(name: string, args: readonly string[]): ImportArguments {
  const options = {
    source: { type: "string", default: "import" },
    report: { type: "string" },
    check: { type: "boolean", default: false },
  } as const;
  const { values, positionals } = parsed(() => parseArgs({ args: [...args], options, allowPositionals: true }));
  const [file, ...more] = positionals;
  if (file === undefined || more.length > 0) throw new StartError(usage);
  const { source, check } = values;
  if (!sourceForm.test(source)) throw new StartError("a source is 1 to 32 small letters, digits and dashes");
  const report = values.report ?? `${file === "-" ? "import" : file}.${name}.refused.ndjson`;
  return { file, source, check, report };
}

function parsed<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new StartError(`${error instanceof Error ? error.message : String(error)}; ${usage}`);
  }
}

/** Runs a service's part of an import, and sets the code that the process ends with. @throws StartError */
export async function runImport(command: ImportCommand, args: ImportArguments): Promise<void> {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => stop.abort());
  const database = args.check ? undefined : await command.open();
  try {
    if (database) await requireSchema(database, command.migrations);
    const importer = await command.importer(args.source, database);
    process.exitCode = await importFile({ command, args, database, importer, signal: stop.signal });
  } catch (error) {
    throw inOneSentence(error, args.file);
  } finally {
    await database?.close();
  }
}

async function requireSchema(database: Database, migrations: MigrationsList): Promise<void> {
  const pending = await pendingMigrations(database, migrations);
  if (pending.length > 0) throw new StartError(`the database lacks ${pending.join(", ")}: run "migrate up" first`);
}

interface Work {
  readonly command: ImportCommand;
  readonly args: ImportArguments;
  readonly database: Database | undefined;
  readonly importer: Importer;
  readonly signal: AbortSignal;
}

const nothing: Checkpoint = { line: 0, imported: 0, known: 0, refused: 0, reportBytes: 0, done: false };

async function importFile({ command, args, database, importer, signal }: Work): Promise<number> {
  const { file, source } = args;
  const key = database && file !== "-" ? { source, fingerprint: await fingerprintOf(file) } : undefined;
  const from = key && database ? await checkpointOf(database, key) : nothing;
  if (from.done) return said(command.name, { ...args, to: from, isOld: true });
  const report = new ImportReport(args.report, from.reportBytes);
  const size = file === "-" ? undefined : statSync(file).size;
  const progress = new ImportProgress(command.name, { size, from: from.line });
  if (from.line > 0) process.stderr.write(`${command.name}: goes on after line ${from.line}\n`);
  try {
    const run = new ImportRun(
      {
        source: await openRecords(file),
        reader: new RecordReader(command),
        importer,
        database,
        key,
        report,
        signal,
        onProgress: (checkpoint, bytes) => progress.tell(checkpoint, bytes),
      },
      from,
    );
    const to = await run.run();
    progress.end();
    return said(command.name, { ...args, to, isOld: false });
  } finally {
    report.close();
  }
}

/** A file that is done and of which nothing was refused is not read again; one of which something was is, from its beginning. */
async function checkpointOf(database: Database, key: { source: string; fingerprint: Buffer }): Promise<Checkpoint> {
  const values = [key.source, key.fingerprint];
  await database.query(beginRun, values);
  const [found = nothing] = await database.query<Checkpoint>(findRun, values);
  if (!found.done || found.refused === 0) return found;
  await database.query(repeatRun, values);
  return nothing;
}

/** Of the file as it lies there: a changed one is another one. */
async function fingerprintOf(file: string): Promise<Buffer> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file, { highWaterMark: 1024 * 1024 }), hash);
  return hash.read();
}

/** Says how it ended; returns what the process ends with. */
function said(name: string, end: ImportArguments & { readonly to: Checkpoint; readonly isOld: boolean }): number {
  const { to, isOld, check, report, file } = end;
  const number = (count: number) => count.toLocaleString("en-US");
  const done = check ? "would be imported" : "imported";
  const counts = `${number(to.imported)} ${done}, ${number(to.known)} known already, ${number(to.refused)} refused`;
  if (isOld) process.stdout.write(`${name}: nothing to do, this file is imported: ${counts}\n`);
  else if (to.done) process.stdout.write(`${name}: ${counts}, of ${number(to.line)} lines\n`);
  else if (file === "-")
    process.stdout.write(`${name}: stopped after line ${to.line}: ${counts}. Give it again as a whole\n`);
  else process.stdout.write(`${name}: stopped after line ${to.line}: ${counts}. The same command goes on there\n`);
  if (to.refused > 0) process.stdout.write(`${name}: which lines were refused, and why: ${report}\n`);
  if (!to.done) return importExits.stopped;
  return to.refused > 0 ? importExits.someRefused : importExits.imported;
}

const unreadableFile = new Set(["ENOENT", "EACCES", "EISDIR", "EROFS", "ENOSPC"]);
const brokenGzip = new Set(["Z_DATA_ERROR", "Z_BUF_ERROR"]);

/** What the operator can do something about is one sentence; the rest is thrown as it is. */
function inOneSentence(error: unknown, file: string): unknown {
  const { code = "" } = error as NodeJS.ErrnoException;
  const goesOn = "; what was done is kept, the same command goes on";
  if (error instanceof ImportError) return new StartError(error.message);
  if (unreadableFile.has(code)) return new StartError(`${file}, or its report, cannot be opened (${code})`);
  if (brokenGzip.has(code))
    return new StartError(`${file} is cut off or no whole gzip (${code})${goesOn} with a whole one`);
  if (/^[0-9A-Z]{5}$/.test(code) || code.startsWith("ECONN"))
    return new StartError(`the database failed (${code})${goesOn}`, { cause: error });
  return error;
}
