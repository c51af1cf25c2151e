"""How made-up input is made up: ``make fuzz`` asks for more of it. No test depends on the machine's speed, so none has a deadline."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

settings.register_profile("default", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", settings.get_profile("default"), max_examples=5000)
settings.load_profile("default")
