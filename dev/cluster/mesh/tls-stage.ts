import { serviceFacts } from "../../../services/services.ts";
import { untilSeen } from "../../observers/jaeger-query.ts";
import { Certificates } from "./certificates.ts";
import { change, imagesOf } from "./change.ts";
import { type Mesh, type Pod, require, type Stage, servingPods } from "./mesh.ts";
import { callerLabel, headlessAddress, mustSucceed, namespace, releaseName } from "./release.ts";
import { Visitor } from "./visitor.ts";

/** The kubelet brings a changed secret within about a minute and a half, and a service looks every ten seconds. */
const renewedWithinMs = 240_000;

/** TLS both ways, with certificates that somebody else has made. */
export const tlsStage: Stage = {
  name: "TLS both ways from given secrets, services known by their certificates, and those renewed without a restart",
  async run(mesh) {
    await using certificates = await Certificates.make();
    await mesh.cluster.kubectl.apply(certificates.secretObjects());
    const { running } = await imagesOf(mesh);
    const seconds = await change(mesh, running, {
      global: { tls: { enabled: true }, credentials: { certificates: true } },
    });
    mustSucceed("helm test", await mesh.release.test());
    const first = await deliver(mesh, certificates);
    const refused = [...(await requireRefusals(mesh, certificates)), await requireClosedHttp(mesh)];
    const renewed = await renew(mesh, certificates);
    return [
      `switched on in ${seconds} s, helm test passed, an order delivered after ${first} s`,
      `refused: ${refused.join(", ")}`,
      `${renewed}, an order after ${await deliver(mesh, certificates)} s`,
    ].join("; ");
  },
};

/** Places an order with a certificate. @returns seconds until it was delivered */
async function deliver({ caller }: Mesh, certificates: Certificates): Promise<string> {
  const { status, seconds } = await caller.as(certificates.proof()).placeOrder(120);
  require(status === "ORDER_STATUS_DELIVERED", `an order is ${status}`);
  return seconds.toFixed(1);
}

async function requireRefusals({ caller }: Mesh, certificates: Certificates): Promise<string[]> {
  await using foreign = await Certificates.make();
  const strangers = {
    "a caller without a certificate": ["-cacert", certificates.file("ca.crt")],
    "one of another authority": certificates.proof(foreign),
    "plain text": ["-plaintext"],
  };
  for (const [who, proof] of Object.entries(strangers)) {
    const { code, stderr } = await caller.as(proof).knock();
    require(code !== 0, `${who} was served`);
    // Not for another reason, after it was let in.
    require(/Failed to dial|code = Unavailable/.test(stderr), `${who} got as far as: ${stderr.trim()}`);
  }
  // Else nobody would have been served anyway.
  mustSucceed("a call with a certificate", await caller.as(certificates.proof()).knock());
  const { code, stderr } = await caller.as(certificates.proof()).knockInside();
  const isRefused = code !== 0 && /Code: PermissionDenied/.test(stderr);
  require(isRefused, `a caller from outside was not kept from what is for the worker: ${stderr.trim()}`);
  const other = await caller.as(certificates.proof(certificates, "payments")).knockInside();
  const isKept = other.code !== 0 && /Code: PermissionDenied/.test(other.stderr);
  require(isKept, `payments was not kept from what is for the worker: ${other.stderr.trim()}`);
  // The same key, over a connection with the worker's certificate.
  mustSucceed(
    "a call with the worker's certificate",
    await caller.as(certificates.proof(certificates, "worker")).knockInside(),
  );
  const inside = "a call for the worker alone";
  return [...Object.keys(strangers), `${inside} by a caller that is no service`, `${inside} by payments`];
}

/** Health and metrics are at the port in plain text, which is for nobody from outside once the other one speaks TLS. */
async function requireClosedHttp({ cluster, image }: Mesh): Promise<string> {
  await using visitor = await Visitor.start(cluster.kubectl, { name: "caller", image, labels: callerLabel });
  const http = `${releaseName}-orders:${serviceFacts.orders.http}`;
  const [grpc, metrics] = await visitor.reaches([headlessAddress("orders"), http]);
  require(grpc === true && metrics === false, `a caller reaches gRPC: ${grpc}, and metrics: ${metrics}`);
  return "metrics by a caller";
}

async function renew(mesh: Mesh, certificates: Certificates): Promise<string> {
  const before = await servingPods(mesh);
  const orders = before.filter(({ metadata }) => metadata.labels["app.kubernetes.io/name"] === "orders");
  const old = certificates.serial("orders");
  require((await serials(mesh, orders)).every((serial) => serial === old), "orders serves another certificate");
  await certificates.renew();
  await mesh.cluster.kubectl.apply(certificates.secretObjects());
  const start = performance.now();
  const next = certificates.serial("orders");
  await untilSeen(
    () => serials(mesh, orders),
    (seen) => seen.every((serial) => serial === next),
    renewedWithinMs,
  );
  const seconds = Math.round((performance.now() - start) / 1_000);
  const restarts = ({ metadata, status }: Pod) =>
    `${metadata.uid} ${status.containerStatuses.map(({ restartCount }) => restartCount)}`;
  const after = new Set((await servingPods(mesh)).map(restarts));
  require(before.every((pod) => after.has(restarts(pod))), "a pod was restarted");
  return `${orders.length} pods of orders served the renewed certificate after ${seconds} s, no pod restarted`;
}

/** The serial numbers of the certificates that pods of orders show to the worker. */
async function serials({ cluster }: Mesh, orders: readonly Pod[]): Promise<string[]> {
  const { grpc } = serviceFacts.orders;
  const script = `const { connect } = require("node:tls");
    const read = (name) => require("node:fs").readFileSync("/etc/ordermesh/tls/" + name);
    const shown = (host) => new Promise((resolve, reject) => {
      const names = { host, port: ${grpc}, servername: "${releaseName}-orders-headless", ALPNProtocols: ["h2"] };
      const socket = connect({ ...names, ca: read("ca.crt"), cert: read("tls.crt"), key: read("tls.key") });
      socket.once("error", reject).once("secureConnect", () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      });
    });
    Promise.all(process.argv.slice(1).map(shown)).then((all) => console.log(JSON.stringify(all)));
    setTimeout(() => process.exit(1), 10_000).unref();`;
  const addresses = orders.map(({ status }) => status.podIP);
  const exec = ["-n", namespace, "exec", `deployment/${releaseName}-worker`, "--", "node", "-e", script];
  return JSON.parse(await cluster.kubectl.run([...exec, ...addresses]));
}
