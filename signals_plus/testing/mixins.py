"""The helpers for unittest's classes, Django's included."""

from __future__ import annotations

import unittest
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from django.dispatch import Signal

from ..mute_rules import listed
from ..muting import mute_signals
from .commits import run_on_commit
from .isolating import isolated_receivers
from .signals import capture_signals
from .tasks import capture_tasks

# What the mixins are mixed into, as far as types are concerned.
_TestCase = unittest.TestCase


class SignalsMixin(_TestCase):
    """Methods that begin what the helper of the name does, until the end of the test.

    Example::

        class OrderTests(SignalsMixin, TestCase):
            def test_label(self):
                tasks = self.capture_tasks()
                order = Order.objects.create()
                tasks.assert_enqueued(print_label, instance=order)
    """

    def mute_signals(self, *signals: Signal, **what: Any) -> mute_signals:
        """Mute from now on; arguments as for ``mute_signals``."""
        return self.enterContext(mute_signals(*signals, **what))

    def capture_signals(self, *signals: Signal, **how: Any) -> capture_signals:
        """Keep what is sent from now on; arguments as for ``capture_signals``."""
        return self.enterContext(capture_signals(*signals, **how))

    def capture_tasks(self, **how: Any) -> capture_tasks:
        """Keep what is enqueued from now on; arguments as for ``capture_tasks``."""
        return self.enterContext(capture_tasks(**how))

    def run_on_commit(self, **how: Any) -> run_on_commit:
        """Let commits count from now on; arguments as for ``run_on_commit``."""
        return self.enterContext(run_on_commit(**how))

    def isolated_receivers(self) -> isolated_receivers:
        """Undo at the end of the test what is connected and disconnected from now on."""
        return self.enterContext(isolated_receivers())


class RunOnCommitMixin(_TestCase):
    """Let commits count in every test of the class, from ``setUp`` to the last clean-up."""

    def setUp(self) -> None:
        self.enterContext(run_on_commit())
        super().setUp()


class MuteSignalsMixin(_TestCase):
    """Mute in every test of the class and in all of its set-up, as a base class does for others.

    ``muted_signals``, ``muted_senders``, ``muted_receivers``, ``muted_except`` and
    ``muted_all_threads`` are what ``mute_signals`` takes.

    Example::

        class ReportTests(MuteSignalsMixin, TestCase):
            muted_signals = (post_save,)
            muted_except = (confirm,)
    """

    muted_signals: ClassVar[Iterable[Signal]] = ()
    muted_senders: ClassVar[Iterable[Any]] = ()
    muted_receivers: ClassVar[Iterable[Callable[..., Any]]] = ()
    muted_except: ClassVar[Iterable[Callable[..., Any]]] = ()
    muted_all_threads: ClassVar[bool] = False

    @classmethod
    def setUpClass(cls) -> None:
        cls.enterClassContext(cls._muted())
        super().setUpClass()

    def setUp(self) -> None:
        # Again for each test: an asyncio test runs in a context older than setUpClass.
        self.enterContext(self._muted())
        super().setUp()

    @classmethod
    def _muted(cls) -> mute_signals:
        return mute_signals(
            *listed("muted_signals", cls.muted_signals),
            senders=listed("muted_senders", cls.muted_senders),
            receivers=listed("muted_receivers", cls.muted_receivers),
            except_=listed("muted_except", cls.muted_except),
            all_threads=cls.muted_all_threads,
        )
