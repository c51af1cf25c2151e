"""Every metric of the server. The README's table and conf/grafana-dashboard.json are held against it by a test.

Names follow Prometheus's habit: seconds and octets, ``_total`` for what only grows. No label's value comes from a peer: users, addresses
and unknown commands never become one.
"""

from __future__ import annotations

from mas.metrics.cells import Counter, Gauge, Histogram, Mark, Metric

PROTOCOLS = ("imap", "sieve", "lmtp", "auth", "userdb", "metrics", "other")
"""Services of listeners."""
IMAP_COMMANDS = (
    "APPEND", "AUTHENTICATE", "CAPABILITY", "CHECK", "CLOSE", "COPY", "CREATE", "DELETE", "ENABLE", "EXPUNGE", "FETCH", "GETQUOTA",
    "GETQUOTAROOT", "ID", "LIST", "LOGIN", "LOGOUT", "LSUB", "MOVE", "NAMESPACE", "NOOP", "RENAME", "SEARCH", "SELECT", "SETQUOTA",
    "STARTTLS", "STATUS", "STORE", "SUBSCRIBE", "UNSELECT", "UNSUBSCRIBE", "XLIST", "SORT", "THREAD", "COMPRESS", "UNAUTHENTICATE",
    "GETMETADATA", "SETMETADATA", "GETACL", "SETACL", "DELETEACL", "LISTRIGHTS", "MYRIGHTS", "REPLACE", "other",
)  # fmt: skip
"""IDLE is not among them: how long it takes says nothing."""
SIEVE_COMMANDS = (
    "AUTHENTICATE", "CAPABILITY", "CHECKSCRIPT", "DELETESCRIPT", "GETSCRIPT", "HAVESPACE", "LISTSCRIPTS", "LOGOUT", "NOOP", "PUTSCRIPT",
    "RENAMESCRIPT", "SETACTIVE", "STARTTLS", "UNAUTHENTICATE", "other",
)  # fmt: skip
AUTH_SERVICES = ("imap", "sieve", "smtp", "other")
AUTH_RESULTS = ("ok", "failed", "disabled", "unavailable")

CONNECTIONS = Metric(Gauge, "mas_connections", "Open connections.", protocol=PROTOCOLS)
CONNECTIONS_TOTAL = Metric(
    Counter, "mas_connections_accepted_total", "Connections that were taken.", protocol=PROTOCOLS
)
CONNECTIONS_REFUSED = Metric(
    Counter,
    "mas_connections_refused_total",
    "Connections closed at once: a limit was reached (limit), the TLS handshake failed (tls), the PROXY header was wrong or came from "
    "an address that is not trusted (proxy).",
    protocol=PROTOCOLS,
    reason=("limit", "tls", "proxy"),
)
AUTH = Metric(
    Counter,
    "mas_auth_total",
    "Logins: right (ok), wrong (failed), right but not allowed (disabled), not judged because of a database (unavailable).",
    service=AUTH_SERVICES,
    result=AUTH_RESULTS,
)
IMAP_COMMAND_SECONDS = Metric(
    Histogram,
    "mas_imap_command_seconds",
    "From a command to its tagged response, with the time that the client took to send a message or to read the answer.",
    command=IMAP_COMMANDS,
)
IMAP_REPLIES = Metric(Counter, "mas_imap_replies_total", "Tagged responses.", status=("OK", "NO", "BAD"))
SIEVE_COMMAND_SECONDS = Metric(
    Histogram, "mas_managesieve_command_seconds", "From a ManageSieve command to its answer.", command=SIEVE_COMMANDS
)
DELIVERIES = Metric(
    Counter,
    "mas_deliveries_total",
    "Messages for one recipient each, over LMTP: in a mailbox (saved), in none by the user's script (discarded), rejected by that script "
    "(rejected), over quota or too big (quota), not now (failed).",
    result=("saved", "discarded", "rejected", "quota", "failed"),
)
DELIVERY_SECONDS = Metric(Histogram, "mas_delivery_seconds", "One delivery, from the whole message to the disk.")
DELIVERED_BYTES = Metric(Counter, "mas_delivered_bytes_total", "Octets of the messages that were saved.")
QUOTA_WARNINGS = Metric(
    Counter, "mas_quota_warnings_total", "Quota warnings, by how they ended.", result=("ok", "failed")
)
TRAINING = Metric(
    Counter,
    "mas_training_total",
    "Lessons for Rspamd: a user moved a message (noted), Rspamd has taken it (learnt), or refused it for good (refused).",
    step=("noted", "learnt", "refused"),
    kind=("spam", "ham"),
)
INDEX_REBUILDS = Metric(
    Counter, "mas_index_rebuilds_total", "Indexes set aside as damaged, and made again from the Maildir."
)
DATABASE_SECONDS = Metric(Histogram, "mas_database_seconds", "Answers of the account databases.")
DATABASE_ERRORS = Metric(
    Counter, "mas_database_errors_total", "Queries that no account database answered, in time or at all."
)
LOOP_LAG = Metric(
    Histogram, "mas_event_loop_lag_seconds", "How much too late each worker's heart beat: the time others waited."
)
WORKER_DEATHS = Metric(Counter, "mas_worker_deaths_total", "Workers that ended without having been told to.")

PLACE = Metric(Mark, "place", "The worker's place in its generation, from 1.")
GENERATION = Metric(Mark, "generation", "The worker's generation.")
BEAT = Metric(Mark, "beat", "Its last heartbeat, in milliseconds of the monotonic clock.")
