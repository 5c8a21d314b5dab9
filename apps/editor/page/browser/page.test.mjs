// The page in a real browser, on two stand-ins of nodes.

import { play } from "./play.mjs";
import { browserPath } from "./scenario.mjs";
import { standIn } from "./stand-in.mjs";

const skip = browserPath() === null && "there is no Chromium on this machine: install it, or set MESTO_BROWSER";
play("page", standIn, skip);
