import { randomFillSync } from "node:crypto";

/** What is drawn at once: to ask for a few bytes takes as long as for thousands. */
const blockBytes = 8_192;

let block = Buffer.alloc(0);

/** So many random bytes, each given once. */
export function randomBytes(count: number): Buffer {
  if (count > block.length) block = randomFillSync(Buffer.allocUnsafeSlow(Math.max(count, blockBytes)));
  const bytes = block.subarray(0, count);
  block = block.subarray(count);
  return bytes;
}
