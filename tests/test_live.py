"""The order in which a signal calls its receivers, and the hook that decides it."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db.models.signals import post_save
from django.dispatch import Signal
from django.dispatch import receiver as native_receiver
from hypothesis import given
from hypothesis import strategies as st

from signals_plus import live, mute_signals, receiver, receiver_on_commit
from tests.testapp.models import Item


async def asend(signal: Signal) -> list[Any]:
    return [answer for _, answer in await signal.asend(None)]


async def asend_robust(signal: Signal) -> list[Any]:
    return [answer for _, answer in await signal.asend_robust(None)]


FORMS: dict[str, Callable[[Signal], list[Any]]] = {
    "send": lambda signal: [answer for _, answer in signal.send(None)],
    "send_robust": lambda signal: [answer for _, answer in signal.send_robust(None)],
    "asend": async_to_sync(asend),
    "asend_robust": async_to_sync(asend_robust),
}


@pytest.fixture(params=FORMS)
def answers(request: pytest.FixtureRequest) -> Callable[[Signal], list[Any]]:
    """Each way of sending a signal, giving what the receivers returned."""
    return FORMS[request.param]


def native(signal: Signal, answer: Any) -> Callable[..., Any]:
    def receive(**kwargs: Any) -> Any:
        return answer

    signal.connect(receive, weak=False)
    return receive


def ours(signal: Signal, answer: Any, priority: int = 0) -> Callable[..., Any]:
    def receive(**kwargs: Any) -> Any:
        return answer

    return receiver(signal, priority=priority)(receive)


def ours_async(signal: Signal, answer: Any, priority: int = 0) -> Callable[..., Any]:
    async def receive(**kwargs: Any) -> Any:
        return answer

    return receiver(signal, priority=priority)(receive)


class TestPriority:
    """``priority=``: who is called first."""

    def test_higher_runs_first_and_native_receivers_count_as_zero(
        self, answers: Callable[[Signal], list[Any]]
    ) -> None:
        """Receivers run from the highest number to the lowest, Django's own at 0."""
        signal = Signal()
        ours(signal, -5, priority=-5)
        native(signal, "native")
        ours(signal, 10, priority=10)
        ours(signal, 20, priority=20)
        ours(signal, "zero")

        assert answers(signal) == [20, 10, "native", "zero", -5]

    def test_equal_priorities_keep_the_order_of_connection(
        self, answers: Callable[[Signal], list[Any]]
    ) -> None:
        """Receivers of one priority run as they were connected, native ones among them."""
        signal = Signal()
        ours(signal, "a")
        native(signal, "b")
        ours(signal, "first", priority=1)
        ours(signal, "c")
        native(signal, "d")
        ours(signal, "second", priority=1)

        assert answers(signal) == ["first", "second", "a", "b", "c", "d"]

    def test_async_receivers_of_ours_are_in_order_with_the_others(
        self, answers: Callable[[Signal], list[Any]]
    ) -> None:
        """An ``async def`` receiver of ours runs where its priority says, not at the end."""
        signal = Signal()
        ours(signal, "low", priority=-1)
        ours_async(signal, "high", priority=1)
        native(signal, "native")
        ours_async(signal, "middle")

        assert answers(signal) == ["high", "native", "middle", "low"]

    def test_native_async_receivers_run_last(self, answers: Callable[[Signal], list[Any]]) -> None:
        """Django runs its own async receivers after all others: no priority changes that."""
        signal = Signal()

        async def native_async(**kwargs: Any) -> str:
            return "native async"

        signal.connect(native_async, weak=False)
        ours(signal, "low", priority=-100)

        assert answers(signal) == ["low", "native async"]

    def test_receivers_connected_later_are_sorted_in(self) -> None:
        """Whatever is connected after the priority was given takes its place too."""
        signal = Signal()
        ours(signal, 1, priority=1)
        first = FORMS["send"](signal)
        native(signal, "native")
        ours(signal, 2, priority=2)

        assert first == [1]
        assert FORMS["send"](signal) == [2, 1, "native"]

    def test_a_disconnected_receiver_is_gone(self) -> None:
        """``disconnect`` works as ever on a signal with priorities."""
        signal = Signal()
        high = ours(signal, "high", priority=1)
        native(signal, "native")

        found = signal.disconnect(high)

        assert found is True
        assert FORMS["send"](signal) == ["native"]

    def test_receivers_of_one_sender_and_of_all_are_in_one_order(self) -> None:
        """The priority counts among all who receive one event, whatever sender they named."""
        signal = Signal()
        sender = object()
        receiver(signal, priority=1)(lambda **kwargs: "every sender")
        receiver(signal, priority=2, sender=sender)(lambda **kwargs: "one sender")
        receiver(signal, priority=3, sender=object())(lambda **kwargs: "another sender")

        assert [answer for _, answer in signal.send(sender)] == ["one sender", "every sender"]

    def test_deferred_receivers_are_delivered_in_order(self, transactional_db: None) -> None:
        """Receivers that wait for the commit take each event in the order of priority."""
        order: list[str] = []

        def append(name: str) -> Callable[..., None]:
            return lambda **kwargs: order.append(name)

        receiver_on_commit(post_save, sender=Item, priority=-1)(append("low"))
        receiver_on_commit(post_save, sender=Item)(append("zero"))
        receiver_on_commit(post_save, sender=Item, priority=1)(append("high"))

        Item.objects.create()

        assert order == ["high", "zero", "low"]

    def test_a_receiver_that_claims_every_attribute_counts_as_zero(self) -> None:
        """An object that answers to any attribute, as test doubles do, is a native receiver."""
        signal = Signal()

        class Claims:
            def __getattr__(self, name: str) -> Any:
                if name.startswith("__"):
                    raise AttributeError(name)
                return self

            def __call__(self, **kwargs: Any) -> str:
                return "claims"

        signal.connect(Claims(), weak=False)
        ours(signal, "high", priority=1)
        ours(signal, "low", priority=-1)

        assert FORMS["send"](signal) == ["high", "claims", "low"]

    @given(st.lists(st.one_of(st.none(), st.integers(-3, 3)), max_size=12))
    def test_any_sequence_of_connections_is_sorted_stably(
        self, priorities: list[int | None]
    ) -> None:
        """The order is that of a stable sort, None standing for a native receiver."""
        signal = Signal()
        for number, priority in enumerate(priorities):
            if priority is None:
                native(signal, number)
            else:
                ours(signal, number, priority)

        expected = sorted(range(len(priorities)), key=lambda number: -(priorities[number] or 0))

        assert FORMS["send"](signal) == expected


