"""Who may log in. Others use ``interface`` (what an Authenticator is) and ``sasl`` (exchanges)."""
