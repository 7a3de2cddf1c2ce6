// node build.mjs SITE FOLDER: bundles page.js and Zooniverse's client, told where the site is, into FOLDER/client.js.
import { createRequire } from "node:module";
import path from "node:path";
import { pathToFileURL } from "node:url";

const [site, folder] = process.argv.slice(2);
const frontend = path.resolve(import.meta.dirname, "../../../frontend");
const { build } = await import(
  pathToFileURL(
    createRequire(path.join(frontend, "package.json")).resolve("vite"),
  ).href
);

await build({
  root: import.meta.dirname,
  configFile: false,
  logLevel: "error",
  resolve: {
    alias: {
      "panoptes-client": path.join(frontend, "node_modules/panoptes-client"),
      url: path.join(import.meta.dirname, "url.js"),
    },
  },
  define: {
    "process.env.NODE_ENV": JSON.stringify("production"),
    "process.env": JSON.stringify({
      PANOPTES_API_HOST: site,
      OAUTH_HOST: site,
    }),
  },
  build: {
    outDir: folder,
    emptyOutDir: false,
    lib: {
      entry: path.join(import.meta.dirname, "page.js"),
      formats: ["iife"],
      name: "page",
      fileName: () => "client.js",
    },
  },
});
