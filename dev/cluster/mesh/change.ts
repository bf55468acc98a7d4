import { databaseServices } from "../../../services/services.ts";
import { type Mesh, require, servingPods } from "./mesh.ts";
import { imageValues, mustSucceed, type Values } from "./release.ts";

/** The schema is not what these upgrades are about, and each of its jobs takes time. */
export const withoutMigrations: Values = Object.fromEntries(
  databaseServices.map((name) => [name, { migration: { enabled: false } }]),
);

/** The names of the images that pods run. */
export async function runningImages(mesh: Mesh): Promise<string[]> {
  const pods = await servingPods(mesh);
  return [...new Set(pods.map(({ spec }) => spec.containers[0]?.image ?? ""))];
}

/** The image that every pod runs, and the other one of the two. */
export async function imagesOf(mesh: Mesh): Promise<{ readonly running: string; readonly other: string }> {
  const [running = "", ...more] = await runningImages(mesh);
  require(more.length === 0, `the pods run ${[running, ...more].join(", ")}`);
  return { running, other: running === mesh.image ? mesh.nextImage : mesh.image };
}

/** An image as the values of one service name it. */
export function ownImage(image: string): unknown {
  return (imageValues(image).global as { image: unknown }).image;
}

/** Changes what is installed by these values, and waits until all is ready. @returns seconds, whole */
export async function change(mesh: Mesh, image: string, ...values: readonly Values[]): Promise<number> {
  const start = performance.now();
  mustSucceed("helm upgrade", await mesh.release.upgrade([mesh.values, imageValues(image), ...values]));
  return Math.round((performance.now() - start) / 1_000);
}
