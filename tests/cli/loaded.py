"""Load every module of `tallybook`: to import this takes a second or two."""

import gc
import importlib
import pkgutil

import tallybook
from tallybook.entrypoints.cli.main import main

__all__ = ["main"]

for _module in pkgutil.walk_packages(tallybook.__path__, "tallybook."):
    if not _module.name.startswith("tallybook.db.migrations"):
        importlib.import_module(_module.name)

gc.collect()
gc.freeze()  # a look for garbage would copy all of this into each forked process
