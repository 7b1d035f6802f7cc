"""How hypothesis runs here: the same examples each time, and no deadline on a busy machine."""

from hypothesis import HealthCheck, settings

settings.register_profile("streams", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("streams")
