"""Keeps a user's own Jupyter and terminal settings out of the tests and the notebooks they run."""

from __future__ import annotations

import os
import tempfile

# Start-up files, extensions and the shared history database of IPython belong to the user; each
# test process gets empty folders instead. The notebooks' kernels inherit all of this.
_home = tempfile.TemporaryDirectory(prefix="refimpl-jupyter-", ignore_cleanup_errors=True)
os.environ["IPYTHONDIR"] = os.path.join(_home.name, "ipython")
os.environ["JUPYTER_CONFIG_DIR"] = os.path.join(_home.name, "jupyter")
os.environ["JUPYTER_RUNTIME_DIR"] = os.path.join(_home.name, "runtime")
os.environ["JUPYTER_PLATFORM_DIRS"] = "1"
os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # a warning of the debugger at kernel start

# What changes the width or the colours of printed output.
for _name in ("COLUMNS", "LINES", "FORCE_COLOR", "NO_COLOR", "MPLBACKEND", "PYTHONWARNINGS"):
    os.environ.pop(_name, None)
