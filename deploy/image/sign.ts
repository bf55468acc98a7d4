import { run } from "../command/run.ts";

/** What is signed, and with what. */
export interface Signing {
  /** The image in its registry, by its digest: `registry.example/ordermesh@sha256:…`. */
  readonly image: string;
  /** The file of its bill of materials, as CycloneDX. */
  readonly bill: string;
  /** The private key as cosign takes it: a file, `env://NAME`, or one of a key service, such as `awskms:///alias/release`. */
  readonly key: string;
}

/**
 * What keeps cosign from asking anybody outside, and has it write what every admission controller reads: signatures under tags of their own.
 * cosign 3 would do otherwise, and asks for a configuration of its public services even when there is a key (sigstore/cosign#4550).
 */
const byKeyAlone = ["--yes", "--tlog-upload=false", "--use-signing-config=false", "--new-bundle-format=false"] as const;

const timeoutMs = 120_000;

/** What this machine lacks to sign, as a part of a sentence; undefined when it can. */
export async function whyNotSigned(): Promise<string | undefined> {
  return run("cosign", ["version"], { timeoutMs: 20_000 }).then(
    () => undefined,
    () => "cosign is not on PATH (`npm run tools -- cosign` builds one and says where it is)",
  );
}

/** An image by its digest in the registry that its tag names. */
export function byDigest(tag: string, digest: string): string {
  return `${tag.replace(/:[^:/]+$/, "")}@${digest}`;
}

/**
 * Signs an image in its registry, and beside it the statement that this is its bill of materials. Signed is the digest, so nobody can
 * put another image or another bill in their places.
 *
 * @throws Error with what cosign said
 */
export async function signImage({ image, bill, key }: Signing): Promise<void> {
  const options = { timeoutMs, keepOutput: true };
  await run("cosign", ["sign", ...byKeyAlone, "--key", key, image], options);
  const statement = ["--type", "cyclonedx", "--predicate", bill];
  await run("cosign", ["attest", ...byKeyAlone, "--key", key, ...statement, image], options);
}
