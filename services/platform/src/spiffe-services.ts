import { z } from "zod";

/** SPIFFE-ID, section 2: a trust domain and a path, without port, user, query, percent signs and empty segments. */
// biome-ignore lint/plugin/regex: each part begins with a slash, which none has inside
const form = /^spiffe:\/\/([a-z0-9._-]{1,255})((?:\/[A-Za-z0-9._-]+)+)$/;
const longest = 2_048;
const serviceName = /^[a-z]+$/;

/** Whether a text is the SPIFFE ID of a workload. */
export function isSpiffeId(text: string): boolean {
  const [, , path = ""] = text.match(form) ?? [];
  return path !== "" && text.length <= longest && !/\/\.{1,2}(?:\/|$)/.test(path);
}

/** The trust domain of a SPIFFE ID. */
export function trustDomainOf(id: string): string {
  return id.match(form)?.[1] ?? "";
}

/** Our services by the SPIFFE IDs of their certificates. */
export const spiffeServicesSchema = z
  .record(
    z.string().refine(isSpiffeId, "is no SPIFFE ID, such as spiffe://cluster.local/ns/shop/sa/worker"),
    z.string().regex(serviceName, "is no name of a service"),
  )
  .refine((services) => Object.keys(services).length > 0, "names no service");
