import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { buffer } from "node:stream/consumers";
import PostalMime from "postal-mime";
import { SMTPServer, type SMTPServerAddress, type SMTPServerDataStream, type SMTPServerSession } from "smtp-server";

/** A mail as it came. */
export interface ReceivedMail {
  /** Whom the server was told that it goes to; what the mail itself says is in `to`. */
  readonly recipients: readonly string[];
  readonly to: readonly { readonly name: string; readonly address: string }[];
  readonly from: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly messageId: string;
  /** By their names in small letters. */
  readonly headers: Readonly<Record<string, string>>;
}

/** What a mail server says of a recipient, or of a mail, instead of taking it. */
export interface Refusal {
  /** Of SMTP: 451, 550. */
  readonly code: number;
  /** What follows the code. */
  readonly says: string;
}

/** How a mail server behaves; what is left out it does as it should. */
export interface Behaviour {
  /** Undefined: taken. */
  readonly recipient?: (address: string) => Refusal | undefined;
  /** The same of a mail that has come, as a whole. */
  readonly message?: (mail: ReceivedMail) => Refusal | undefined;
  /** Whether the connection ends before it is said that a mail is taken, which it is. */
  readonly losesAnswer?: (mail: ReceivedMail) => boolean;
}

/** So many of the last mails are kept. */
const most = 1_000;
const host = "127.0.0.1";

function refuse({ code, says }: Refusal): Error {
  return Object.assign(new Error(says), { responseCode: code });
}

/** A mail server that delivers nothing, and shows what came; for a developer's machine, and for tests, which may have it misbehave. */
export class Mailbox implements AsyncDisposable {
  /** As it behaves from now on. */
  behaviour: Behaviour = {};
  readonly #mails: ReceivedMail[] = [];
  #server: SMTPServer | undefined;
  #port: number;

  private constructor(port: number) {
    this.#port = port;
  }

  /** @param port 0 takes any free port */
  static async start(port = 0): Promise<Mailbox> {
    const mailbox = new Mailbox(port);
    await mailbox.open();
    return mailbox;
  }

  /** `smtp://127.0.0.1:1025`. */
  get url(): string {
    return `smtp://${host}:${this.#port}`;
  }

  /** What came, the oldest first. */
  get mails(): readonly ReceivedMail[] {
    return this.#mails;
  }

  /** Forgets what came. */
  clear(): void {
    this.#mails.length = 0;
  }

  /** Listens, again after it was closed at the same port. */
  async open(): Promise<void> {
    const server = new SMTPServer({
      authOptional: true,
      disabledCommands: ["AUTH", "STARTTLS"],
      disableReverseLookup: true,
      hideENHANCEDSTATUSCODES: true,
      closeTimeout: 100,
      logger: false,
      onRcptTo: (address, _session, callback) => this.#hear(address, callback),
      onData: (stream, session, callback) => {
        this.#take(stream, session).then((refusal) => callback(refusal && refuse(refusal)), callback);
      },
    });
    // A client that breaks off is no fault of the server.
    server.on("error", () => undefined);
    const listener = server.listen(this.#port, host);
    await once(listener, "listening");
    this.#port = (listener.address() as AddressInfo).port;
    this.#server = server;
  }

  /** Ends all connections; nobody answers from then on. */
  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server) await new Promise<void>((resolve) => server.close(resolve));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #hear({ address }: SMTPServerAddress, callback: (error?: Error) => void): void {
    const refusal = this.behaviour.recipient?.(address);
    callback(refusal && refuse(refusal));
  }

  async #take(stream: SMTPServerDataStream, session: SMTPServerSession): Promise<Refusal | undefined> {
    const mail = await read(await buffer(stream), session);
    const refusal = this.behaviour.message?.(mail);
    if (refusal) return refusal;
    this.#mails.push(mail);
    if (this.#mails.length > most) this.#mails.shift();
    if (!this.behaviour.losesAnswer?.(mail)) return undefined;
    this.#cut();
    return { code: 421, says: "nobody hears this" };
  }

  /** Ends every connection without a word, and goes on listening. */
  #cut(): void {
    for (const connection of this.#server?.connections ?? []) connection._socket.destroy();
  }
}

async function read(raw: Buffer, { envelope }: SMTPServerSession): Promise<ReceivedMail> {
  const { to = [], from, subject = "", text = "", html = "", messageId = "", headers } = await PostalMime.parse(raw);
  return {
    recipients: envelope.rcptTo.map(({ address }) => address),
    to: to.map(({ name = "", address = "" }) => ({ name, address })),
    from: from?.address ?? "",
    subject,
    text,
    html,
    messageId,
    headers: Object.fromEntries(headers.map(({ key, value }) => [key, value])),
  };
}
