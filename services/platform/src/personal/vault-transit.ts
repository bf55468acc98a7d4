import { z } from "zod";
import { readSecretFile, type Secret } from "#platform/secret.ts";
import { type DataKey, isAway, type KeyService, keyServiceAway } from "./envelope-keys.ts";

/** Where Vault's transit engine is, and how a process proves there who it is. */
export interface VaultOptions {
  /** For example `https://vault.vault:8200`. */
  readonly address: string;
  /** Where the transit engine is mounted. */
  readonly mount: string;
  /** The name of its key. */
  readonly key: string;
  /** Of an enterprise Vault; undefined: none. */
  readonly namespace?: string | undefined;
  /** A token to call with, or how one is had from Vault for the token that Kubernetes gives a pod. */
  readonly login: Secret | KubernetesLogin;
  /** How long one call may take, in milliseconds. */
  readonly timeoutMs: number;
  /** Now, in milliseconds; the clock's unless given. */
  readonly now?: () => number;
}

/** Vault's Kubernetes auth method. */
export interface KubernetesLogin {
  /** Where it is mounted. */
  readonly mount: string;
  readonly role: string;
  /** The file with the token of the service account; read anew at each login, since Kubernetes replaces it. */
  readonly tokenFile: string;
}

/** A token of Vault's. */
interface Token {
  readonly text: string;
  /** When it is to be renewed, and when it ends; in milliseconds. Never, when it is given. */
  readonly renewFrom: number;
  readonly end: number;
  readonly renewable: boolean;
}

const auth = z.object({
  auth: z.object({ client_token: z.string().min(1), lease_duration: z.number(), renewable: z.boolean() }),
});
const made = z.object({
  data: z.object({ plaintext: z.base64(), ciphertext: z.string().regex(/^vault:v\d+:[\w+/=-]+$/) }),
});
const opened = z.object({ data: z.object({ plaintext: z.base64() }) });

/** A token is renewed when this share of its time is over. */
const renewAt = 1 / 2;
const keyBytes = 32;

/** Vault's transit engine: it makes and opens keys, and its master key never leaves it. */
export class VaultTransit implements KeyService {
  readonly prefix: string;
  readonly #options: VaultOptions;
  readonly #now: () => number;
  #token: Token | undefined;
  #loggingIn: Promise<Token> | undefined;

  constructor(options: VaultOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    this.prefix = `vault:${options.key}:`;
  }

  /** Vault counts the versions of a key; each of them is a master key of its own. */
  formerOf(master: string): readonly string[] {
    const version = Number(master.slice(this.prefix.length + 1));
    return Array.from({ length: Math.max(0, version - 1) }, (_, index) => `${this.prefix}v${index + 1}`);
  }

  async make(): Promise<DataKey> {
    const { data } = made.parse(await this.#transit("datakey/plaintext", { bits: 8 * keyBytes }));
    const [, version = ""] = data.ciphertext.split(":");
    return { master: this.prefix + version, plain: keyOf(data.plaintext), sealed: data.ciphertext };
  }

  async open(sealed: string): Promise<Buffer> {
    const { data } = opened.parse(await this.#transit("decrypt", { ciphertext: sealed }));
    return keyOf(data.plaintext);
  }

  /** A token that is refused was revoked, or Vault lost it: one more is had, once. */
  async #transit(what: string, body: object): Promise<unknown> {
    const path = `${this.#options.mount}/${what}/${encodeURIComponent(this.#options.key)}`;
    const token = await this.#validToken();
    const first = await this.#call(path, body, token.text);
    if (first.status !== 403) return this.#answer(first);
    // biome-ignore lint/plugin/timing: whether it is the same object, and no text
    if (this.#token === token) this.#token = undefined;
    return this.#answer(await this.#call(path, body, (await this.#validToken()).text));
  }

  async #validToken(): Promise<Token> {
    const { login } = this.#options;
    if (!("role" in login)) return { text: login.text, renewFrom: Infinity, end: Infinity, renewable: false };
    const token = this.#token;
    if (token && this.#now() < token.renewFrom) return token;
    this.#loggingIn ??= this.#another(login, token).finally(() => {
      this.#loggingIn = undefined;
    });
    return this.#loggingIn;
  }

  /** One that is valid still is of use even while no other one is to be had. */
  async #another(login: KubernetesLogin, token: Token | undefined): Promise<Token> {
    const isValid = token !== undefined && this.#now() < token.end;
    try {
      this.#token = (isValid && token.renewable && (await this.#renew(token))) || (await this.#login(login));
      return this.#token;
    } catch (error) {
      if (isValid && isAway(error)) return token;
      throw error;
    }
  }

  /** Undefined when Vault renews it no more: its longest time is over. */
  async #renew({ text }: Token): Promise<Token | undefined> {
    const answer = await this.#call("auth/token/renew-self", {}, text);
    return answer.status === 200 ? this.#toToken(await this.#answer(answer)) : undefined;
  }

  async #login({ mount, role, tokenFile }: KubernetesLogin): Promise<Token> {
    const answer = await this.#call(`auth/${mount}/login`, { role, jwt: readSecretFile(tokenFile) });
    return this.#toToken(await this.#answer(answer));
  }

  #toToken(answer: unknown): Token {
    const { client_token: text, lease_duration: seconds, renewable } = auth.parse(answer).auth;
    // Nought is one that does not end.
    const ms = seconds === 0 ? Infinity : 1000 * seconds;
    return { text, renewFrom: this.#now() + ms * renewAt, end: this.#now() + ms, renewable };
  }

  async #call(path: string, body: object, token?: string): Promise<Response> {
    const { address, namespace, timeoutMs } = this.#options;
    const headers: Record<string, string> = { "content-type": "application/json", "x-vault-request": "true" };
    if (token !== undefined) headers["x-vault-token"] = token;
    if (namespace !== undefined) headers["x-vault-namespace"] = namespace;
    try {
      const signal = AbortSignal.timeout(timeoutMs);
      const url = `${address.replace(/\/+$/, "")}/v1/${path}`;
      return await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal, redirect: "error" });
    } catch (cause) {
      throw keyServiceAway("vault", "does not answer", cause);
    }
  }

  async #answer(response: Response): Promise<unknown> {
    const { status } = response;
    if (status === 200) {
      // biome-ignore lint/plugin/json: of the Vault that the settings name, within the time of the call
      return response.json().catch((cause: unknown) => {
        throw keyServiceAway("vault", "does not answer to its end", cause);
      });
    }
    await response.body?.cancel().catch(() => undefined);
    // Who asks cannot tell a policy that is just being written from one that never will be: both are asked again.
    if (status === 403) throw keyServiceAway("vault", "refuses this service: see its role and policy");
    if (status === 400)
      throw new Error("Vault's transit engine refuses what it is given: another key sealed it, or it was changed");
    throw keyServiceAway("vault", `answers with ${status}`);
  }
}

function keyOf(plaintext: string): Buffer {
  const key = Buffer.from(plaintext, "base64");
  if (key.length !== keyBytes) throw new Error(`a key of Vault's has ${key.length} bytes, and not ${keyBytes}`);
  return key;
}
