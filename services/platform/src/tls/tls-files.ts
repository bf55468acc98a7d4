import { X509Certificate } from "node:crypto";
// biome-ignore lint/plugin/files: files that the settings name
import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import type { experimental } from "@grpc/grpc-js";
import { ConfigError } from "#platform/config.ts";
import type { Logger } from "#platform/log/logger.ts";
import { tlsCertificateValidity } from "#platform/metrics/process-metrics.ts";

/** Where a process has its certificate, its key and the certificates of those whom it trusts: paths of PEM files. */
export interface TlsConfig {
  readonly GRPC_TLS_CERT?: string | undefined;
  readonly GRPC_TLS_KEY?: string | undefined;
  readonly GRPC_TLS_CA?: string | undefined;
  /** How often the files are read again, in milliseconds. */
  readonly GRPC_TLS_REFRESH_MS: number;
}

/** What one end of TLS shows and whom it trusts, in PEM, as Node takes it. */
export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  readonly ca: Buffer;
}

type FileLog = Pick<Logger, "info" | "warn">;
type Paths = Readonly<Record<keyof TlsMaterial, string>>;

/**
 * The files of TLS, read again and again. Whoever uses them is told of new ones only once all of them fit together: while they are being
 * swapped one after the other, or when they cannot be used, those before go on. grpc-js's own reader would have its server take no
 * connection meanwhile.
 */
export class TlsFiles implements experimental.CertificateProvider, Disposable {
  readonly #paths: Paths;
  readonly #log: FileLog | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #listeners = new Set<(material: TlsMaterial) => void>();
  readonly #caListeners = new Set<experimental.CaCertificateUpdateListener>();
  readonly #identityListeners = new Set<experimental.IdentityCertificateUpdateListener>();
  #material: TlsMaterial;
  #trouble = "";

  private constructor(paths: Paths, everyMs: number, log: FileLog | undefined) {
    this.#paths = paths;
    this.#log = log;
    this.#material = usable(read(paths), paths);
    this.#measure();
    this.#timer = setInterval(() => this.#look(), everyMs);
    this.#timer.unref();
  }

  /**
   * The files that a configuration names; undefined when it names none.
   *
   * @throws ConfigError when it names only some of them, or one cannot be used
   */
  static open(config: TlsConfig, log?: FileLog): TlsFiles | undefined {
    const { GRPC_TLS_CERT: cert, GRPC_TLS_KEY: key, GRPC_TLS_CA: ca } = config;
    if (!cert && !key && !ca) return undefined;
    if (!cert || !key || !ca) {
      throw new ConfigError("GRPC_TLS_CERT, GRPC_TLS_KEY and GRPC_TLS_CA are set together or not at all");
    }
    try {
      return new TlsFiles({ cert, key, ca }, config.GRPC_TLS_REFRESH_MS, log);
    } catch (error) {
      throw new ConfigError((error as Error).message);
    }
  }

  /** What is in use. */
  get material(): TlsMaterial {
    return this.#material;
  }

  /** Tells of each later change. */
  onChange(listener: (material: TlsMaterial) => void): void {
    this.#listeners.add(listener);
  }

  #look(): void {
    try {
      const next = read(this.#paths);
      const names = Object.keys(next) as (keyof TlsMaterial)[];
      if (names.every((name) => next[name].equals(this.#material[name]))) return;
      this.#material = usable(next, this.#paths);
      this.#trouble = "";
    } catch (error) {
      const { message } = error as Error;
      if (message !== this.#trouble) this.#log?.warn(`the certificate stays as it was: ${message}`);
      this.#trouble = message;
      return;
    }
    this.#measure();
    this.#log?.info(`the certificate was read anew; it ends ${new X509Certificate(this.#material.cert).validTo}`);
    for (const listener of this.#listeners) listener(this.#material);
    for (const listener of this.#caListeners) listener(this.#caUpdate);
    for (const listener of this.#identityListeners) listener(this.#identityUpdate);
  }

  #measure(): void {
    const { validFromDate, validToDate } = new X509Certificate(this.#material.cert);
    tlsCertificateValidity.set({ edge: "begin" }, validFromDate.getTime() / 1000);
    tlsCertificateValidity.set({ edge: "end" }, validToDate.getTime() / 1000);
  }

  get #caUpdate(): experimental.CaCertificateUpdate {
    return { caCertificate: this.#material.ca };
  }

  get #identityUpdate(): experimental.IdentityCertificateUpdate {
    return { certificate: this.#material.cert, privateKey: this.#material.key };
  }

  addCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#caListeners.add(listener);
    process.nextTick(() => listener(this.#caUpdate));
  }

  removeCaCertificateListener(listener: experimental.CaCertificateUpdateListener): void {
    this.#caListeners.delete(listener);
  }

  addIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identityListeners.add(listener);
    process.nextTick(() => listener(this.#identityUpdate));
  }

  removeIdentityCertificateListener(listener: experimental.IdentityCertificateUpdateListener): void {
    this.#identityListeners.delete(listener);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

function readOne(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (cause) {
    throw new Error(`the file ${path}, which TLS needs, cannot be read (${(cause as NodeJS.ErrnoException).code})`, {
      cause,
    });
  }
}

function read({ cert, key, ca }: Paths): TlsMaterial {
  return { cert: readOne(cert), key: readOne(key), ca: readOne(ca) };
}

/** @throws Error that names the file that is no PEM of its kind, or says that certificate and key are no pair */
function usable(material: TlsMaterial, paths: Paths): TlsMaterial {
  for (const name of ["cert", "ca"] as const) {
    try {
      new X509Certificate(material[name]);
    } catch (cause) {
      throw new Error(`the file ${paths[name]} holds no certificate in PEM`, { cause });
    }
  }
  try {
    createSecureContext(material);
  } catch (cause) {
    const message = `the key in ${paths.key} is not usable, or not that of the certificate in ${paths.cert}`;
    throw new Error(message, { cause });
  }
  return material;
}