class TestHook:
    """``signal._live_receivers``: put on a signal when it is first needed."""

    def test_a_signal_never_touched_has_none(self) -> None:
        """Connecting without a priority leaves the signal as Django made it."""
        signal = Signal()

        native(signal, "native")
        ours(signal, "ours")
        FORMS["send"](signal)

        assert "_live_receivers" not in vars(signal)

    def test_a_priority_puts_it_on_this_signal_alone(self) -> None:
        """A priority hooks the signals it was given for, and no other."""
        signal, other = Signal(), Signal()

        ours(signal, "ours", priority=1)

        assert "_live_receivers" in vars(signal)
        assert "_live_receivers" not in vars(other)

    def test_it_is_put_on_once(self) -> None:
        """Watching a signal again keeps the hook it has."""
        signal = Signal()

        live.watch(signal)
        hook = vars(signal)["_live_receivers"]
        live.watch(signal)

        assert vars(signal)["_live_receivers"] is hook

    def test_sent_results_name_the_receivers_that_are_connected(self) -> None:
        """``send()`` returns what is connected, hooked or not."""
        signal = Signal()
        function = native(signal, "native")

        live.watch(signal)

        assert signal.send(None) == [(function, "native")]

    def test_the_lists_are_fresh(self) -> None:
        """Whoever changes the lists of one sending, as sentry-sdk does, changes no other."""
        signal = Signal()
        native(signal, "native")
        live.watch(signal)

        first: tuple[list[Any], list[Any]] = signal._live_receivers(None)
        first[0].clear()
        first[1].append("foreign")

        assert FORMS["send"](signal) == ["native"]


