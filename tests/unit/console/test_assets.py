"""What is served as a file is what is in the repository, and what is vendored is what its table says."""

from __future__ import annotations

import gzip
import hashlib
import re

from console.assets import FOLDER, Assets


class TestVendored:
    def test_every_file_has_the_digest_that_its_table_says(self) -> None:
        table = (FOLDER / "vendor" / "README.md").read_text()
        listed = dict(re.findall(r"^\| `([^`]+)` \|.*?\| `([0-9a-f]{64})` \|", table, re.MULTILINE))
        found = {
            file.name: hashlib.sha256(file.read_bytes()).hexdigest()
            for file in (FOLDER / "vendor").glob("*.js")
        }
        assert listed == found

    def test_each_has_its_licence(self) -> None:
        assert "Zero-Clause BSD" in (FOLDER / "vendor" / "htmx.LICENSE").read_text()


class TestAssets:
    def test_an_address_changes_with_the_content(self) -> None:
        for asset in Assets().by_name.values():
            assert hashlib.sha256(asset.content).hexdigest()[:16] in asset.path
            assert gzip.decompress(asset.compressed) == asset.content
