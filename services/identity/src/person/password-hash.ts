import { type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";

const run = promisify(argon2);

/** The least that OWASP's cheat sheet on storing passwords recommends for argon2id; memory is in KiB. */
const cost = { memory: 19_456, passes: 2, parallelism: 1 } as const;
const saltBytes = 16;
const tagBytes = 32;
/** The form of the Password Hashing Competition, which other libraries read and write. */
const form = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/;

type Cost = Pick<Argon2Parameters, "memory" | "passes" | "parallelism">;

/** How others may write the same letters is no reason to refuse a password: NIST SP 800-63B-4, section 3.1.1.2. */
function bytesOf(password: string): Buffer {
  return Buffer.from(password.normalize("NFKC"));
}

function base64(bytes: Buffer): string {
  return bytes.toString("base64").replace(/=+$/, "");
}

function tagOf(password: string, salt: Buffer, { memory, passes, parallelism }: Cost): Promise<Buffer> {
  const parameters = { message: bytesOf(password), nonce: salt, memory, passes, parallelism, tagLength: tagBytes };
  return run("argon2id", parameters);
}

/** Hashes passwords with argon2id, a few at a time: who waits is served in turn. */
export class PasswordHash {
  readonly #waiting: (() => void)[] = [];
  #free: number;
  /** What the password of nobody is compared with, so that it takes as long. */
  readonly #nobody: Promise<string>;

  /** @param lanes how many are hashed at the same time */
  constructor(lanes: number) {
    this.#free = lanes;
    this.#nobody = this.hash(randomBytes(saltBytes).toString("base64"));
    this.#nobody.catch(() => undefined);
  }

  /** The hash that is kept. */
  hash(password: string): Promise<string> {
    return this.#inLane(async () => {
      const salt = randomBytes(saltBytes);
      const tag = await tagOf(password, salt, cost);
      const { memory, passes, parallelism } = cost;
      return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(tag)}`;
    });
  }

  /** Whether it is the password of which this hash is kept. Of nobody it never is, which takes as long to find out. */
  async verify(password: string, kept: string | undefined): Promise<boolean> {
    const [, memory, passes, parallelism, salt = "", tag = ""] = form.exec(kept ?? (await this.#nobody)) ?? [];
    if (!memory) throw new Error("what is kept of a password is not in the form of argon2id");
    const given = { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism) };
    const found = await this.#inLane(() => tagOf(password, Buffer.from(salt, "base64"), given));
    const same = timingSafeEqual(found, Buffer.from(tag, "base64"));
    return kept !== undefined && same;
  }

  async #inLane<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}
