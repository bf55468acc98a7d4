// What our client adds to a call: the caller's deadline, ids and cancellation go on, and what is away is tried again.
import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import { after, afterEach, before, describe, test } from "node:test";
import { type Client, Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { ConformanceService, type EchoRequest } from "#gen/ordermesh/testing/v1/conformance_service_pb.js";
import { detached, requestContext, runInContext } from "#platform/context.ts";
import { Clients } from "#platform/grpc/clients.ts";
import { listenOn } from "#platform/listen.ts";
import { launch, type RunningService } from "#platform/process/runtime.ts";
import { register } from "#platform/process/service.ts";
import { Conformance, type RunningConformance, startConformance, testEnvironment } from "./conformance.ts";

const limits = { defaultTimeoutMs: 10_000, maxMessageBytes: 1e6 };

/** A service whose Echo asks another service. */
class Relaying extends Conformance {
  readonly #target: Client<typeof ConformanceService>;

  constructor(target: Client<typeof ConformanceService>) {
    super();
    this.#target = target;
  }

  override async echo(request: EchoRequest, _context: HandlerContext) {
    const answer = await this.#target.echo(request);
    return { ...answer, text: `${requestContext().requestId}` };
  }
}

describe("calls from call to call", () => {
  let target: RunningConformance;
  let middle: RunningService;
  let clients: Clients;
  let client: Client<typeof ConformanceService>;
  before(async () => {
    target = await startConformance();
    clients = new Clients(limits);
    const definition = {
      name: "middle",
      config: {},
      build: (context: { client: Clients["client"] }) => {
        const inner = context.client(ConformanceService, `127.0.0.1:${target.grpcPort}`);
        return { services: [register(ConformanceService, new Relaying(inner))] };
      },
    };
    middle = await launch(definition, testEnvironment);
    client = clients.client(ConformanceService, `127.0.0.1:${middle.grpcPort}`);
  });
  after(async () => {
    clients.close();
    await middle.drain();
    await target.drain();
  });

  test("the callee has a little less time than the caller", async () => {
    const { remainingMs } = await client.echo({}, { timeoutMs: 2_000 });
    assert.ok(remainingMs > 0n && remainingMs < 2_000n, String(remainingMs));
  });

  test("the request id goes on", async () => {
    const answer = await client.echo({}, { headers: { "x-request-id": "one-for-all" } });
    assert.deepEqual([answer.text, answer.requestId], ["one-for-all", "one-for-all"]);
  });

  test("the callee knows which process calls, or for which user", async () => {
    const { implementation } = target;
    const anonymous = clients.client(ConformanceService, `127.0.0.1:${target.grpcPort}`);
    const actors: string[] = [];
    const note = () => actors.push(implementation.lastActor);
    await client.echo({}).then(note);
    await client.echo({}, { headers: { baggage: "tier=gold, user.id=ada%20l" } }).then(note);
    await anonymous.echo({}).then(note);
    assert.deepEqual(actors, ["service:middle", "ada l", "anonymous"]);
  });

  test("cancellation goes on", async () => {
    const controller = new AbortController();
    const call = client.echo({ hold: "cancelled" }, { signal: controller.signal }).catch((error: unknown) => error);
    await target.implementation.held("cancelled");
    controller.abort();
    const error = await call;
    assert.ok(error instanceof ConnectError && error.code === Code.Canceled);
    assert.ok(await target.implementation.gone("cancelled"));
  });

  test("an error of the callee reaches the caller with its details", async () => {
    const error = await client.echo({ error: 1 }).catch((reason: unknown) => reason);
    assert.ok(error instanceof ConnectError);
    assert.equal(error.code, Code.AlreadyExists);
    assert.equal(error.details.length, 1);
  });

  test("a call need not be made when nobody waits", async () => {
    const gone = { signal: AbortSignal.abort(), deadline: Date.now() + 1_000 };
    const error = await runInContext(gone, () => client.echo({}).catch((reason: unknown) => reason));
    assert.ok(error instanceof ConnectError && error.code === Code.Canceled);
    const late = await runInContext({ deadline: Date.now() - 1 }, () =>
      client.echo({}).catch((reason: unknown) => reason),
    );
    assert.ok(late instanceof ConnectError && late.code === Code.DeadlineExceeded);
    const answer = await runInContext(gone, () => detached(() => client.echo({ text: "goes on" })));
    assert.ok(answer.remainingMs > 1_000n, "detached work has the default deadline");
  });
});

/** Ends the first connections, then lets them through to a server. */
function flakyGate(port: number, refusals: number) {
  const sockets = new Set<Socket>();
  let left = refusals;
  const server = createServer((socket) => {
    if (left > 0) {
      left -= 1;
      socket.destroy();
      return;
    }
    sockets.add(socket);
    const through = new (socket.constructor as new () => Socket)().connect(port, "127.0.0.1");
    sockets.add(through);
    socket.on("error", () => through.destroy()).pipe(through);
    through.on("error", () => socket.destroy()).pipe(socket);
  });
  const close = (): void => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { server, close, refused: () => refusals - left };
}

describe("calls to what is away", () => {
  const ends: (() => Promise<void> | void)[] = [];
  afterEach(async () => {
    for (const end of ends.splice(0).reverse()) await end();
  });

  test("UNAVAILABLE is tried again", async () => {
    const service = await startConformance();
    ends.push(() => service.drain());
    const gate = flakyGate(service.grpcPort, 2);
    ends.push(gate.close);
    const clients = new Clients(limits);
    ends.push(() => clients.close());
    const port = await listenOn(gate.server, "127.0.0.1", 0);
    const answer = await clients.client(ConformanceService, `127.0.0.1:${port}`).echo({ text: "at last" });
    assert.equal(answer.text, "at last");
    assert.equal(gate.refused(), 2);
  });

  test("calls go to all replicas in turn", async () => {
    const replicas = await Promise.all([startConformance(), startConformance()]);
    for (const replica of replicas) ends.push(() => replica.drain());
    const clients = new Clients(limits);
    ends.push(() => clients.close());
    const address = `ipv4:${replicas.map(({ grpcPort }) => `127.0.0.1:${grpcPort}`).join(",")}`;
    const client = clients.client(ConformanceService, address);
    // The connection to one of them may be there before the other's.
    while (replicas.some(({ implementation }) => implementation.calls === 0)) await client.echo({});
    const before = replicas.map(({ implementation }) => implementation.calls);
    for (let call = 0; call < 10; call += 1) await client.echo({});
    const during = replicas.map(({ implementation }, index) => implementation.calls - (before[index] ?? 0));
    assert.deepEqual(during, [5, 5]);
  });
});
