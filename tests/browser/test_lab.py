"""A newcomer's first minutes: a fresh clone, `make lab`, a chapter, "Run All"; in Chromium."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.browser.chromium import chromium_page

pytestmark = [pytest.mark.chromium, pytest.mark.timeout(600)]

ROOT = Path(__file__).resolve().parents[2]
CHAPTER = "notebooks/02_framing.ipynb"
SETTLE = 3.0  # seconds between "idle" and the first run: the kernel's channels are still being made

KERNEL_IDLE = """() => {
  const session = window.jupyterapp?.shell.currentWidget?.sessionContext;
  return session?.isReady && session.session?.kernel?.status === "idle";
}"""
# What "Run All" has done so far, from the notebook's model: cells out of sight are not in the page.
CELLS = """() => {
  const cells = [...window.jupyterapp.shell.currentWidget.content.model.cells];
  return cells.filter(cell => cell.type === "code" && cell.sharedModel.getSource().trim())
    .map(cell => ({
      id: cell.id,
      count: cell.executionCount,
      kinds: cell.outputs.toJSON().map(output => output.output_type),
      error: cell.outputs.toJSON().filter(output => output.output_type === "error")
        .map(output => `${output.ename}: ${output.evalue}`).join("; "),
    }));
}"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def fresh_clone(folder: Path) -> Path:
    """Clone what is committed, as a newcomer would."""
    git = shutil.which("git")
    if git is None or not (ROOT / ".git").exists():
        pytest.fail("a fresh clone needs git and a git checkout", pytrace=False)
    clone = folder / "clone"
    subprocess.run([git, "clone", "--quiet", str(ROOT), str(clone)], check=True)
    return clone


@asynccontextmanager
async def make_lab(clone: Path) -> AsyncIterator[str]:
    """Run `make lab` in a clone and wait for its address; stop it after."""
    port = free_port()
    arguments = f"--no-browser --ip 127.0.0.1 --port {port} --LabApp.expose_app_in_browser=True"
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        arguments += " --allow-root"
    inherited = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MAKE", "JUPYTER", "IPYTHON", "VIRTUAL_ENV", "VENV"))
    }
    inherited |= {
        "JUPYTER_CONFIG_DIR": str(clone / ".jupyter"),
        "IPYTHONDIR": str(clone / ".ipython"),
    }
    process = await asyncio.create_subprocess_exec(
        "make", "lab", f"LAB_ARGS={arguments}",
        cwd=clone, env=inherited, stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    assert process.stdout is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(400):
            while line := (await process.stdout.readline()).decode():
                said.append(line)
                if address := re.search(rf"http://127\.0\.0\.1:{port}/\S*token=\w+", line):
                    break
            else:
                pytest.fail("make lab ended without an address:\n" + "".join(said), pytrace=False)
        drain = asyncio.create_task(process.stdout.read())
        yield address[0]
        drain.cancel()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
        await process.wait()


async def open_notebook(page: Any, address: str, path: str) -> None:
    """Open a notebook in JupyterLab and wait until its kernel has been idle for a moment."""
    token = address.partition("token=")[2]
    base = re.match(r"http://[^/]+", address)
    assert base is not None
    await page.goto(f"{base[0]}/lab/tree/{path}?token={token}", timeout=60_000)
    await page.wait_for_function(KERNEL_IDLE, timeout=60_000)
    await asyncio.sleep(SETTLE)


async def run_all(page: Any, limit: float = 120) -> list[dict[str, Any]]:
    """Clear the outputs, choose Run > Run All Cells, wait until every code cell has run."""
    await page.evaluate(
        "() => window.jupyterapp.commands.execute('notebook:clear-all-cell-outputs')"
    )
    assert not any(cell["count"] for cell in await page.evaluate(CELLS))
    await page.get_by_role("menuitem", name="Run", exact=True).click()
    await page.get_by_text("Run All Cells", exact=True).click()
    deadline = asyncio.get_running_loop().time() + limit
    while True:
        cells: list[dict[str, Any]] = await page.evaluate(CELLS)
        if any(cell["error"] for cell in cells) or all(cell["count"] for cell in cells):
            return cells
        if asyncio.get_running_loop().time() > deadline:
            waiting = [cell["id"] for cell in cells if not cell["count"]]
            pytest.fail(f"{len(waiting)} of {len(cells)} cells have not run: first {waiting[0]}")
        await asyncio.sleep(0.25)


async def test_run_all_of_a_chapter_in_a_fresh_clone(tmp_path: Path) -> None:
    clone = fresh_clone(tmp_path)
    picture = ROOT / "reports" / "browser" / "lab.png"
    async with make_lab(clone) as address, chromium_page() as page:
        await page.goto(address, timeout=60_000)
        await page.wait_for_function(KERNEL_IDLE, timeout=60_000)
        opened = await page.evaluate("() => window.jupyterapp.shell.currentWidget.context.path")
        assert opened == "notebooks/00_first_echo.ipynb", "make lab opens chapter 00"
        await open_notebook(page, address, CHAPTER)
        cells = await run_all(page)
        await page.screenshot(path=picture)
    assert [cell for cell in cells if cell["error"]] == []
    assert [cell["count"] for cell in cells] == list(range(1, len(cells) + 1))
    assert len(cells) >= 20
    assert (clone / "workspace" / "02_framing.ipynb").exists()
