import { join } from "node:path";
import { run } from "../../deploy/command/run.ts";

const validDays = "3650";
const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-noenc"];

/** Whom a certificate is for. */
export interface Holder {
  /** What the files are called. */
  readonly name: string;
  /** As openssl takes it, for example `/CN=orders`. */
  readonly subject: string;
  /** The names under which it is called, for example `DNS:orders,IP:10.0.0.1`; may be empty. */
  readonly alternatives: string;
}

async function openssl(folder: string, name: string, args: readonly string[]): Promise<void> {
  const files = ["-keyout", join(folder, `${name}.key`), "-out", join(folder, `${name}.crt`)];
  await run("openssl", ["req", "-x509", ...curve, "-days", validDays, ...args, ...files], { timeoutMs: 20_000 });
}

/** Makes an authority: `ca.crt` and `ca.key` in the folder. */
export function makeAuthority(folder: string, name: string): Promise<void> {
  return openssl(folder, "ca", ["-subj", `/CN=${name}`]);
}

/** Makes a certificate of the folder's authority, for both ends of a connection: `<name>.crt` and `<name>.key` beside it. */
export function issue(folder: string, { name, subject, alternatives }: Holder): Promise<void> {
  const authority = ["-CA", join(folder, "ca.crt"), "-CAkey", join(folder, "ca.key")];
  const extensions = [
    "basicConstraints=critical,CA:FALSE",
    "extendedKeyUsage=serverAuth,clientAuth",
    ...(alternatives === "" ? [] : [`subjectAltName=${alternatives}`]),
  ].flatMap((extension) => ["-addext", extension]);
  return openssl(folder, name, ["-subj", subject, ...authority, ...extensions]);
}
