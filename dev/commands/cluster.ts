// `npm run cluster`: a one-node Kubernetes on this machine; `--help` says more.

import { presentCluster } from "../cluster/cluster.ts";
import { ClusterError } from "../cluster/errors.ts";
import { loadImage } from "../cluster/images.ts";
import { paths } from "../cluster/layout.ts";
import { installPackages, missingPackages, whyNoNode } from "../cluster/machine.ts";
import { nodeRuns, nodeStatus, startNode, stopNode } from "../cluster/node.ts";
import { buildPrograms } from "../cluster/programs.ts";
import { versions } from "../cluster/versions.ts";
import { ToolError } from "../tools/tool.ts";

const help = `A one-node Kubernetes ${versions.kubernetes} on this machine, for trying and testing. Linux, as root.

  npm run cluster up             start it; the first time its programs are built: 15 minutes or more
  npm run cluster status         what runs, and which cluster other commands here would take
  npm run cluster load <file>    put an image archive onto the node (npm run image -- --archive <file>)
  npm run cluster build          only build the programs
  npm run cluster down           end it and forget what was in it; images and programs stay

Then: export KUBECONFIG=${paths.kubeconfig}
Whoever has a cluster needs none of this: the commands of this repository take the one that KUBECONFIG or ~/.kube/config
leads to, when it answers.`;

const say = (line: string) => console.error(`  · ${line}`);

async function status(): Promise<void> {
  for (const line of nodeStatus()) console.log(line);
  const cluster = await presentCluster();
  if (!cluster) {
    console.log((await whyNoNode()) ?? "No cluster answers: `npm run cluster up` starts one.");
    return;
  }
  console.log(`\nThe cluster of ${cluster.kubectl.kubeconfig}:`);
  console.log(await cluster.kubectl.run(["get", "nodes,pods", "--all-namespaces", "-o", "wide"]));
}

async function build(): Promise<void> {
  const reason = await whyNoNode();
  if (reason) throw new ClusterError(reason);
  await installPackages(missingPackages(), say);
  await buildPrograms(say);
}

async function load(archive: string | undefined): Promise<void> {
  if (archive === undefined) throw new ClusterError("Say which archive: npm run cluster load <file>.");
  if (!nodeRuns()) throw new ClusterError("The node does not run: `npm run cluster up` starts it.");
  await loadImage(archive);
}

async function main([command = "--help", ...rest]: readonly string[]): Promise<void> {
  if (command === "up") {
    await startNode(say);
    console.log(`export KUBECONFIG=${paths.kubeconfig}`);
  } else if (command === "down") await stopNode();
  else if (command === "status") await status();
  else if (command === "build") await build();
  else if (command === "load") await load(rest[0]);
  else if (command === "--help") console.log(help);
  else throw new ClusterError(`There is no command "${command}".\n${help}`);
}

try {
  await main(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof ClusterError) && !(error instanceof ToolError)) throw error;
  console.error(error.message);
  process.exitCode = 1;
}