class TestIsConnected:
    """``is_connected``: whether a function is connected, for whatever sender."""

    @pytest.mark.parametrize("uid", [None, "uid"])
    @pytest.mark.parametrize("sender", [None, Item])
    @pytest.mark.parametrize("decorator", [native_receiver, receiver, receiver_on_commit])
    def test_by_any_decorator(self, decorator: Any, sender: Any, uid: str | None) -> None:
        """The function itself is found, under whatever it is connected."""

        def function(**kwargs: Any) -> None: ...

        decorator(post_save, sender=sender, dispatch_uid=uid)(function)

        assert live.is_connected(post_save, function)
        assert not live.is_connected(post_save, lambda **kwargs: None)

    def test_a_bound_method(self) -> None:
        """A method is found for its own object."""

        class Receiver:
            def method(self, **kwargs: Any) -> None: ...

        one, other = Receiver(), Receiver()
        receiver(post_save)(one.method)

        assert live.is_connected(post_save, one.method)
        assert not live.is_connected(post_save, other.method)


SENTRY = """
    import os
    os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
    import django
    import sentry_sdk
    from django.db.models.signals import post_save
    from django.dispatch import Signal
    from sentry_sdk.integrations.django import DjangoIntegration

    from signals_plus import mute_signals, receiver, receiver_on_commit

    def load_sentry():
        sentry_sdk.init(
            dsn=None,
            traces_sample_rate=1.0,
            default_integrations=False,
            integrations=[DjangoIntegration(signals_spans=True)],
        )

    sentry_first = {sentry_first}
    if sentry_first:
        load_sentry()
    django.setup()
    from tests.testapp.models import Item

    signal = Signal()

    def native(**kwargs):
        return "native"

    class Receiver:
        def method(self, **kwargs):
            return "method"

    bound = Receiver().method
    signal.connect(native)
    signal.connect(bound)

    @receiver(signal, priority=1)
    def high(**kwargs):
        return "high"

    @receiver(signal, priority=-1)
    async def low(**kwargs):
        return "low"

    def answers(sender=None, on=signal):
        with sentry_sdk.start_transaction(name="test"):
            sent = on.send(sender)
            wrapped = [found for found, _ in sent if "sentry" in found.__code__.co_filename]
            assert len(wrapped) == len(sent), "Sentry does not see every receiver"
            return [answer for _, answer in sent]

    with mute_signals(signal, receivers=[native]):  # hooks the signal before Sentry comes
        pass
    with mute_signals(receivers=[native]):  # and the class
        pass
    if not sentry_first:
        load_sentry()

    assert answers() == ["high", "native", "method", "low"], answers()
    with mute_signals(signal):
        assert answers() == []
        assert not signal.has_listeners(None)
    for muted, left in [
        (native, ["high", "method", "low"]),
        (bound, ["high", "native", "low"]),
        (high, ["native", "method", "low"]),
        (low, ["high", "native", "method"]),
    ]:
        with mute_signals(signal, receivers=[muted]):
            assert answers() == left, (muted, answers())
        with mute_signals(receivers=[muted]):
            assert answers() == left, (muted, answers())

    def new(**kwargs):
        return "new"

    with mute_signals(signal):
        signal.connect(new)
        assert answers() == ["new"]
    signal.disconnect(new)

    later = Signal()
    later.connect(native)
    with mute_signals(receivers=[native]):
        assert answers(on=later) == []
    assert answers(on=later) == ["native"]

    @receiver_on_commit(post_save, sender=Item)
    def deferred(**kwargs):
        ...

    with mute_signals(post_save, senders=[Item], receivers=[deferred]):
        assert answers(Item, on=post_save) == []
    print("done")
"""


@pytest.mark.parametrize("sentry_first", [True, False], ids=["before us", "after us"])
def test_sentry(sentry_first: bool) -> None:
    """Mute and priority know receivers through Sentry's wrappers, loaded before or after us."""
    # In a process of its own: what Sentry does to the class Signal cannot be undone.
    code = textwrap.dedent(SENTRY).format(sentry_first=sentry_first)

    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)},
    )

    assert result.returncode == 0, result.stderr
    assert result.stdout == "done\n"


def test_nothing_is_muted_between_tests() -> None:
    """The rules of a block are gone with it, for this context and for all threads."""
    signal = Signal()

    with mute_signals(signal), mute_signals(signal, all_threads=True):
        inside = len(live.rules_here.get()), len(live.everywhere.rules)

    assert inside == (1, 1)
    assert (live.rules_here.get(), live.everywhere.rules) == ((), ())
