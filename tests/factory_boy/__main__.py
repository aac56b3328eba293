"""Run by ``tox -e factory-boy``: factory_boy's own tests of muting, from its source."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "factory_boy==3.3.*"

PIP = "-m pip download --quiet --no-deps --no-binary :all: --dest"
PYTEST = f"-m pytest -p no:django -p ours_in_place -c {os.devnull} tests/test_django.py -k Signals"

with tempfile.TemporaryDirectory() as folder:
    subprocess.check_call([sys.executable, *PIP.split(), folder, VERSION])
    (archive,) = Path(folder).glob("*.tar.gz")
    with tarfile.open(archive) as opened:
        opened.extractall(folder, filter="data")
    (source,) = (path for path in Path(folder).iterdir() if path.is_dir())
    # Its tests are a package of the name that ours has: not from here.
    done = subprocess.run(
        [sys.executable, *PYTEST.split(), "--rootdir", str(source), *sys.argv[1:]],
        cwd=source,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        check=False,
    )
sys.exit(done.returncode)
