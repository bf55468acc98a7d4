import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { issue, makeAuthority } from "./authority.ts";
import { apiUrl, network, nodeName, paths } from "./layout.ts";

/** Who talks to the API server, by the names that Kubernetes' own roles are bound to. */
const users = {
  admin: { user: "admin", groups: ["system:masters"] },
  "kube-controller-manager": { user: "system:kube-controller-manager", groups: [] },
  "kube-scheduler": { user: "system:kube-scheduler", groups: [] },
  "kube-proxy": { user: "system:kube-proxy", groups: [] },
  kubelet: { user: `system:node:${nodeName}`, groups: ["system:nodes"] },
  "network-policies": { user: "ordermesh:network-policies", groups: [] },
} as const;
export type User = keyof typeof users;

/** The files that prove who is who. */
export const keyFile = (name: string): string => join(paths.keys, name);

/** Where a user's kubeconfig is. */
export const kubeconfigOf = (user: User): string => join(paths.keys, `${user}.kubeconfig`);

/** Makes every key, certificate, token and kubeconfig, unless they are there. */
export async function makeKeys(): Promise<void> {
  if (existsSync(paths.kubeconfig)) return;
  mkdirSync(paths.keys, { recursive: true, mode: 0o700 });
  await makeAuthority(paths.keys, "ordermesh-cluster");
  const names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"];
  const addresses = [network.api, network.node, "127.0.0.1"];
  const everyName = [...names.map((name) => `DNS:${name}`), ...addresses.map((address) => `IP:${address}`)].join(",");
  const give = (name: string, subject: string, alternatives = "") => issue(paths.keys, { name, subject, alternatives });
  await give("api", "/CN=kube-apiserver", everyName);
  // The API server's own access to kubelets, and what it shows to the extension servers that it passes calls on to.
  await give("api-to-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet-client");
  await give("front-proxy", "/CN=front-proxy");
  await give("kubelet", `/O=system:nodes/CN=system:node:${nodeName}`, `DNS:${nodeName},IP:${network.node}`);
  makeAccountKeys();
  makeTokens();
}

function makeAccountKeys(): void {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const secret = privateKey.export({ type: "pkcs1", format: "pem" });
  writeFileSync(keyFile("accounts.key"), secret, { mode: 0o600 });
  const open = createPublicKey(createPrivateKey(secret)).export({ type: "spki", format: "pem" });
  writeFileSync(keyFile("accounts.pub"), open);
}

function makeTokens(): void {
  const lines: string[] = [];
  for (const [name, { user, groups }] of Object.entries(users)) {
    const token = randomBytes(24).toString("base64url");
    lines.push(`${token},${user},${name},"${groups.join(",")}"\n`);
    const file = name === "admin" ? paths.kubeconfig : kubeconfigOf(name as User);
    writeFileSync(file, kubeconfig(name, token), { mode: 0o600 });
  }
  writeFileSync(keyFile("tokens.csv"), lines.join(""), { mode: 0o600 });
}

/** JSON is YAML as well. */
function kubeconfig(user: string, token: string): string {
  const authority = readFileSync(keyFile("ca.crt")).toString("base64");
  const name = "ordermesh";
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    contexts: [{ name, context: { cluster: name, user } }],
    clusters: [{ name, cluster: { server: apiUrl, "certificate-authority-data": authority } }],
    users: [{ name: user, user: { token } }],
  });
}
