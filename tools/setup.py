"""Bring .venv to what the lock file says, with this project in it: `python3 -m tools.setup`.

It runs before every other command, so it costs next to nothing when there is nothing to do: a stamp in .venv
holds a digest of everything the environment was made from. Standard library only: it runs on the machine's
Python.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tools.steps import ROOT, VENV, StepFailed, environment, main_of, one_at_a_time, run, say

OLDEST_PYTHON = (3, 11)
LOCK = ROOT / "requirements" / "dev.lock"
DISTRIBUTIONS = ("gen", "sdk", ".")
"""Folders that are installed in place, each after those it depends on."""

PYTHON = VENV / "bin" / "python"
STAMP = VENV / "made-from"

UV_NAMES = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "cert": "SSL_CERT_FILE",
    "client-cert": "SSL_CLIENT_CERT",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}
"""uv does not read pip's settings, which a user who has some needs here too."""

INDEX_FIX = (
    "the package index did not respond, or refused: check the network and pip's settings "
    "(`python3 -m pip config list`), then run make again."
)


def digest() -> str:
    """Return a digest of everything the environment is made from."""
    sources = [LOCK, *(ROOT / folder / "pyproject.toml" for folder in DISTRIBUTIONS)]
    total = hashlib.sha256()
    for source in sources:
        try:
            content = source.read_bytes()
        except FileNotFoundError:
            raise StepFailed(
                f"{source.relative_to(ROOT)} is missing: the clone is incomplete; clone again."
            ) from None
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()


def is_current(wanted: str) -> bool:
    return stamped() == (str(ROOT), wanted) and PYTHON.exists()


def stamped() -> tuple[str, str]:
    """Return this folder's path and the digest from when .venv was made; empty strings if it never was."""
    try:
        folder, _, made_from = STAMP.read_text().rpartition("\n")
    except FileNotFoundError:
        return "", ""
    return folder, made_from


def require_python() -> None:
    """Restart with a newer interpreter from PATH if `python3` is too old."""
    if sys.version_info[:2] >= OLDEST_PYTHON:
        return
    for minor in range(14, OLDEST_PYTHON[1] - 1, -1):
        newer = shutil.which(f"python3.{minor}")
        if newer:
            os.execv(newer, [newer, "-m", "tools.setup"])  # noqa: S606 -- the found interpreter, no shell wanted
    raise StepFailed(
        f"python3 is {sys.version_info[0]}.{sys.version_info[1]}, and 3.11 or newer is needed: "
        "install one and run `make PYTHON=/path/to/it`."
    )


def make_environment() -> None:
    """Create .venv, or keep one that starts and has not been moved: its scripts name the folder."""
    if PYTHON.exists() and starts(PYTHON) and stamped()[0] in ("", str(ROOT)):
        return
    say(f"creating .venv with Python {sys.version.split()[0]}")
    if importlib.util.find_spec("ensurepip"):
        run(
            [sys.executable, "-m", "venv", "--clear", VENV],
            fix="python3 -m venv failed: make this folder writable.",
        )
        return
    # Debian ships venv without ensurepip until python3-venv is installed; use whatever else can fill one.
    uv = shutil.which("uv")
    if uv:
        run([uv, "venv", "--clear", "--seed", "--python", sys.executable, VENV], fix=INDEX_FIX)
    elif importlib.util.find_spec("pip"):
        run([sys.executable, "-m", "venv", "--clear", "--without-pip", VENV], fix="python3 -m venv failed.")
    elif os.geteuid() == 0 and shutil.which("apt-get"):
        say("installing python3-venv")
        quiet = environment(DEBIAN_FRONTEND="noninteractive")
        apt_fix = "apt-get could not install python3-venv: install it by hand and run make again."
        run(["apt-get", "update", "-qq"], fix=apt_fix, env=quiet)
        run(
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "python3-venv"],
            fix=apt_fix,
            env=quiet,
        )
        run(
            [sys.executable, "-m", "venv", "--clear", VENV],
            fix="python3 -m venv failed although python3-venv is installed.",
        )
    else:
        raise StepFailed("python3 cannot make a virtual environment: ask for `apt-get install python3-venv`.")


