import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isService, services } from "../../../services/services.ts";
import { issue, makeAuthority } from "../authority.ts";
import type { Proof } from "./caller.ts";
import { namespace, releaseName } from "./release.ts";

/** Who has a certificate: the services, the pod of `helm test`, and a caller from outside. */
const holders = [...services, "test", "caller"];

/** The names under which a service is called, as the charts ask an issuer for. */
export function namesOf(service: string): string[] {
  const hosts = ["", "-headless", "-preview"].map((end) => `${releaseName}-${service}${end}`);
  return hosts.flatMap((host) => [host, `${host}.${namespace}`, `${host}.${namespace}.svc`]);
}

/** Who a service is, as its certificate says it and the charts expect it: by the account of its pods. */
export function identityOf(service: string): string {
  return `spiffe://cluster.local/ns/${namespace}/sa/${releaseName}-${service}`;
}

/** An authority of the test, and the certificates of the mesh. */
export class Certificates implements AsyncDisposable {
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Makes an authority and a certificate for everybody. */
  static async make(): Promise<Certificates> {
    const certificates = new Certificates(await mkdtemp(join(tmpdir(), "ordermesh-certificates-")));
    await makeAuthority(certificates.#folder, "mesh");
    await certificates.renew();
    return certificates;
  }

  /** Gives everybody a new certificate of the same authority. */
  async renew(): Promise<void> {
    for (const name of holders) {
      const identity = isService(name) ? [`URI:${identityOf(name)}`] : [];
      const alternatives = [...namesOf(name).map((host) => `DNS:${host}`), ...identity];
      await issue(this.#folder, { name, subject: `/CN=${name}`, alternatives: alternatives.join(",") });
    }
  }

  file(name: string): string {
    return join(this.#folder, name);
  }

  /** What a caller shows who trusts this authority, with a certificate of it or of another one: his own, or a service's. */
  proof(of: Certificates = this, holder = "caller"): Proof {
    return ["-cacert", this.file("ca.crt"), "-cert", of.file(`${holder}.crt`), "-key", of.file(`${holder}.key`)];
  }

  /** The serial number of a holder's certificate, in hexadecimal. */
  serial(name: string): string {
    return new X509Certificate(readFileSync(this.file(`${name}.crt`))).serialNumber;
  }

  /** The secrets that the charts name while there is no issuer. */
  secretObjects(): object[] {
    const text = (name: string) => readFileSync(this.file(name), "utf8");
    return holders
      .filter((name) => name !== "caller")
      .map((name) => ({
        apiVersion: "v1",
        kind: "Secret",
        type: "kubernetes.io/tls",
        metadata: { name: `${releaseName}-${name}-tls`, namespace },
        stringData: { "tls.crt": text(`${name}.crt`), "tls.key": text(`${name}.key`), "ca.crt": text("ca.crt") },
      }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true, force: true });
  }
}
