"""Settings: their defaults, and that they are read when they are needed."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from signals_plus.conf import settings as ours
from signals_plus.exceptions import SettingsError


class TestSettings:
    def test_defaults(self) -> None:
        """What a project gets that sets nothing."""
        assert ours.autodiscover == ("receivers",)
        assert ours.max_chain_depth == 50
        assert ours.max_payload_bytes == 256 * 1024
        assert list(ours.backends) == ["default"]
        assert {"sessions", "django_celery_results", "django_q"} <= ours.excluded_senders

    def test_are_read_when_needed(self, settings: Any) -> None:
        """override_settings works, and its end too."""
        settings.SIGNALS_PLUS_MAX_CHAIN_DEPTH = 3
        assert ours.max_chain_depth == 3

        del settings.SIGNALS_PLUS_MAX_CHAIN_DEPTH
        assert ours.max_chain_depth == 50

    def test_a_value_of_the_wrong_kind_is_an_error_where_it_is_read(self, settings: Any) -> None:
        """It derives from ImproperlyConfigured, as Django's own do."""
        settings.SIGNALS_PLUS_MAX_CHAIN_DEPTH = "50"

        with pytest.raises(SettingsError, match="SIGNALS_PLUS_MAX_CHAIN_DEPTH is '50'"):
            _ = ours.max_chain_depth

    @pytest.mark.parametrize("value", [0, 1023, True, "1024", None, 2048.0])
    def test_a_limit_that_no_event_fits_is_refused(self, value: Any, settings: Any) -> None:
        """Also one that is no number."""
        settings.SIGNALS_PLUS_MAX_PAYLOAD_BYTES = value

        with pytest.raises(SettingsError, match="a whole number of at least 1024"):
            _ = ours.max_payload_bytes

    def test_importing_the_package_needs_none(self) -> None:
        """No configured settings, and no queue is imported."""
        code = (
            "import sys, signals_plus, signals_plus.testing\n"
            "from django.conf import settings\n"
            "assert not settings.configured\n"
            "assert not {'celery', 'kombu', 'pytest', 'factory'} & set(sys.modules)\n"
        )

        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )

        assert result.returncode == 0, result.stderr
