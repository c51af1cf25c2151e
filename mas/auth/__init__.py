"""Who may log in.

Others use ``interface`` (what an Authenticator is), ``sasl`` (exchanges), ``service.open_authenticator``; commands also ``schema``
(MAS's own table), ``schemes.generate`` and ``explain``.
"""
