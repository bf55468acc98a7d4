import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { z } from "zod";

/** How often somebody may call: so many times at once, and what was used comes back evenly, all of it within the window. */
export interface Quota {
  readonly calls: number;
  readonly windowMs: number;
}

const longestWindowSeconds = 86_400;

/** A quota as it is written, `100/60` for a hundred calls in sixty seconds; undefined for `off`. */
export function quotaOf(text: string, context: z.RefinementCtx<string>): Quota | undefined {
  if (text === "off") return undefined;
  const [, calls = 0, seconds = 0] = (text.match(/^(\d{1,9})\/(\d{1,5})$/) ?? []).map(Number);
  if (calls > 0 && seconds > 0 && seconds <= longestWindowSeconds) return { calls, windowMs: seconds * 1000 };
  const message = "must be calls/seconds, such as 100/60, of a day at most, or off";
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}

/** An address and how many of its bits count. */
export type Network = readonly [ipaddr.IPv4 | ipaddr.IPv6, number];

/** In which header proxies say whom they call for; the other one is never read, since they hand it on as they got it. */
export const proxyHeaders = ["x-forwarded-for", "forwarded"] as const;
export type ProxyHeader = (typeof proxyHeaders)[number];

/** What a list of addresses and networks says, with commas between. */
export function networksOf(text: string, context: z.RefinementCtx<string>): readonly Network[] {
  const given = text.split(",").flatMap((part) => part.trim() || []);
  const networks = given.map(networkOf);
  if (networks.every((network) => network !== undefined)) return networks;
  const wrong = given[networks.indexOf(undefined)];
  const message = `must be addresses or networks with commas between, such as 10.0.0.0/8,fd00::1; "${wrong}" is none`;
  context.addIssue({ code: "custom", message });
  return z.NEVER;
}

function networkOf(text: string): Network | undefined {
  const [address = "", bits] = text.split("/", 2);
  if (isIP(address) === 0) return undefined;
  if (bits === undefined) return [ipaddr.process(address), isIP(address) === 4 ? 32 : 128];
  return /^\d+$/.test(bits) && ipaddr.isValidCIDR(text) ? ipaddr.parseCIDR(text) : undefined;
}
