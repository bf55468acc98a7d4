// The few frames of HTTP/2 that a load generator needs (RFC 9113). Written by hand, because a full client costs as much
// per call as the servers that it should drive to their limit.

export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
export const frameHead = 9;

export const FrameType = { DATA: 0, HEADERS: 1, RST_STREAM: 3, SETTINGS: 4, PING: 6, GOAWAY: 7 } as const;
export const endStream = 0x1;
export const ack = 0x1;
const endHeaders = 0x4;
const settingsInitialWindowSize = 4;
const maxWindow = 2 ** 31 - 1;
const defaultWindow = 65_535;

/** One frame. */
export function frame(type: number, flags: number, payload: Buffer, stream = 0): Buffer {
  const head = Buffer.alloc(frameHead);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** What a client says first; the windows are so large that it never has to open them again. */
export function opening(): Buffer {
  const settings = Buffer.alloc(6);
  settings.writeUInt16BE(settingsInitialWindowSize, 0);
  settings.writeUInt32BE(maxWindow, 2);
  const window = Buffer.alloc(4);
  window.writeUInt32BE(maxWindow - defaultWindow, 0);
  return Buffer.concat([preface, frame(FrameType.SETTINGS, 0, settings), frame(8, 0, window)]);
}

/** The longest text whose length is one byte. */
const shortest = 126;

/** A text with its length before it (RFC 7541, 5.1 and 5.2); what is long is so up to 16,510 bytes, enough for a token. */
function literal(text: string): Buffer {
  const rest = text.length - shortest - 1;
  if (rest > 0x3fff) throw new RangeError(`too long for a header: ${text.length} bytes`);
  const length = rest < 0 ? [text.length] : [0x7f, ...(rest < 0x80 ? [rest] : [0x80 | (rest & 0x7f), rest >> 7])];
  return Buffer.concat([Buffer.from(length), Buffer.from(text)]);
}

/** A header that no table remembers (RFC 7541, 6.2.2), so that it is the same bytes in every call. */
function header(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.of(0), literal(name), literal(value)]);
}

/** HEADERS and DATA of one gRPC call, for stream 0; see {@link onStream}. */
export function callTemplate(path: string, headers: Readonly<Record<string, string>>, message: Uint8Array): Buffer {
  const fields = { ":method": "POST", ":scheme": "http", ":path": path, ":authority": "127.0.0.1", ...headers };
  const block = Buffer.concat(Object.entries(fields).map(([name, value]) => header(name, value)));
  const data = Buffer.alloc(5 + message.length);
  data.writeUInt32BE(message.length, 1);
  data.set(message, 5);
  return Buffer.concat([frame(FrameType.HEADERS, endHeaders, block), frame(FrameType.DATA, endStream, data)]);
}

/** A copy of a call's frames with the number of its stream. */
export function onStream(template: Buffer, stream: number): Buffer {
  const copy = Buffer.from(template);
  copy.writeUInt32BE(stream, 5);
  copy.writeUInt32BE(stream, frameHead + copy.readUIntBE(0, 3) + 5);
  return copy;
}
