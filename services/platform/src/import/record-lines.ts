// biome-ignore lint/plugin/files: the file that the operator names who runs an import
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";

/** A line of a file that is imported. */
export interface RecordLine {
  /** From 1. */
  readonly number: number;
  /** Undefined when it cannot be read. */
  readonly text: string | undefined;
  /** Why not. */
  readonly problem?: "LINE_TOO_LONG" | "NOT_UTF8";
}

/** The lines of one piece of a file. */
export interface LinePiece {
  readonly lines: readonly RecordLine[];
  /** Bytes of the file that were read so far; as it lies there, compressed. */
  readonly bytes: number;
}

/** The longest line, in bytes: an order of a hundred lines with adjustments has some 60 KB. */
export const maxLineBytes = 256 * 1024;

const lineFeed = 0x0a;
const gzipMagic = [0x1f, 0x8b];

/** A file, gzip or not, that is read once from its beginning. */
export interface RecordSource {
  /** As it comes, decompressed. */
  readonly data: AsyncIterable<Buffer>;
  /** Bytes that were read of the file so far. */
  readonly read: () => number;
}

/** Opens a file, or standard input for `-`. Whether it is compressed is seen by its first bytes. */
export async function openRecords(file: string): Promise<RecordSource> {
  const raw: AsyncIterable<Buffer> =
    file === "-" ? process.stdin : createReadStream(file, { highWaterMark: 256 * 1024 });
  let bytes = 0;
  const counted = async function* (): AsyncGenerator<Buffer> {
    for await (const piece of raw) {
      bytes += piece.length;
      yield piece;
    }
  };
  const pieces = counted();
  const first = await pieces.next();
  const whole = async function* (): AsyncGenerator<Buffer> {
    if (!first.done) yield first.value;
    yield* pieces;
  };
  const isGzip = !first.done && gzipMagic.every((byte, index) => first.value[index] === byte);
  return { data: isGzip ? gunzipped(whole()) : whole(), read: () => bytes };
}

/** What goes wrong before it is told to who reads what comes out. */
function gunzipped(pieces: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
  const source = Readable.from(pieces);
  const gunzip = createGunzip();
  source.on("error", (error) => gunzip.destroy(error));
  return source.pipe(gunzip);
}

/** Cuts what is read into lines. However large a file or one of its lines is, it holds one piece and the beginning of one line. */
export async function* linesOf({ data, read }: RecordSource): AsyncGenerator<LinePiece> {
  const cutter = new LineCutter();
  for await (const piece of data) yield { lines: cutter.cut(piece), bytes: read() };
  yield { lines: cutter.end(), bytes: read() };
}

/** Ends of lines are LF or CR LF, and a mark of the byte order is left out. */
class LineCutter {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  #number = 0;
  #begun: Buffer[] = [];
  #begunBytes = 0;

  cut(piece: Buffer): RecordLine[] {
    const lines: RecordLine[] = [];
    let from = 0;
    for (let end = piece.indexOf(lineFeed); end >= 0; end = piece.indexOf(lineFeed, from)) {
      this.#add(piece.subarray(from, end));
      this.#take(lines);
      from = end + 1;
    }
    this.#add(piece.subarray(from));
    return lines;
  }

  end(): RecordLine[] {
    const lines: RecordLine[] = [];
    if (this.#begunBytes > 0) this.#take(lines);
    return lines;
  }

  /** Of a line that is too long only its length is kept. */
  #add(part: Buffer): void {
    if (part.length === 0) return;
    this.#begunBytes += part.length;
    if (this.#begunBytes > maxLineBytes) this.#begun = [];
    else this.#begun.push(part);
  }

  /** Empty lines count, and are none. */
  #take(lines: RecordLine[]): void {
    this.#number += 1;
    const number = this.#number;
    const [only, ...more] = this.#begun;
    const isLong = this.#begunBytes > maxLineBytes;
    const bytes = only && more.length === 0 ? only : Buffer.concat(this.#begun);
    this.#begun = [];
    this.#begunBytes = 0;
    if (isLong) {
      lines.push({ number, text: undefined, problem: "LINE_TOO_LONG" });
      return;
    }
    const text = this.#decode(bytes)?.trim();
    if (text === undefined) lines.push({ number, text, problem: "NOT_UTF8" });
    else if (text !== "") lines.push({ number, text });
  }

  #decode(bytes: Buffer): string | undefined {
    try {
      return this.#decoder.decode(bytes);
    } catch {
      return undefined;
    }
  }
}
