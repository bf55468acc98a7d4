import { BuilderError, findBuilder } from "../../deploy/image/builder.ts";
import { whyNoTool } from "../tools/tool.ts";
import type { ToolName } from "../tools/versions.ts";
import { canInstall, missingPackages, whyNoNode } from "./machine.ts";
import { whyNoPrograms } from "./programs.ts";

/** What is wanted of a machine. */
export interface Wanted {
  /** Whether a node is started here. */
  readonly node: boolean;
  /** Whether an image is built here. */
  readonly image: boolean;
  readonly tools: readonly ToolName[];
}

/** How a machine stands to that. */
export interface Readiness {
  /** What has to come from somewhere else, each in a sentence. */
  readonly lacks: readonly string[];
  /** Packages of the distribution that can be installed. */
  readonly packages: readonly string[];
}

/** A builder of images that is a Debian package and needs no daemon. */
const builderPackage = "buildah";

async function whyNoBuilder(): Promise<string | undefined> {
  return findBuilder().then(
    () => undefined,
    (error: unknown) => {
      if (error instanceof BuilderError) return error.message;
      throw error;
    },
  );
}

/** Looks in seconds at all that would otherwise be noticed after an hour of building. */
export async function readinessFor({ node, image, tools }: Wanted): Promise<Readiness> {
  const noBuilder = image ? await whyNoBuilder() : undefined;
  const installs = noBuilder !== undefined && canInstall();
  const reasons = [
    ...(node ? [await whyNoNode(), await whyNoPrograms()] : []),
    noBuilder === undefined || installs ? undefined : `${noBuilder} Install ${builderPackage}, or Docker with buildx.`,
    ...(await Promise.all(tools.map(whyNoTool))),
  ];
  return {
    lacks: reasons.filter((reason) => reason !== undefined),
    packages: [...(node ? missingPackages() : []), ...(installs ? [builderPackage] : [])],
  };
}
