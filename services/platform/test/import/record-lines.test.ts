// What files look like that other systems write: lines are read whatever they end with, and what is no text is told from what is.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { linesOf, maxLineBytes, openRecords, type RecordLine } from "#platform/import/record-lines.ts";

const folder = mkdtempSync(join(tmpdir(), "ordermesh-lines-"));
after(() => rmSync(folder, { recursive: true }));

async function read(bytes: Buffer, size = bytes.length): Promise<RecordLine[]> {
  const pieces = async function* () {
    for (let from = 0; from < bytes.length; from += size) yield bytes.subarray(from, from + size);
  };
  const lines: RecordLine[] = [];
  for await (const piece of linesOf({ data: pieces(), read: () => 0 })) lines.push(...piece.lines);
  return lines;
}

const text = (number: number, line: string): RecordLine => ({ number, text: line });

describe("the lines of a file", () => {
  const cases: readonly (readonly [string, Buffer, RecordLine[]])[] = [
    [
      "end with LF or CR LF, the last one with nothing",
      Buffer.from("a\r\nb\nc"),
      [text(1, "a"), text(2, "b"), text(3, "c")],
    ],
    ["may be empty, and count", Buffer.from("\n  \r\na\n\n"), [text(3, "a")]],
    ["begin behind a mark of the byte order", Buffer.from("\ufeffa\nb"), [text(1, "a"), text(2, "b")]],
    [
      "are told apart when they are not UTF-8",
      Buffer.concat([Buffer.from("a\n"), Buffer.from([0xc3, 0x28, 0x0a]), Buffer.from("ü")]),
      [text(1, "a"), { number: 2, text: undefined, problem: "NOT_UTF8" }, text(3, "ü")],
    ],
    [
      "are left out when they are too long",
      Buffer.from(`a\n${"x".repeat(maxLineBytes + 1)}\nb`),
      [text(1, "a"), { number: 2, text: undefined, problem: "LINE_TOO_LONG" }, text(3, "b")],
    ],
    ["may be as long as may be", Buffer.from(`${"x".repeat(maxLineBytes)}\n`), [text(1, "x".repeat(maxLineBytes))]],
    ["are none in a file that is empty", Buffer.alloc(0), []],
  ];
  for (const [name, bytes, expected] of cases) {
    it(name, async () => {
      assert.deepEqual(await read(bytes), expected);
      if (bytes.length < 100)
        for (let size = 1; size < bytes.length; size += 1)
          assert.deepEqual(await read(bytes, size), expected, `${size}`);
    });
  }

  it("are the same compressed, whatever the file is called", async () => {
    const file = join(folder, "plain.ndjson");
    writeFileSync(file, gzipSync("a\nb\n"));
    const source = await openRecords(file);
    const lines: RecordLine[] = [];
    for await (const piece of linesOf(source)) lines.push(...piece.lines);
    assert.deepEqual(lines, [text(1, "a"), text(2, "b")]);
    assert.equal(source.read(), gzipSync("a\nb\n").length);
  });

  it("end with an error where a compressed file is cut off", async () => {
    const file = join(folder, "cut.gz");
    writeFileSync(file, gzipSync(Buffer.from("a\n".repeat(100_000))).subarray(0, -20));
    const reading = async () => {
      for await (const _ of linesOf(await openRecords(file)));
    };
    await assert.rejects(reading, { code: "Z_BUF_ERROR" });
  });

  it("fail as the file does", async () => {
    await assert.rejects(openRecords(join(folder, "none")), { code: "ENOENT" });
  });
});
