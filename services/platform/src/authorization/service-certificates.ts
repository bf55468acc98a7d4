import type { Peer } from "#platform/caller.ts";
import { isSpiffeId, trustDomainOf } from "#platform/spiffe-services.ts";

/** How Node writes one of a certificate's names: `URI:…`; in quotes, as JSON has it, what could be taken for more than one. */
// biome-ignore lint/plugin/regex: the two alternatives begin with different characters
const alternative = /([^:,"]+):("(?:[^"\\]|\\.)*"|[^,"]*)(?:, |$)/gy;

/** The URIs among the names of a certificate, as they are written; undefined when that cannot be read. */
function urisOf(alternatives: string): string[] | undefined {
  const found = [...alternatives.matchAll(alternative)];
  if (found.reduce((length, [whole]) => length + whole.length, 0) !== alternatives.length) return undefined;
  return found.flatMap(([, kind, name = ""]) => (kind === "URI" ? [name] : []));
}

/** Which service of ours shows a certificate: by its SPIFFE ID, the one URI among its names. */
export class ServiceCertificates {
  readonly #services: ReadonlyMap<string, string>;
  readonly #trustDomains: ReadonlySet<string>;

  /** @param services the names of our services by their SPIFFE IDs */
  constructor(services: Readonly<Record<string, string>>) {
    this.#services = new Map(Object.entries(services));
    this.#trustDomains = new Set([...this.#services.keys()].map(trustDomainOf));
  }

  /** @param alternatives the names in the certificate (`subjectAltName`), as Node writes them */
  judge(alternatives: string | undefined): Peer {
    const uris = urisOf(alternatives ?? "");
    if (!uris) return { problem: "the names in the certificate cannot be read" };
    const [id] = uris;
    if (id === undefined) return { problem: "the certificate has no URI among its names" };
    // SPIFFE X.509-SVID, section 5.2: a validator refuses more than one.
    if (uris.length > 1)
      return { problem: `the certificate has ${uris.length} URIs among its names, where SPIFFE has one` };
    if (!isSpiffeId(id)) return { problem: "the URI among the names of the certificate is no SPIFFE ID" };
    const service = this.#services.get(id);
    if (service !== undefined) return { service };
    const domain = trustDomainOf(id);
    if (!this.#trustDomains.has(domain))
      return { problem: `the certificate is of the trust domain ${domain}, not of ours` };
    return { problem: `the certificate is of ${id}, which is no service of ours` };
  }
}
