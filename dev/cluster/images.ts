import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { run } from "../../deploy/command/run.ts";
import { paths } from "./layout.ts";
import { programPath } from "./programs.ts";

/** containerd's own client, on the node's images. */
export async function ctr(args: readonly string[], timeoutMs = 60_000): Promise<string> {
  return run("ctr", ["-a", paths.socket, "-n", "k8s.io", ...args], { timeoutMs });
}

/** Puts an image that was saved to a file onto the node. */
export async function loadImage(archive: string): Promise<void> {
  await ctr(["images", "import", archive], 300_000);
}

/** Whether the node has an image. */
export async function hasImage(tag: string): Promise<boolean> {
  return (await ctr(["images", "ls", "-q", `name==${tag}`])).trim() !== "";
}

/** Puts `localhost/<program>:local` onto the node: an image that holds nothing but that one static program. */
export async function loadProgram(name: "pause" | "coredns" | "metrics-server"): Promise<void> {
  const tag = `localhost/${name}:local`;
  if (await hasImage(tag)) return;
  const folder = await mkdtemp(join(tmpdir(), "ordermesh-program-"));
  try {
    await loadImage(await archiveOf(programPath(name), tag, folder));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes an archive as `docker save` does, of one layer with one program. */
async function archiveOf(program: string, tag: string, folder: string): Promise<string> {
  const name = basename(program);
  const tar = (file: string, from: string, entries: readonly string[]) =>
    run("tar", ["-C", from, "--owner=0", "--group=0", "-cf", join(folder, file), ...entries], { timeoutMs: 60_000 });
  await tar("layer.tar", dirname(program), [name]);
  const layer = createHash("sha256")
    .update(await readFile(join(folder, "layer.tar")))
    .digest("hex");
  const config = {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config: { Entrypoint: [`/${name}`] },
    rootfs: { type: "layers", diff_ids: [`sha256:${layer}`] },
  };
  const manifest = [{ Config: "config.json", RepoTags: [tag], Layers: ["layer.tar"] }];
  await writeFile(join(folder, "config.json"), JSON.stringify(config));
  await writeFile(join(folder, "manifest.json"), JSON.stringify(manifest));
  await tar("image.tar", folder, ["manifest.json", "config.json", "layer.tar"]);
  return join(folder, "image.tar");
}
