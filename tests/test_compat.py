"""What we know of the inside of Django's signals, on the Django version in use."""

from __future__ import annotations

import gc
import inspect
from typing import Any

import pytest
from django.db.models.signals import m2m_changed, post_save
from django.dispatch import Signal

from signals_plus import _compat
from tests.testapp.models import Item, Tag


class Receiver:
    def method(self, **kwargs: Any) -> None: ...


class Sender:
    """An object that can be a sender and can be collected."""


def function(**kwargs: Any) -> None: ...


class TestMakeId:
    """``make_id``: the key under which Django stores a receiver."""

    def test_a_function_has_its_own_key(self) -> None:
        """Two functions have two keys, one function always the same."""
        assert _compat.make_id(function) == _compat.make_id(function)
        assert _compat.make_id(function) != _compat.make_id(lambda **kwargs: None)

    def test_a_bound_method_is_known_by_object_and_function(self) -> None:
        """A bound method, made anew at every access, has one key for each object."""
        one, other = Receiver(), Receiver()

        assert _compat.make_id(one.method) == _compat.make_id(one.method)
        assert _compat.make_id(one.method) != _compat.make_id(other.method)


class TestConnectedTo:
    """``connected_to``: who is connected to one sender of a signal."""

    def test_strong_and_weak_sync_and_async(self) -> None:
        """All kinds of entries are read, in the order of connection."""
        signal = Signal()
        holder = Receiver()

        async def coroutine(**kwargs: Any) -> None: ...

        signal.connect(function)
        signal.connect(coroutine)
        signal.connect(holder.method)
        signal.connect(print, weak=False, dispatch_uid="uid")

        found = list(_compat.connected_to(signal, None))

        assert found == [
            (_compat.make_id(function), function),
            (_compat.make_id(coroutine), coroutine),
            (_compat.make_id(holder.method), holder.method),
            ("uid", print),
        ]

    def test_only_of_this_sender(self) -> None:
        """None means those connected to every sender, not all of them."""
        signal = Signal()
        signal.connect(function, sender=Item)
        signal.connect(print, weak=False)

        assert [each for _, each in _compat.connected_to(signal, Item)] == [function]
        assert [each for _, each in _compat.connected_to(signal, None)] == [print]
        assert [each for _, each in _compat.connected_to(signal, Tag)] == []

    def test_dead_receivers_are_left_out(self) -> None:
        """A receiver that was collected is not connected."""
        signal = Signal()
        holder = Receiver()
        signal.connect(holder.method)

        del holder
        gc.collect()

        assert list(_compat.connected_to(signal, None)) == []

    def test_a_new_sender_does_not_inherit_from_a_dead_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An object that has got the id of a collected sender has no receivers of its own."""
        signal = Signal()
        sender = Sender()
        signal.connect(function, sender=sender)
        if len(signal.receivers[0]) < 4:
            pytest.skip("up to Django 5.2 a signal knows its senders by id alone")

        id_of_the_dead = _compat.make_id(sender)
        del sender
        gc.collect()
        monkeypatch.setattr(_compat, "make_id", lambda target: id_of_the_dead)

        assert list(_compat.connected_to(signal, Sender())) == []


class TestConnected:
    """``connected``: all receivers of a signal."""

    def test_of_every_sender(self) -> None:
        """Receivers of all senders and of one are given, those that died are not."""
        signal = Signal()
        signal.connect(function, sender=Item)
        signal.connect(print, weak=False)
        signal.connect(Receiver().method)
        gc.collect()

        assert list(_compat.connected(signal)) == [function, print]


class TestConnectedSince:
    """``connected_since``: the receivers of a sender that came later."""

    def test_leaves_out_those_who_were_there(self) -> None:
        """One that was connected again is given."""
        signal = Signal()
        signal.connect(function)
        signal.connect(print, weak=False)

        before = _compat.connections(signal)
        signal.disconnect(print)
        signal.connect(print, weak=False)
        signal.connect(len, weak=False)

        assert list(_compat.connected_since(signal, before, Item)) == [print, len]

    def test_leaves_out_those_of_other_senders(self) -> None:
        """A receiver may have been connected to this sender before, and to another one since."""
        signal = Signal()
        signal.connect(function, sender=Item)

        before = _compat.connections(signal)
        signal.connect(function, sender=Tag)
        signal.connect(print, weak=False, sender=Item)

        assert list(_compat.connected_since(signal, before, Item)) == [print]
        assert list(_compat.connected_since(signal, before, Tag)) == [function]
        assert list(_compat.connected_since(signal, before, None)) == []


class TestHookSignal:
    """``hook_signal``: a last word on whom one signal calls."""

    def test_every_caller_asks_the_hook(self) -> None:
        """Sending and ``has_listeners`` get what the hook returns, for the sender of the event."""
        signal = Signal()
        signal.connect(print, weak=False)
        asked: list[Any] = []

        def live(find: Any, signal: Signal, sender: Any) -> Any:
            asked.append((signal, sender, find(signal, sender)))
            return [function], []

        _compat.hook_signal(signal, live)
        sent = signal.send(Item)

        assert sent == [(function, None)]
        assert signal.has_listeners(Item)
        assert asked == [(signal, Item, ([print], []))] * 2

    def test_a_later_patch_of_the_class_is_honoured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever replaces the class's method after us is asked too."""
        signal = Signal()
        signal.connect(print, weak=False)
        _compat.hook_signal(signal, lambda find, signal, sender: find(signal, sender))

        monkeypatch.setattr(Signal, "_live_receivers", lambda self, sender: ([function], []))

        assert signal.send(None) == [(function, None)]


