"""The form of a header's value: text, in which each `%` begins one of Envoy's operators or stands for itself as `%%`.

Istio looks at the form alone, and as Envoy's first parser did: a name and, in parentheses behind it, one text or a JSON list of
strings, with no length after them. Which operators there are is for the proxies to say.
"""

_BLANK = " "
_MOVES: dict[str, dict[str, str]] = {
    "literal": {"%": "opened"},
    "opened": {"%": "literal", "(": "arguments"},
    "name": {"%": "literal", "(": "arguments"},
    "arguments": {"[": "listed", _BLANK: "arguments"},
    "listed": {'"': "text", _BLANK: "listed"},
    "text": {"\\": "escaped", ")": "closed", '"': "quoted"},
    "escaped": {},
    "quoted": {",": "listed", "]": "ended", _BLANK: "quoted"},
    "ended": {")": "closed", _BLANK: "ended"},
    "closed": {"%": "literal", _BLANK: "closed"},
}
_OTHERWISE = {"literal": "literal", "opened": "name", "name": "name", "arguments": "text", "text": "text", "escaped": "text"}
"""Where any other character leads; in the states that are not here there may be none."""


def is_balanced(text: str) -> bool:
    """Whether every operator in a value is whole."""
    state = "literal"
    for character in text:
        following = _MOVES[state].get(character) or _OTHERWISE.get(state)
        if following is None:
            return False
        state = following
    return state == "literal"