def starts(python: Path) -> bool:
    try:
        run([python, "-c", "import sys; sys.exit(sys.version_info[:2] < (3, 11))"], fix="")
    except StepFailed:
        return False
    return True


def install_uv() -> Path:
    """Return uv at the locked version: it installs in seconds what takes pip a minute."""
    uv = VENV / "bin" / "uv"
    entry = locked_entry("uv")
    version = entry.split()[0].split("==")[1]
    if uv.exists() and run([uv, "--version"], fix="").split()[1:2] == [version]:
        return uv
    say(f"installing uv {version}")
    pip = (
        [PYTHON, "-m", "pip"]
        if (VENV / "bin" / "pip").exists()
        else [sys.executable, "-m", "pip", "--python", PYTHON]
    )
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as only_uv:
        only_uv.write(entry)
        only_uv.flush()
        run([*pip, "install", "-q", "--no-deps", "--require-hashes", "-r", only_uv.name], fix=INDEX_FIX)
    return uv


def locked_entry(name: str) -> str:
    """Return the lock file's lines for one package: `name==version` and its hashes."""
    lines = LOCK.read_text().splitlines()
    starts_at = next(index for index, line in enumerate(lines) if line.startswith(f"{name}=="))
    entry = [lines[starts_at]]
    for line in lines[starts_at + 1 :]:
        if not line.lstrip().startswith("--hash"):
            break
        entry.append(line)
    return "\n".join(entry).rstrip("\\ ") + "\n"


def uv_settings(pip_configuration: str, own: Mapping[str, str]) -> dict[str, str]:
    """Translate the output of `pip config list` into uv's variables; those the user set (`own`) are kept.

    pip lists files from the machine's to the user's and the environment last, so later lines win.
    """
    settings: dict[str, str] = {}
    for key, value in pip_settings(pip_configuration):
        uv_name = UV_NAMES.get(key)
        if not uv_name or uv_name in own:
            continue
        if key == "find-links":
            # uv rejects a folder that does not exist; pip ignores it.
            value = ",".join(place for place in value.split() if "://" in place or Path(place).is_dir())
        if value:
            settings[uv_name] = " ".join(value.split())
    return settings


def pip_settings(listing: str) -> Iterator[tuple[str, str]]:
    """Yield option and value of each line such as `global.cert='…'` or `:env:.index-url='…'`."""
    for line in listing.splitlines():
        name, _, quoted = line.partition("=")
        scope, _, option = name.rpartition(".")
        if scope not in ("global", "install", ":env:"):
            continue
        try:
            value = ast.literal_eval(quoted)
        except (ValueError, SyntaxError):
            continue
        yield option, str(value)


def pip_configuration() -> str:
    try:
        return run([PYTHON, "-m", "pip", "config", "list"], fix="")
    except StepFailed:
        return ""


def set_up() -> None:
    require_python()
    wanted = digest()
    if is_current(wanted):
        return
    with one_at_a_time():
        if is_current(wanted):
            return
        make_environment()
        STAMP.write_text(f"{ROOT}\n")  # where it is, and that it is not finished
        uv = install_uv()
        env = environment(VIRTUAL_ENV=str(VENV), **uv_settings(pip_configuration(), os.environ))
        install = [uv, "pip", "install", "-q", "--python", PYTHON]
        say("installing the locked requirements")
        run([*install, "--require-hashes", "-r", LOCK], fix=INDEX_FIX, env=env)
        say("installing this project in place")
        in_place = [part for folder in DISTRIBUTIONS for part in ("-e", str(ROOT / folder))]
        run(
            [*install, "--no-deps", "--no-build-isolation", *in_place],
            fix="a pyproject.toml of this project cannot be installed: see above.",
            env=env,
        )
        STAMP.write_text(f"{ROOT}\n{wanted}")


if __name__ == "__main__":
    sys.exit(main_of(set_up))
