"""Istio resources: models, YAML with positions, validation, host names."""

from .parse import Parsed, parse_paths, parse_text
from .problem import Position, Problem, has_errors
from .resource import Resource

__all__ = ["Parsed", "Position", "Problem", "Resource", "has_errors", "parse_paths", "parse_text"]
