// The broker as deploy/infrastructure installs it: by its configuration, over TLS, with the rights that services have there.
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { parseAllDocuments } from "yaml";
import { NatsBroker } from "#platform/events/nats-broker.ts";
import { NatsStream } from "#platform/events/nats-stream.ts";
import { Authority } from "#testing/certificates.ts";
import { secretOf } from "#testing/secret.ts";
import { until } from "#testing/until.ts";
import { root } from "../../../deploy/command/checkout.ts";
import { wantedSecrets } from "../../../deploy/infrastructure/secrets.ts";
import { tool } from "../../tools/tool.ts";
import { freePorts } from "../free-ports.ts";

const stream = { name: "ordermesh", maxAgeMs: 3_600_000, maxBytes: 64 * 1024 * 1024, replicas: 1 };
const event = {
  address: "ordermesh.orders.order.confirmed",
  event: {
    attributes: {
      specversion: "1.0",
      id: "one",
      source: "/ordermesh/orders",
      type: "shop.orders.order.confirmed.v1",
      subject: "an order",
      time: new Date(0).toISOString(),
      datacontenttype: "application/json",
      dataschema: "#shop.events.v1.OrderEvent",
    } as const,
    data: Buffer.from("{}"),
  },
};

/** The configuration of the resources, with places of this machine. */
function configurationFor(folder: string, ports: { readonly nats: number; readonly natsMonitor: number }): string {
  const documents = parseAllDocuments(readFileSync(join(root, "deploy/infrastructure/resources/nats.yaml"), "utf8"));
  const map = documents.map((document) => document.toJS()).find(({ kind }) => kind === "ConfigMap");
  const text: string = map.data["nats.conf"];
  return text
    .replace("port: 4222", `listen: "127.0.0.1:${ports.nats}"`)
    .replace("http_port: 8222", `http: "127.0.0.1:${ports.natsMonitor}"`)
    .replace("/tmp/nats.pid", join(folder, "nats.pid"))
    .replace("store_dir: /data", `store_dir: "${join(folder, "data")}"`)
    .replace("/tls/tls.crt", join(folder, "localhost.crt"))
    .replace("/tls/tls.key", join(folder, "localhost.key"));
}

describe("the broker of the infrastructure", () => {
  let authority: Authority;
  let child: ChildProcess;
  let server: string;
  const wanted = wantedSecrets();
  const secretNamed = (name: string) =>
    wanted.find(({ secret }) => secret.metadata.name === name)?.secret.stringData ?? {};
  const [user, listener] = [secretNamed("ordermesh-events"), secretNamed("ordermesh-events-listener")];

  before(async () => {
    authority = await Authority.create();
    const files = await authority.issue("localhost");
    const { observers: ports } = await freePorts();
    const { folder } = authority;
    mkdirSync(join(folder, "data"));
    const configuration = configurationFor(folder, ports)
      .replace(join(folder, "localhost.crt"), files.GRPC_TLS_CERT)
      .replace(join(folder, "localhost.key"), files.GRPC_TLS_KEY);
    writeFileSync(join(folder, "nats.conf"), configuration);
    writeFileSync(join(folder, "users.conf"), user["users.conf"] ?? "");
    child = spawn(await tool("nats-server"), ["--config", join(folder, "nats.conf")], { stdio: "ignore" });
    await until(async () => (await fetch(`http://127.0.0.1:${ports.natsMonitor}/healthz`)).ok, "it is up");
    server = `tls://localhost:${ports.nats}`;
  });
  after(async () => {
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    await authority[Symbol.asyncDispose]();
  });

  const brokerAs = (password: string, caFile: string | undefined) =>
    new NatsBroker({
      servers: [server],
      name: "orders",
      stream,
      username: user.username,
      password: secretOf(password),
      caFile,
    });

  test("takes what services tell, who may make their stream and write to it", async () => {
    const broker = brokerAs(user.password ?? "", join(authority.folder, "ca.crt"));
    for (let round = 0; round < 2; round += 1) {
      assert.deepEqual(await broker.deliver([event]), { arrived: 1, error: undefined });
      await broker.close();
    }
  });

  test("lets them read nothing", async () => {
    const tls = { caFile: join(authority.folder, "ca.crt") };
    const connection = await connect({ servers: server, user: user.username ?? "", pass: user.password ?? "", tls });
    const consumers = jetstream(connection, { timeout: 1_000 }).consumers;
    await assert.rejects(consumers.get("ordermesh", { filter_subjects: "ordermesh.>" }), /permissions|timeout/i);
    await connection.close();
  });

  for (const name of ["notifications", "webhooks"]) {
    test(`lets ${name} read, and tell nothing`, async () => {
      const caFile = join(authority.folder, "ca.crt");
      const teller = brokerAs(user.password ?? "", caFile);
      await teller.deliver([event]);
      await teller.close();
      const password = secretOf(listener.password ?? "");
      const nats = { servers: [server], name, stream, username: listener.username, password, caFile };
      const reader = new NatsStream(nats);
      const end = await reader.end();
      const { messages, place } = await reader.after(0, 10);
      assert.equal(messages[0]?.subject, event.address);
      assert.equal(place, end);
      assert.deepEqual((await reader.after(place, 10)).messages, []);
      await reader.close();
      const broker = new NatsBroker(nats);
      assert.equal((await broker.deliver([event])).arrived, 0);
      await broker.close();
    });
  }

  test("lets in nobody with another password, and is believed by nobody who does not know its authority", async () => {
    await assert.rejects(brokerAs("wrong", join(authority.folder, "ca.crt")).open(), /authoriz/i);
    await assert.rejects(brokerAs(user.password ?? "", undefined).open(), /certificate|self.signed|issuer/i);
  });
});
