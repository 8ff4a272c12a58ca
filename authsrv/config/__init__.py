"""The configuration file: its schema, its loader, and the report of what is wrong with it.

This package owns everything between the TOML text and the models; it opens no database and starts nothing.
"""

from authsrv.config.conformance import conformance_report
from authsrv.config.loader import load
from authsrv.config.problems import ConfigError, Problem, report
from authsrv.config.schema import Config
from authsrv.config.schema_tree import all_settings, json_schema

__all__ = [
    "Config",
    "ConfigError",
    "Problem",
    "all_settings",
    "conformance_report",
    "json_schema",
    "load",
    "report",
]
