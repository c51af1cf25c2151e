"""Who may log in.

Others use ``interface`` (what an Authenticator and an Exchange are), ``sasl`` (names), ``service.open_authenticator``; commands also
``schema`` (MAS's own table), ``schemes.generate`` and ``explain``.
"""
