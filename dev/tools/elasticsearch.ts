import { cp, mkdir, readdir, rename, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { run } from "../../deploy/command/run.ts";
import type { Folders, Recipe } from "./recipe.ts";
import { versions } from "./versions.ts";

const version = versions.elasticsearch;
const sources = join(import.meta.dirname, "elasticsearch");

/**
 * Elasticsearch assembled from the jars that its clients compile against. It is the real server, storage and search,
 * with data streams and templates; what Elastic publishes only inside its archives is absent: ingest processors,
 * scripts, security, and the execution of lifecycles (a plugin here checks their policies with Elastic's own classes).
 * Takes settings as the original does: `elasticsearch -Ehttp.port=9200 -Epath.data=/some/where`.
 */
export const elasticsearchRecipes: readonly Recipe[] = [
  {
    says: "assembling from Maven Central",
    usually: "1 minute",
    async missing() {
      const java = await run("javac", ["-version"], { timeoutMs: 20_000 }).catch(() => "");
      const mvn = await run("mvn", ["-version"], { timeoutMs: 60_000 }).catch(() => undefined);
      return Number(/javac (\d+)/.exec(java)?.[1] ?? 0) >= 17 && mvn
        ? undefined
        : "install a JDK (17 or newer) and Maven";
    },
    async run(folders) {
      await fetchJars(folders);
      await sortJars(folders);
      await compile(folders);
      await cp(join(sources, "log4j2.properties"), join(folders.result, "config", "log4j2.properties"));
      await writeFile(join(folders.result, "elasticsearch"), startScript(folders.home), { mode: 0o755 });
    },
  },
];

async function fetchJars({ workshop }: Folders): Promise<void> {
  await writeFile(join(workshop, "pom.xml"), pom);
  const args = ["-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime", "-DoutputDirectory=jars"];
  await run("mvn", args, { cwd: workshop, timeoutMs: 10 * 60_000 });
}

/** Which of the server's modules a jar belongs to; the server loads each with a class loader of its own. */
function modulesOf(jar: string): readonly string[] {
  if (jar.startsWith("elasticsearch-ssl-config")) return ["transport-netty4", "x-pack-core"];
  if (/^(netty-|transport-netty4)/.test(jar)) return ["transport-netty4"];
  if (/^(x-pack-|unboundid|http|commons-(logging|codec)|slf4j|log4j-slf4j)/.test(jar)) return ["x-pack-core"];
  return [];
}

async function sortJars({ workshop, result }: Folders): Promise<void> {
  for (const folder of ["lib", "config", "plugins/stand-in", "modules/transport-netty4", "modules/x-pack-core"]) {
    await mkdir(join(result, folder), { recursive: true });
  }
  for (const jar of await readdir(join(workshop, "jars"))) {
    const modules = modulesOf(jar).map((module) => `modules/${module}`);
    for (const folder of modules.length > 0 ? modules : ["lib"]) {
      await cp(join(workshop, "jars", jar), join(result, folder, jar));
    }
  }
  for (const module of ["transport-netty4", "x-pack-core"]) {
    const inside = `META-INF/es-plugins/${module}`;
    await run("jar", ["-xf", `jars/${module}-${version}.jar`, inside], { cwd: workshop, timeoutMs: 60_000 });
    for (const file of await readdir(join(workshop, inside))) {
      await rename(join(workshop, inside, file), join(result, "modules", module, basename(file)));
    }
  }
}

async function compile({ workshop, result }: Folders): Promise<void> {
  const core = join(result, "modules/x-pack-core/*");
  const parts = [
    { source: "Launcher.java", path: `${result}/lib/*`, jar: join(result, "launcher.jar") },
    {
      source: "StandInPlugin.java",
      path: `${result}/lib/*:${core}`,
      jar: join(result, "plugins/stand-in/stand-in.jar"),
    },
  ];
  for (const { source, path, jar } of parts) {
    const classes = join(workshop, source.replace(".java", ""));
    const javac = ["-nowarn", "-proc:none", "--release", "17", "-cp", path, "-d", classes, join(sources, source)];
    await run("javac", javac, { timeoutMs: 120_000 });
    await run("jar", ["-cf", jar, "-C", classes, "."], { timeoutMs: 60_000 });
  }
  await writeFile(join(result, "plugins/stand-in/plugin-descriptor.properties"), descriptor);
}

/** The heap is for development and tests: a few thousand lines. `ES_JAVA_OPTS` overrides it, as in the original. */
function startScript(home: string): string {
  return `#!/bin/sh
exec java -Xms384m -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 $ES_JAVA_OPTS \\
  -Djava.locale.providers=SPI,COMPAT --module-path '${home}/lib' --add-modules=jdk.net,ALL-MODULE-PATH \\
  --enable-native-access=org.elasticsearch.nativeaccess,org.apache.lucene.core \\
  -cp '${home}/launcher.jar' ordermesh.Launcher '${home}' "$@"
`;
}

const dependency = (group: string, artifact: string) =>
  `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;

const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>ordermesh</groupId><artifactId>elasticsearch</artifactId><version>1</version>
  <dependencies>
    ${dependency("org.elasticsearch", "elasticsearch")}
    ${dependency("org.elasticsearch.plugin", "transport-netty4")}
    ${dependency("org.elasticsearch.plugin", "x-pack-core")}
  </dependencies>
</project>
`;

const descriptor = `name=stand-in
description=Answers what the published jars leave out and a client asks for
version=1
classname=ordermesh.StandInPlugin
extended.plugins=x-pack-core
java.version=17
elasticsearch.version=${version}
`;
