"""MAS, the Mail Access Server.

The map, one paragraph a package:

``mas.errors``, ``mas.user``
    What can go wrong and whose mail it is: meaning only, no wire text. Everything may import them; they import nothing.
``mas.quota_rules``
    The grammar of quota rules and warning thresholds (pure): configuration checks with it, storage asks it for limits.
``mas.shared_database``
    How a small SQLite file of several processes is opened.
``mas.config``
    The operator's TOML file as frozen models, validated as a whole. Every limit of the server is a key here.
``mas.dovecot_config``
    Dovecot's configuration, read and turned into MAS's: what ``mas import-dovecot`` prints. The server never imports it.
``mas.migrate``
    What clients see of a user's mail through two servers, compared: ``mas migrate prove``.
``mas.storage``
    Mail on disk: Maildir (the mail), annotations, the index (a SQLite file a user: a cache with memory), quota, change feed.
    ``mas.storage.model`` and ``mas.storage.interface`` are what protocols and delivery see of it.
    ``mas.storage.mime`` is pure: bytes of a message to offsets, ENVELOPE, BODYSTRUCTURE. Nothing here knows IMAP sessions.
``mas.auth``
    Who may log in: SQL databases, password schemes, SASL mechanisms, cache, throttling.
``mas.sieve``
    A pure Sieve interpreter: asks questions, returns actions.
``mas.svtest``
    Sieve tested in Sieve: ``mas sieve test FILE.svtest``, with commands that are an extension from outside of ``mas.sieve``.
``mas.events``
    What clients did to mail, noted on disk before they are answered, for those who act on it later.
``mas.delivery``
    A message and its recipients to one result each; LMTP and ``mas deliver`` hand it their mail.
``mas.protocols``
    ``framing`` (pure), ``pump`` and ``listener`` (the only owners of sockets), and one package a protocol: pure wire code,
    a socketless session, handlers.
``mas.server``
    The composition root: supervisor, workers, listeners, signals. ``mas.cli`` is the command line.

The arrows between them are held by ``tests/test_architecture.py``.
"""

__version__ = "0.1.0"
