const { PATH, NODE_COMPILE_CACHE } = process.env;

/** The variables of a program that a test starts: none that configures it, and the cache of compiled code, without which a start costs half as much again. */
export const bareEnvironment: NodeJS.ProcessEnv = {
  PATH,
  ...(NODE_COMPILE_CACHE !== undefined && { NODE_COMPILE_CACHE }),
};
