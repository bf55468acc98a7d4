import { goSource } from "./go-source.ts";
import type { Recipe } from "./recipe.ts";

/** Filebeat without the parts under Elastic's own licence, which the Go proxy does not have. */
export const filebeatRecipes: readonly Recipe[] = [
  goSource({ name: "filebeat", module: "github.com/elastic/beats/v7", program: "./filebeat", usually: "4 minutes" }),
];

/** Reads a Logstash pipeline and says whether Logstash could: `mustache lint <file>`. */
export const mustacheRecipes: readonly Recipe[] = [
  goSource({
    name: "mustache",
    module: "github.com/breml/logstash-config",
    program: "./cmd/mustache",
    usually: "20 seconds",
  }),
];
