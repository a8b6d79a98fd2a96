"""What a RouteAction makes of a request's path and host."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError
from ..observe import format as formats
from ..route import rewrite, templates
from ..route.rewrite import HostRewrite, PathRewrite
from .fields import Reader
from .strings import pattern
from .substitution import substitution

if TYPE_CHECKING:
    from ..http.exchange import Exchange

FIELDS = (
    "prefix_rewrite",
    "regex_rewrite",
    "path_rewrite_policy",
    "path_rewrite",
    "host_rewrite_literal",
    "host_rewrite_header",
    "host_rewrite_path_regex",
    "host_rewrite",
    "auto_host_rewrite",
    "append_x_forwarded_host",
)

_TEMPLATE_MATCH = "envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig"
_TEMPLATE_REWRITE = "envoy.extensions.path.rewrite.uri_template.v3.UriTemplateRewriteConfig"


def rewrites(reader: Reader, criteria: Any) -> "Callable[[Exchange], None] | None":
    """The edit of a RouteAction, None if it leaves both; `criteria` is the route's RouteMatch."""
    return rewrite.forward_rewrite(_path(reader, criteria), _host(reader), reader.message.append_x_forwarded_host)


def matched_length(criteria: Any) -> int | None:
    """How much of the path a prefix rewrite replaces: the prefix, or everything that an exact or pattern match took."""
    match criteria.WhichOneof("path_specifier"):
        case "prefix" | "path_separated_prefix" as kind:
            return len(getattr(criteria, kind).encode())
    return None


def template_of(reader: Reader) -> templates.Template | None:
    """The URI template of a RouteMatch's `path_match_policy`; None, with a problem, when there is none."""
    policy = Reader(reader.message.path_match_policy, reader.at("path_match_policy"), reader.problems)
    policy.only("name", "typed_config")
    return policy.extend({_TEMPLATE_MATCH: _template})


def _template(config: Reader) -> templates.Template | None:
    config.only("path_template")
    try:
        return templates.template(config.message.path_template)
    except templates.Malformed as error:
        config.refuse("path_template", str(error))
        return None


def _path(reader: Reader, criteria: Any) -> "Callable[[Exchange], bytes] | None":
    given = [name for name in ("prefix_rewrite", "regex_rewrite", "path_rewrite_policy", "path_rewrite") if reader.has(name)]
    if len(given) > 1:
        reader.refuse(given[1], f"give one of {' and '.join(given)}, not both")
    match given[:1]:
        case ["prefix_rewrite"]:
            return _of_target(rewrite.replace_prefix(matched_length(criteria), reader.message.prefix_rewrite))
        case ["regex_rewrite" as name]:
            return _of_target(substitute(Reader(reader.message.regex_rewrite, reader.at(name), reader.problems)))
        case ["path_rewrite_policy"]:
            return _by_template(reader, criteria)
        case ["path_rewrite" as name]:
            new = _formatted(reader, name, formats.compile_value)
            return rewrite.with_query(new) if new is not None else None
    return None


def _of_target(change: PathRewrite) -> "Callable[[Exchange], bytes]":
    return lambda exchange: change(exchange.head.path)


def substitute(reader: Reader) -> PathRewrite:
    """A RegexMatchAndSubstitute over paths."""
    return rewrite.substitute(*substitution(reader))


def _by_template(reader: Reader, criteria: Any) -> "Callable[[Exchange], bytes] | None":
    policy = Reader(reader.message.path_rewrite_policy, reader.at("path_rewrite_policy"), reader.problems)
    policy.only("name", "typed_config")
    if criteria.WhichOneof("path_specifier") != "path_match_policy":
        policy.refuse("", "it needs a match by path_match_policy")
        return None
    matched = template_of(Reader(criteria, "", []))  # its problems are told where it matches
    return policy.extend({_TEMPLATE_REWRITE: lambda config: _template_rewrite(config, matched)})


def _template_rewrite(config: Reader, matched: templates.Template | None) -> "Callable[[Exchange], bytes] | None":
    config.only("path_template_rewrite")
    if matched is None:
        return None
    try:
        parts = templates.replacement(config.message.path_template_rewrite, matched.variables)
    except templates.Malformed as error:
        config.refuse("path_template_rewrite", str(error))
        return None
    return _of_target(rewrite.substitute(pattern(config, "path_template_rewrite", f"^{matched.pattern}$"), parts))


def _formatted(
    reader: Reader, name: str, compile_text: "Callable[[str], Callable[[Exchange], bytes]]"
) -> "Callable[[Exchange], bytes] | None":
    """A format string of a field, compiled; None, with a problem, when an operator in it is unknown."""
    try:
        return compile_text(getattr(reader.message, name))
    except ConfigError as error:
        reader.adopt(error, name)
        return None


def _host(reader: Reader) -> HostRewrite | None:
    message = reader.message
    match reader.which("host_rewrite_specifier"):
        case "host_rewrite_literal":
            host = message.host_rewrite_literal.encode()
            return lambda exchange: host
        case "host_rewrite_header":
            name = message.host_rewrite_header.lower().encode()
            return lambda exchange: exchange.head.get(name)
        case "host_rewrite_path_regex" as name:
            replace = substitute(Reader(message.host_rewrite_path_regex, reader.at(name), reader.problems))
            return lambda exchange: replace(exchange.head.path.partition(b"?")[0])
        case "host_rewrite" as name:
            return _formatted(reader, name, _host_format)
    return None


def _host_format(text: str) -> "Callable[[Exchange], bytes]":
    """Unlike in headers, what is absent is `-`, as in Envoy."""
    formats.compile_value(text)
    make = formats.compile_body(text)
    return lambda exchange: make(exchange, b"")
