"""Moving a host to MAS and back: what a user's mail looks like to clients, seen through two servers, and compared.

``view`` is what is compared (pure), ``imap_view`` asks a running server over IMAP, ``store_view`` asks MAS's own store. The server never
imports any of it.
"""
