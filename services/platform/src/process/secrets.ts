import type { Logger } from "#platform/log/logger.ts";
import { Secret } from "#platform/secret.ts";

/**
 * Reads the files of a configuration's secrets again and again, and says what came of it: once of each change, and once of each trouble
 * while it lasts. Kubernetes swaps all files of a volume at once, by a link that no watch of a file sees.
 *
 * @returns what ends it
 */
export function watchSecrets(
  config: object,
  { everyMs, logger }: { everyMs: number; logger: Pick<Logger, "info" | "warn"> },
): () => void {
  const secrets = Object.entries(config).filter(
    (entry): entry is [string, Secret] => entry[1] instanceof Secret && entry[1].file !== undefined,
  );
  const troubles = new Map<string, string>();
  const look = () => {
    for (const [name, secret] of secrets) {
      try {
        if (secret.look()) logger.info(`${name} was read anew from its file`);
        troubles.delete(name);
      } catch (error) {
        const trouble = (error as Error).message;
        if (troubles.get(name) !== trouble) logger.warn(`${name} stays as it was: ${trouble}`);
        troubles.set(name, trouble);
      }
    }
  };
  const timer = setInterval(look, everyMs);
  timer.unref();
  return () => clearInterval(timer);
}
