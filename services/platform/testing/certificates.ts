import { execFile } from "node:child_process";
import { mkdtemp, rename, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const openssl = (args: readonly string[]) => promisify(execFile)("openssl", args, { timeout: 30_000 });
const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];

/** An authority of a test, and the folder in which it keeps what it signs. */
export class Authority {
  readonly folder: string;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async create(): Promise<Authority> {
    const folder = await mkdtemp(join(tmpdir(), "ordermesh-authority-"));
    const files = ["-keyout", join(folder, "ca.key"), "-out", join(folder, "ca.crt")];
    await openssl(["req", "-x509", ...key, "-subj", "/CN=authority", "-days", "1", ...files]);
    return new Authority(folder);
  }

  /**
   * Signs a certificate for a name; returns the variables that lead a process to it.
   *
   * @param uris what else is among its names, such as a SPIFFE ID
   */
  async issue(
    name: string,
    uris: readonly string[] = [],
  ): Promise<Record<"GRPC_TLS_CERT" | "GRPC_TLS_KEY" | "GRPC_TLS_CA", string>> {
    const path = (file: string) => join(this.folder, file);
    const signer = ["-CA", path("ca.crt"), "-CAkey", path("ca.key"), "-days", "1"];
    const names = [`DNS:${name}`, ...uris.map((uri) => `URI:${uri}`)].join(",");
    const extensions = [`subjectAltName=${names}`, "basicConstraints=critical,CA:FALSE"];
    const subject = ["-subj", `/CN=${name}`, ...extensions.flatMap((extension) => ["-addext", extension])];
    await openssl([
      "req",
      "-x509",
      ...key,
      ...signer,
      ...subject,
      "-keyout",
      path(`${name}.key`),
      "-out",
      path(`${name}.crt`),
    ]);
    return { GRPC_TLS_CERT: path(`${name}.crt`), GRPC_TLS_KEY: path(`${name}.key`), GRPC_TLS_CA: path("ca.crt") };
  }

  /** Puts another authority's files in place of ours, as a rotation does. */
  async replaceBy(other: Authority, names: readonly string[]): Promise<void> {
    for (const name of ["ca.crt", ...names.flatMap((each) => [`${each}.crt`, `${each}.key`])]) {
      await rename(join(other.folder, name), join(this.folder, name));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}
