import { Metadata } from "@grpc/grpc-js";

/** Headers that HTTP/2 sets by itself. */
const ofProtocol = new Set(["content-type", "te"]);

/** Metadata of gRPC as headers of the fetch API. Binary values become base64, as on the wire. */
export function toHeaders(metadata: Metadata): Headers {
  const headers = new Headers();
  for (const [name, value] of Object.entries(metadata.toHttp2Headers())) {
    if (value === undefined) continue;
    for (const each of Array.isArray(value) ? value : [value]) headers.append(name, String(each));
  }
  return headers;
}

/** Headers as metadata; names that belong to the protocol are left out. */
export function addHeaders(metadata: Metadata, headers: Headers): void {
  for (const [name, value] of headers) {
    if (ofProtocol.has(name) || name.startsWith("grpc-")) continue;
    if (!name.endsWith("-bin")) metadata.add(name, value);
    else for (const part of value.split(",")) metadata.add(name, Buffer.from(part.trim(), "base64"));
  }
}

/** Headers as new metadata. */
export function toMetadata(headers: Headers): Metadata {
  const metadata = new Metadata();
  addHeaders(metadata, headers);
  return metadata;
}

/** Whether any header is set. */
export function hasHeaders(headers: Headers): boolean {
  return !headers.keys().next().done;
}
