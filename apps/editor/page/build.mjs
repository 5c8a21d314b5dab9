// Builds ../web/app.js and ../web/licenses.txt; with `--check` tells whether they are what the sources give.
//
// What is built is committed, so that nobody needs node to build the app. Versions are pinned by package-lock.json, and
// esbuild's output is a function of its input, so everybody builds the same bytes: `npm ci && npm run build`.

import { readFileSync, readdirSync, writeFileSync, existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const web = join(here, "..", "web");

async function bundle() {
  const result = await build({
    absWorkingDir: here,
    entryPoints: ["src/page.js"],
    bundle: true,
    external: ["/client.js"],
    format: "esm",
    target: "es2022",
    minify: true,
    charset: "utf8",
    legalComments: "none",
    metafile: true,
    write: false,
    banner: { js: "/* Built from ../page by `npm run build`. Licences of what is in it: ./licenses.txt */" },
  });
  return { code: result.outputFiles[0].text, inputs: Object.keys(result.metafile.inputs) };
}

/** The packages of which something is in the bundle, with their licences. */
function licences(inputs) {
  const names = inputs.map((path) => /^node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1]).filter(Boolean);
  const texts = [...new Set(names)].sort().map((name) => {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"));
    const file = readdirSync(folder).find((file) => /^licen[cs]e/i.test(file));
    if (!file) throw new Error(`${name} comes without its licence`);
    return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), "utf8").trim()}\n`;
  });
  return `app.js has parts of these packages.\n\n${texts.join(`\n${"-".repeat(72)}\n\n`)}`;
}

const { code, inputs } = await bundle();
const files = { "app.js": code, "licenses.txt": licences(inputs) };
const check = process.argv.includes("--check");
let stale = 0;
for (const [name, text] of Object.entries(files)) {
  const path = join(web, name);
  const same = existsSync(path) && readFileSync(path, "utf8") === text;
  if (check && !same) {
    console.error(`web/${name} is not what its sources give: run \`npm ci && npm run build\` in apps/editor/page`);
    stale += 1;
  }
  if (!check) writeFileSync(path, text);
}
if (!check) console.log(`web/app.js: ${code.length} bytes`);
process.exitCode = stale > 0 ? 1 : 0;
