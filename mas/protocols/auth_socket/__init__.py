"""Dovecot's authentication protocol, server side: Postfix (``smtpd_sasl_type = dovecot``), Exim and Prosody check passwords by it.

``connection`` and ``replies`` are pure, ``session`` sees no socket. There is no RFC; the source is Dovecot 2.3's own conversation,
recorded in the tests.
"""
