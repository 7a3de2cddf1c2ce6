// How the pages' scripts and styles are built; Django reads dist/manifest.json to name them in the templates.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { defineConfig, type Plugin } from "vite";

// The classify page must start quickly on a slow line, so its script has a budget that the build enforces.
const CLASSIFY_BUDGET_BYTES = 100_000;
const CLASSIFY_PAGE = ["src/shared/main.ts", "src/classify/main.ts"];

interface Chunk {
  type: "chunk";
  fileName: string;
  code: string;
  imports: string[];
  dynamicImports: string[];
  facadeModuleId: string | null;
}

/** Puts a .gz beside each script and style for the static server, and checks the classify page's budget. */
function compressAndWeigh(): Plugin {
  return {
    name: "esocs-compress-and-weigh",
    apply: "build",
    // Vite fills in the names of lazily loaded chunks late: only what is written is as it stays.
    writeBundle({ dir = "." }, bundle) {
      const gzipBytes = new Map<string, number>();
      for (const item of Object.values(bundle)) {
        const source = item.type === "chunk" ? item.code : item.source;
        if (!/\.(js|css|svg)$/.test(item.fileName)) continue;
        const packed = gzipSync(source, { level: 9 });
        gzipBytes.set(item.fileName, packed.length);
        writeFileSync(join(dir, `${item.fileName}.gz`), packed);
      }
      const chunks = Object.values(bundle).filter((item) => item.type === "chunk") as Chunk[];
      const needed = new Set<string>();
      const need = (chunk: Chunk | undefined): void => {
        if (!chunk || needed.has(chunk.fileName)) return;
        needed.add(chunk.fileName);
        // What is fetched later counts as well: a workflow with every kind of task fetches all of it.
        for (const name of [...chunk.imports, ...chunk.dynamicImports])
          need(chunks.find((other) => other.fileName === name));
      };
      for (const page of CLASSIFY_PAGE) need(chunks.find((chunk) => chunk.facadeModuleId?.endsWith(page)));
      const total = [...needed].reduce((sum, name) => sum + (gzipBytes.get(name) ?? 0), 0);
      const size = { javascript_gzip_bytes: total, budget_bytes: CLASSIFY_BUDGET_BYTES };
      writeFileSync(join(dir, "classify-size.json"), JSON.stringify(size));
      console.log(`\nclassify page: ${(total / 1000).toFixed(1)} kB of JavaScript (gzip)`);
      if (total > CLASSIFY_BUDGET_BYTES)
        this.error(
          `The classify page's JavaScript is ${total} bytes gzip; at most ${CLASSIFY_BUDGET_BYTES}.`,
        );
    },
  };
}

export default defineConfig({
  base: "/static/",
  plugins: [compressAndWeigh()],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    manifest: "manifest.json",
    target: "es2022",
    reportCompressedSize: false,
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // Twelve hexadecimal digits in a name are what the static server takes as "never changes".
    rolldownOptions: {
      // htmx carries an eval that src/review/main.ts switches off, and the pages' policy forbids.
      checks: { eval: false },
      input: {
        site: "src/shared/main.ts",
        classify: "src/classify/main.ts",
        review: "src/review/main.ts",
        "language-de": "src/languages/de.ts",
        community: "src/community/main.ts",
      },
      output: {
        hashCharacters: "hex",
        entryFileNames: "assets/[name].[hash:12].js",
        chunkFileNames: "assets/[name].[hash:12].js",
        assetFileNames: "assets/[name].[hash:12][extname]",
      },
    },
  },
});
