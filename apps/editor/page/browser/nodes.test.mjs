// The page in a real browser, on two real nodes.

import { realNodes } from "./nodes.mjs";
import { play } from "./play.mjs";
import { browserPath } from "./scenario.mjs";

const { MESTO_PROGRAM: program, MESTO_BUNDLE: bundle } = process.env;
const skip =
  (browserPath() === null && "there is no Chromium on this machine: install it, or set MESTO_BROWSER") ||
  ((!program || !bundle) && "MESTO_PROGRAM and MESTO_BUNDLE name the program and the app's bundle");
play("nodes", () => realNodes(program, bundle), skip);
