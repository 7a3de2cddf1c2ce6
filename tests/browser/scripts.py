"""Modules of the front end that import nothing at run time, loaded by themselves into a blank page; and what tells the
page another painter.
"""

from __future__ import annotations

import base64
import subprocess
from pathlib import Path
from typing import Any

from playwright.sync_api import Page

FRONTEND = Path(__file__).resolve().parents[2] / "frontend"
# The page leaves WebGL2 alone where the processor would do it, as here: it is told another renderer's name, no more.
PAINTERS = {
    "canvas": "",
    "webgl2": """
        const { getParameter } = WebGL2RenderingContext.prototype;
        WebGL2RenderingContext.prototype.getParameter = function (what) {
            return what === 0x9246 ? "A graphics card" : getParameter.call(this, what);
        };""",
}
_TRANSPILE = """
const ts = require("typescript");
const source = require("node:fs").readFileSync(process.argv[1], "utf8");
const options = { module: "ESNext", target: "ES2022" };
process.stdout.write(ts.transpileModule(source, { compilerOptions: options }).outputText);
"""


def evaluate_with(page: Page, module: str, expression: str, argument: Any = None) -> Any:
    """What a function `(module, argument) => …` gives, with a module below frontend/src."""
    path = FRONTEND / "src" / module
    script = subprocess.run(
        ["node", "-e", _TRANSPILE, str(path)], cwd=FRONTEND, check=True, capture_output=True, text=True
    ).stdout
    address = "data:text/javascript;base64," + base64.b64encode(script.encode()).decode()
    return page.evaluate(
        f"async ([address, argument]) => ({expression})(await import(address), argument)", [address, argument]
    )
