/** Types of fields and list elements in Thrift's binary protocol. */
export const ThriftType = { bool: 2, double: 4, i32: 8, i64: 10, string: 11, struct: 12, list: 15 } as const;

const firstBytes = 64 * 1024;

/** Writes Thrift's binary protocol into one growing buffer. */
export class ThriftWriter {
  #buffer = Buffer.allocUnsafe(firstBytes);
  #length = 0;

  /** The head of a field of a struct. @param id below 256 */
  field(type: number, id: number): void {
    this.#reserve(3);
    this.#buffer[this.#length++] = type;
    this.#buffer[this.#length++] = 0;
    this.#buffer[this.#length++] = id;
  }

  /** A field of 64 bits. @param bytes big-endian; byte by byte, because a copy of eight takes longer */
  long(id: number, bytes: Buffer): void {
    this.field(ThriftType.i64, id);
    this.#reserve(8);
    for (let at = 0; at < 8; at += 1) this.#buffer[this.#length++] = bytes[at] ?? 0;
  }

  /** The end of a struct. */
  stop(): void {
    this.#byte(0);
  }

  /** The head of a list of structs. */
  structs(count: number): void {
    this.#byte(ThriftType.struct);
    this.i32(count);
  }

  i32(value: number): void {
    this.#reserve(4);
    this.#length = this.#buffer.writeInt32BE(value, this.#length);
  }

  double(value: number): void {
    this.#reserve(8);
    this.#length = this.#buffer.writeDoubleBE(value, this.#length);
  }

  bool(value: boolean): void {
    this.#byte(value ? 1 : 0);
  }

  string(text: string): void {
    // The most bytes that UTF-8 takes for a UTF-16 unit.
    this.#reserve(4 + text.length * 3);
    const bytes = this.#buffer.write(text, this.#length + 4);
    this.#buffer.writeInt32BE(bytes, this.#length);
    this.#length += 4 + bytes;
  }

  /** What is written, as bytes of their own; the writer begins anew and keeps its buffer. */
  take(): Buffer {
    const taken = Buffer.from(this.#buffer.subarray(0, this.#length));
    this.#length = 0;
    return taken;
  }

  #byte(value: number): void {
    this.#reserve(1);
    this.#buffer[this.#length++] = value;
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}
