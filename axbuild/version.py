"""The release number: in a module of its own, which no stage imports, so that a release makes no action run again."""

__version__ = "0.1.0"
