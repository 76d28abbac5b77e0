"""The Java client: generated code into clients/java/gen, classes and libraries into clients/java/target.

A JDK and Maven come from PATH, or from Debian's packages if root runs this. The protoc of grpcio-tools cannot
generate Java; the one from Maven Central can, at the version of the runtime that pom.xml names.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from tools.clients.builds import FOLDER, Client, generate
from tools.steps import TOOLS, StepFailed, run, say

SOURCES = FOLDER / "java"
GEN = SOURCES / "gen"
TARGET = SOURCES / "target"
CLASSES = (TARGET / "classes", TARGET / "test-classes")
LIBRARIES = TARGET / "lib"

OLDEST_JDK = 17
OLDEST_MAVEN = (3, 8)
PACKAGES = ("openjdk-17-jdk-headless", "maven")


def build() -> None:
    provide_tools()
    protoc = downloaded_protoc()
    generate(
        GEN,
        protoc_options=lambda names: [f"--java_out={GEN}"],
        google_rpc=False,
        protoc=lambda *arguments: run(
            [protoc, *arguments], fix="protoc cannot generate Java: see above, and run make check."
        ),
    )
    run_maven("test-compile")


def run_maven(*arguments: str) -> str:
    """Return what Maven printed, run in the client's folder."""
    return run(
        ["mvn", "-B", "-ntp", "-f", SOURCES / "pom.xml", *arguments],
        fix="the Java client does not build: see above, and check the network and Maven's settings.xml.",
    )


def provide_tools() -> None:
    """Install a JDK and Maven unless they are here.

    Raises:
        StepFailed: they are not, and this account cannot install them.
    """
    if not has_tools():
        install_tools()


def has_tools() -> bool:
    """Return whether `mvn` and the JDK that it uses are here and new enough."""
    try:
        said = subprocess.run(["mvn", "-version"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return False
    maven = re.search(r"Apache Maven (\d+)\.(\d+)", said)
    java = re.search(r"Java version: (\d+)", said)
    if maven is None or java is None or shutil.which("javac") is None:
        return False
    return (int(maven[1]), int(maven[2])) >= OLDEST_MAVEN and int(java[1]) >= OLDEST_JDK


def install_tools() -> None:
    names = " ".join(PACKAGES)
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise StepFailed(
            f"the Java client needs JDK {OLDEST_JDK} and Maven {OLDEST_MAVEN[0]}.{OLDEST_MAVEN[1]} or newer "
            f"(Debian: apt-get install {names})"
        )
    say(f"installing {names}")
    fix = f"Debian's packages {names} could not be installed: install them, then run make again."
    run(["apt-get", "update", "-q"], fix=fix)
    run(["apt-get", "install", "-y", "-q", "--no-install-recommends", *PACKAGES], fix=fix)


def downloaded_protoc() -> Path:
    """Return protoc at the version that pom.xml names for the runtime."""
    named = re.search(r"<protobuf\.version>(.+)</protobuf\.version>", (SOURCES / "pom.xml").read_text())
    if named is None:
        raise StepFailed("clients/java/pom.xml has no protobuf.version: restore it.")
    version = named[1]
    folder = TOOLS / "clients" / "protoc"
    protoc = folder / f"protoc-{version}-{platform_name()}.exe"
    if not protoc.exists():
        run_maven(
            "dependency:copy",
            f"-Dartifact=com.google.protobuf:protoc:{version}:exe:{platform_name()}",
            f"-DoutputDirectory={folder}",
        )
        protoc.chmod(0o755)
    return protoc


def platform_name() -> str:
    """Return protobuf's name of this platform, e.g. linux-x86_64."""
    system = {"Linux": "linux", "Darwin": "osx"}.get(platform.system(), platform.system().lower())
    machine = {"aarch64": "aarch_64", "arm64": "aarch_64"}.get(platform.machine(), platform.machine().lower())
    return f"{system}-{machine}"


def class_path() -> str:
    """Return the class path of the client's programs, those of its tests included."""
    return os.pathsep.join(map(str, (*CLASSES, LIBRARIES / "*")))


CLIENT = Client("java", "Java", "java", (GEN, *CLASSES, LIBRARIES), build)
