import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { killed } from "#testing/killed.ts";
import { until } from "#testing/until.ts";
import { freePorts } from "../stack/free-ports.ts";
import { tool } from "../tools/tool.ts";

/** What a server refuses of a conversation: with a code of SMTP from 400 to 599, so many times in a hundred. */
export interface Trigger {
  readonly ErrorCode: number;
  readonly Probability: number;
}

/** What a server refuses; what is left out it takes. */
export type Chaos = { readonly [asked in "Sender" | "Recipient" | "Authentication"]?: Trigger };

interface Address {
  readonly Name: string;
  readonly Address: string;
}

/** A mail that came, as mailpit's API lists it. */
export interface ListedMail {
  /** Of mailpit, to ask for more by. */
  readonly ID: string;
  /** Without its brackets. */
  readonly MessageID: string;
  readonly From: Address;
  readonly To: readonly Address[];
  readonly Cc: readonly Address[];
  /** Whom the server was told that it goes to, and the mail itself does not say. */
  readonly Bcc: readonly Address[];
  readonly Subject: string;
  /** Who logged in; empty: nobody. */
  readonly Username: string;
}

/** The same, read. */
export interface ReadMail extends ListedMail {
  readonly ReturnPath: string;
  readonly Text: string;
  readonly HTML: string;
  readonly Attachments: readonly unknown[];
  readonly Inline: readonly unknown[];
}

/** A mail server of somebody else's that can be told to refuse, killed, frozen, and started again with what it had kept. */
export class Mailpit implements AsyncDisposable {
  readonly #folder = mkdtempSync(join(tmpdir(), "ordermesh-mailpit-"));
  readonly #ports: { readonly mail: number; readonly mailPage: number };
  readonly #settings: readonly string[];
  #child: ChildProcess | undefined;

  private constructor(ports: { readonly mail: number; readonly mailPage: number }, settings: readonly string[]) {
    this.#ports = ports;
    this.#settings = settings;
  }

  /** @param settings more of mailpit's own @throws ToolError when there is none, and none can be had */
  static async start(...settings: string[]): Promise<Mailpit> {
    await tool("mailpit");
    const server = new Mailpit((await freePorts()).observers, settings);
    await server.run();
    return server;
  }

  /** Where it takes mails, by SMTP. */
  get port(): number {
    return this.#ports.mail;
  }

  get url(): string {
    return `smtp://127.0.0.1:${this.port}`;
  }

  /** Starts it, with what it kept, and refusing nothing. */
  async run(): Promise<void> {
    const places = ["--smtp", `127.0.0.1:${this.port}`, "--listen", `127.0.0.1:${this.#ports.mailPage}`];
    const kept = ["--database", join(this.#folder, "mails.db"), "--max", "0"];
    const alone = ["--disable-version-check", "--smtp-disable-rdns", "--enable-chaos", "--quiet"];
    this.#child = spawn(await tool("mailpit"), [...places, ...kept, ...alone, ...this.#settings], { stdio: "ignore" });
    const ready = `http://127.0.0.1:${this.#ports.mailPage}/readyz`;
    await until(async () => (await fetch(ready)).ok, "mailpit is up", { deadlineMs: 30_000, everyMs: 20 });
  }

  /** SIGSTOP freezes it, SIGCONT has it go on. */
  signal(name: NodeJS.Signals): void {
    this.#child?.kill(name);
  }

  kill(): Promise<void> {
    return killed(this.#child);
  }

  /** What it refuses from now on; nothing by default. */
  async refuse(chaos: Chaos = {}): Promise<void> {
    await this.#ask("chaos", { method: "PUT", body: JSON.stringify(chaos) });
  }

  /** What came, the oldest first. */
  async mails(): Promise<ListedMail[]> {
    const { messages } = await this.#ask<{ messages: ListedMail[] }>("messages?limit=10000");
    return messages.reverse();
  }

  read({ ID }: ListedMail): Promise<ReadMail> {
    return this.#ask(`message/${ID}`);
  }

  /** The fields of its head, as they were written. */
  headers({ ID }: ListedMail): Promise<Readonly<Record<string, readonly string[]>>> {
    return this.#ask(`message/${ID}/headers`);
  }

  /** What of its HTML some mail programs do not show as it is, by the names of caniemail.com. */
  async unsupported({ ID }: ListedMail): Promise<string[]> {
    const { Warnings } = await this.#ask<{ Warnings: { Slug: string }[] | null }>(`message/${ID}/html-check`);
    return (Warnings ?? []).map(({ Slug }) => Slug);
  }

  /** The links in it. */
  async links({ ID }: ListedMail): Promise<readonly unknown[]> {
    return (await this.#ask<{ Links: unknown[] | null }>(`message/${ID}/link-check`)).Links ?? [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #ask<T>(path: string, init: RequestInit = {}): Promise<T> {
    const url = `http://127.0.0.1:${this.#ports.mailPage}/api/v1/${path}`;
    const response = await fetch(url, { ...init, signal: AbortSignal.timeout(10_000) });
    if (!response.ok) throw new Error(`mailpit: ${response.status} ${await response.text()}`);
    return (await response.json()) as T;
  }
}