class TestHookSignalIf:
    """``hook_signal_if``: a last word only while a condition holds."""

    def test_asks_for_the_order_alone_while_it_does_not_hold(self) -> None:
        """And for that only where there are several receivers to be put in order."""
        signal, holds = Signal(), [False]

        def live(find: Any, signal: Signal, sender: Any) -> Any:
            return [], []

        def order(signal: Signal, found: Any) -> Any:
            return found[0][::-1], found[1]

        _compat.hook_signal_if(lambda: holds[0], signal, live, order)

        signal.connect(print, weak=False)
        assert signal._live_receivers(None) == ([print], [])
        signal.connect(function, weak=False)
        assert signal._live_receivers(None) == ([function, print], [])
        holds[0] = True
        assert signal._live_receivers(None) == ([], [])

    def test_does_not_take_the_place_of_the_hook_that_always_asks(self) -> None:
        """But the other way round."""
        signal = Signal()
        signal.connect(print, weak=False)

        def add() -> None:
            _compat.hook_signal_if(
                lambda: False, signal, lambda *_: ([], []), lambda _, found: found
            )

        add()
        assert signal._live_receivers(None) == ([print], [])
        _compat.hook_signal(signal, lambda *_: ([function], []))
        add()
        assert signal._live_receivers(None) == ([function], [])

    def test_a_later_patch_of_the_class_is_honoured(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Whoever replaces the class's method after us is asked."""
        signal = Signal()
        signal.connect(print, weak=False)
        _compat.hook_signal_if(bool, signal, lambda *_: ([], []), lambda _, found: found)

        monkeypatch.setattr(Signal, "_live_receivers", lambda self, sender: ([function], []))

        assert signal.send(None) == [(function, None)]


class TestHookEverySignal:
    """``hook_every_signal``: the same for all signals."""

    @pytest.fixture(autouse=True)
    def restored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        original = Signal._live_receivers
        monkeypatch.setattr(Signal, "_live_receivers", original)
        monkeypatch.setattr(_compat, "_hooks_of_every_signal", set())

    def test_old_and_new_signals_obey(self) -> None:
        """Signals made before and after ask the hook."""
        before = Signal()
        _compat.hook_every_signal(lambda find, signal, sender: ([function], []))
        after = Signal()

        for signal in (before, after, post_save):
            signal.connect(print, sender=Item, weak=False)

        assert [signal.send(Item) for signal in (before, after, post_save)] == [
            [(function, None)]
        ] * 3

    def test_once_is_enough(self) -> None:
        """Hooking again with the same function changes nothing."""

        def live(find: Any, signal: Signal, sender: Any) -> Any:
            return find(signal, sender)

        _compat.hook_every_signal(live)
        hooked = Signal._live_receivers
        _compat.hook_every_signal(live)

        assert Signal._live_receivers is hooked


class TestDjango:
    """Facts about Django that the package is built on; a new version may change them."""

    def test_every_way_of_sending_asks_live_receivers(self) -> None:
        """``send``, ``asend``, their robust forms and ``has_listeners`` use one method."""
        for name in ("send", "send_robust", "asend", "asend_robust", "has_listeners"):
            assert "self._live_receivers(sender)" in inspect.getsource(getattr(Signal, name))

    def test_live_receivers_returns_two_fresh_lists(self) -> None:
        """The method gives synchronous and asynchronous receivers, in lists of their own."""
        signal = Signal(use_caching=True)
        signal.connect(function, sender=Item)

        first = signal._live_receivers(Item)
        second = signal._live_receivers(Item)

        assert first == second == ([function], [])
        assert first[0] is not second[0]

    def test_no_model_signal_has_a_method_of_its_own(self) -> None:
        """The hook on the class reaches the model signals."""
        assert "_live_receivers" not in vars(type(post_save))

    def test_m2m_changed_sends_raw(self, db: None) -> None:
        """``M2M_CHANGED_SENDS_RAW`` says what this version of Django does."""
        sent: list[set[str]] = []

        def keep(**kwargs: Any) -> None:
            sent.append(set(kwargs))

        m2m_changed.connect(keep)
        Item.objects.create().tags.add(Tag.objects.create())

        assert len(sent) == 2
        assert all(("raw" in names) is _compat.M2M_CHANGED_SENDS_RAW for names in sent)
