"""ManageSieve [RFC5804]: users edit their Sieve scripts. ``connection`` and ``responses`` are pure, ``session`` sees no socket."""
