"""Reads the bundled catalogs, once, at start: each file against its hash, each field against its type."""

from service.catalog_files.document import CatalogFileError
from service.catalog_files.reader import load_catalogs
from service.domain.catalog import Catalogs

__all__ = ["CatalogFileError", "Catalogs", "load_catalogs"]
