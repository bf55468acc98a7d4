// biome-ignore lint/plugin/files: the file of MAIL_CA, a setting
import { readFile } from "node:fs/promises";
import { createTransport } from "nodemailer";
import { outsideText } from "#platform/redact/outside-text.ts";
import type { Secret } from "#platform/secret.ts";
import { domainOf, isMailAddress } from "./mail-address.ts";

/** How mails are sent, and as whom. */
export interface MailServerOptions {
  /** `smtp://host:587` or `smtps://host:465`. */
  readonly url: string;
  readonly username?: string | undefined;
  readonly password?: Secret | undefined;
  /** The file of the authority that signed the server's certificate; the machine's own unless given. */
  readonly caFile?: string | undefined;
  /** Whether nothing is sent without TLS. */
  readonly tls: boolean;
  readonly from: Mailbox;
  readonly replyTo?: string | undefined;
  readonly connections: number;
  /** For one mail, in milliseconds. */
  readonly timeoutMs: number;
}

/** An address with what people see before it. */
export interface Mailbox {
  /** Empty: the address alone. */
  readonly name: string;
  readonly address: string;
}

/** A mail to one person. */
export interface Mail {
  readonly to: Mailbox;
  /** What its Message-ID begins with: the same whenever it is sent. */
  readonly id: string;
  /** As `Content-Language` has it. */
  readonly language: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
}

/**
 * What became of a mail: the server has it; it never takes it; it may take it later; or the server is away, does not let us in, or has not said whether
 * it has it.
 */
export interface MailOutcome {
  readonly outcome: "sent" | "refused" | "deferred" | "away";
  /** Lower snake case, of a server its codes; empty for what is sent. */
  readonly reason: string;
}

type Transport = ReturnType<typeof transportOf>;

/** A mail server, by SMTP. */
export class MailServer {
  readonly #options: MailServerOptions;
  #transport: Promise<Transport> | undefined;

  constructor(options: MailServerOptions) {
    this.#options = options;
    options.password?.onChange(() => void this.close());
  }

  /** Sends a mail; says what became of it, and never throws. */
  async send(mail: Mail): Promise<MailOutcome> {
    if (!isMailAddress(mail.to.address)) return { outcome: "refused", reason: "no_mail_address" };
    try {
      const transport = await this.#open();
      await transport.sendMail(this.#messageOf(mail));
      return { outcome: "sent", reason: "" };
    } catch (error) {
      return outcomeOf(error);
    }
  }

  /** Gives its connections up. */
  async close(): Promise<void> {
    const transport = this.#transport;
    this.#transport = undefined;
    (await transport?.catch(() => undefined))?.close();
  }

  #messageOf({ to, id, language, subject, text, html }: Mail) {
    const { from, replyTo, timeoutMs } = this.#options;
    return {
      // As objects: of a text a library makes as many addresses as it finds in it.
      from: { ...from },
      to: { ...to },
      ...(replyTo && { replyTo: { name: "", address: replyTo } }),
      envelope: { from: from.address, to: [to.address] },
      messageId: `<${id}@${domainOf(from.address)}>`,
      // RFC 3834: so that nobody's absence is answered to the shop.
      headers: { "Auto-Submitted": "auto-generated", "Content-Language": language },
      subject,
      text,
      html,
      disableFileAccess: true,
      disableUrlAccess: true,
      signal: AbortSignal.timeout(timeoutMs),
    };
  }

  async #open(): Promise<Transport> {
    this.#transport ??= authorityOf(this.#options.caFile).then((ca) => transportOf(this.#options, ca));
    try {
      return await this.#transport;
    } catch (error) {
      this.#transport = undefined;
      throw error;
    }
  }
}

async function authorityOf(file: string | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : readFile(file, "utf8");
}

function transportOf(options: MailServerOptions, ca: string | undefined) {
  const { url, username, password, tls, connections, timeoutMs } = options;
  const { protocol, hostname, port } = new URL(url);
  return createTransport({
    pool: true,
    host: hostname.replace(/^\[|\]$/g, ""),
    port: Number(port),
    secure: protocol === "smtps:",
    requireTLS: tls,
    ignoreTLS: !tls,
    ...(ca !== undefined && { tls: { ca } }),
    ...(username && { auth: { user: username, pass: password?.text ?? "" } }),
    maxConnections: connections,
    // When a mail is sent again is the sender's to decide, not the library's.
    maxRequeues: 0,
    connectionTimeout: timeoutMs,
    greetingTimeout: timeoutMs,
    socketTimeout: timeoutMs,
    dnsTimeout: timeoutMs,
  });
}

/** What nodemailer says of a failure. */
interface Failure {
  readonly code?: unknown;
  readonly command?: unknown;
  readonly response?: unknown;
  readonly responseCode?: unknown;
}

/** What the server says of this mail, and not of whoever sends it. */
const ofTheMail = new Set(["RCPT TO", "DATA"]);

/** A conversation that went wrong, and logging in that is wanted, that is too weak, or failed: no other mail would get through. */
const ofUs = new Set([503, 530, 534, 535, 538]);

/** `smtp 550 5.1.1`; never the text, which repeats the address. */
function codesOf(code: number, response: unknown): string {
  const [, enhanced] = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})\b/.exec(String(response)) ?? [];
  return ["smtp", String(code), ...(enhanced ? [enhanced] : [])].join(" ");
}

/** What a failure says of the mail. */
export function outcomeOf(error: unknown): MailOutcome {
  const { code, command, response, responseCode } = error as Failure;
  if (typeof responseCode === "number" && ofTheMail.has(String(command))) {
    const reason = codesOf(responseCode, response);
    if (responseCode >= 500 && !ofUs.has(responseCode)) return { outcome: "refused", reason };
    if (responseCode >= 400 && responseCode < 500 && responseCode !== 421) return { outcome: "deferred", reason };
  }
  const said = typeof responseCode === "number" ? codesOf(responseCode, response) : String(code ?? "unknown");
  return { outcome: "away", reason: outsideText(said.toLowerCase(), 64) };
}
