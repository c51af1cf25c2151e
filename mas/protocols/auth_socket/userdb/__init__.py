"""The other half of Dovecot's authentication protocol: programs of this host ask where a user's mail is, and which users there are.

A socket of its own (``type = "userdb"``), since who may ask this may not be who checks passwords. ``doveadm user`` is a client of it.
``connection`` and ``replies`` are pure, ``session`` sees no socket. The source is Dovecot 2.3's own conversation, recorded in the tests.
"""
