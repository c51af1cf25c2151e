"""A user's Sieve script of 30 rules, of which the last one alone is true of all mail."""

_RULES = [
    'if header :contains "subject" "[project-{n}]" {{ fileinto "Projects.{n}"; stop; }}',
    'if address :is "from" ["sender{n}@example.org", "other{n}@example.org"] {{ fileinto "People.{n}"; stop; }}',
    'if anyof (header :contains "list-id" "list{n}.example.org", address :localpart "to" "list{n}") {{ fileinto "Lists.{n}"; }}',
    'if allof (header :matches "subject" "*invoice*{n}*", not header :is "x-spam-flag" "yes") {{ fileinto "Bills"; stop; }}',
    'if envelope :detail "to" "shop{n}" {{ fileinto "Shops.{n}"; stop; }}',
]


def script(last: str) -> str:
    """The script; ``last`` is the command of its last rule."""
    rules = [_RULES[n % len(_RULES)].format(n=n) for n in range(29)]
    return "\n".join(['require ["fileinto", "envelope", "subaddress"];', *rules, f"if size :over 1 {{ {last} }}", ""])
