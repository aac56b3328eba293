"""What was sent, and what is said when it was not."""

from __future__ import annotations

import asyncio
import threading
from functools import partial
from typing import Any
from unittest import mock
from uuid import uuid4

import pytest
from django.db import transaction
from django.db.models.signals import m2m_changed, post_delete, post_save, pre_save
from django.dispatch import Signal

from signals_plus import receiver, receiver_on_commit, receiver_task
from signals_plus.exceptions import InvalidReceiverError
from signals_plus.testing import capture_signals, capture_tasks, mute_signals, run_on_commit
from tests.testapp.models import Item, ItemProxy, Tag

pytestmark = pytest.mark.django_db(databases=["default", "other"])

custom = Signal()


def failure(assertion: Any, *args: Any, **kwargs: Any) -> str:
    """Return what an assertion says when it fails."""
    with pytest.raises(AssertionError) as caught:
        assertion(*args, **kwargs)
    return str(caught.value)


class TestCaptured:
    def test_is_what_was_sent_in_order(self) -> None:
        """With receivers or without, whoever sent it."""
        with capture_signals(pre_save, post_save, custom) as sent:
            tag = Tag.objects.create(name="a")
            custom.send(sender=None, word="b")
            custom.send_robust("anybody", word="c")

        assert [each.signal for each in sent] == [pre_save, post_save, custom, custom]
        assert sent[1].instance == tag
        assert sent[1].kwargs["created"] is True
        assert [each.kwargs.get("word") for each in sent[2:]] == ["b", "c"]
        assert len(sent) == 4

    def test_is_as_it_was(self) -> None:
        """Later changes do not reach it, and a deleted row keeps its key."""
        with capture_signals(post_save, post_delete) as sent:
            tag = Tag.objects.create(name="a")
            key = tag.pk
            tag.name = "b"
            tag.delete()

        assert sent[0].instance.name == "a"
        assert sent[1].instance.pk == key
        sent.assert_sent(post_delete, instance=tag)  # the very object, though it has lost its key

    def test_knows_what_was_sent_within_what(self) -> None:
        """By a receiver."""

        @receiver(post_save, sender=Item)
        def save_tag(instance: Item, **kwargs: Any) -> None:
            Tag.objects.create(name="inner")

        with capture_signals(post_save) as sent:
            Item.objects.create()

        outer, inner = sent
        assert inner.parent is outer
        assert outer.parent is None
        assert outer.called == [save_tag]

    def test_knows_the_transaction(self) -> None:
        """On the database of the event, and without those of the test case."""
        with capture_signals(post_save) as sent:
            Tag.objects.create(name="a")
            with transaction.atomic(), transaction.atomic():
                Tag.objects.create(name="b")
                Tag.objects.using("other").create(name="c")

        assert [(each.using, each.depth) for each in sent] == [
            ("default", 0),
            ("default", 2),
            ("other", 0),
        ]

    def test_is_also_what_django_sends_to_listeners_only(self) -> None:
        """A deletion, and a change of relations, without any receiver."""
        tag = Tag.objects.create(name="a")
        item = Item.objects.create()

        with capture_signals(post_delete, m2m_changed) as sent:
            item.tags.add(tag)
            Tag.objects.all().delete()

        sent.assert_sent(m2m_changed, action="post_add", pk_set={tag.pk})
        sent.assert_sent(post_delete, sender=Tag, times=1)

    def test_is_also_what_is_muted(self) -> None:
        """It was sent; nobody heard it."""
        with capture_signals(post_save) as sent, mute_signals(post_save):
            Tag.objects.create(name="a")

        sent.assert_sent(post_save)

    def test_knows_databases_from_other_words(self) -> None:
        """``using`` of a signal of one's own may be anything: a channel, say."""
        with capture_signals(custom) as sent, transaction.atomic():
            custom.send(None, using="email")
            custom.send(None, using="default")

        first, second = str(sent.timeline).splitlines()[1:]
        assert first.endswith("from None: using='email' (on 'default', 1 deep in atomic())")
        assert second.endswith("from None: (on 'default', 1 deep in atomic())")
        sent.assert_sent(custom, using="email", times=1)

    def test_runs_no_receiver_if_told_so(self) -> None:
        """What is sent is kept, and that is all."""
        called: list[Any] = []
        post_save.connect(called.append, sender=Tag)

        with capture_signals(post_save, mute=True) as sent:
            Tag.objects.create(name="a")

        assert called == []
        assert len(sent) == 1

    def test_nothing_is_left(self) -> None:
        """The signal is what it was."""
        before = dict(vars(post_save))

        with pytest.raises(ZeroDivisionError), capture_signals(post_save) as sent:
            Tag.objects.create(name="a")
            raise ZeroDivisionError
        Tag.objects.create(name="b")

        assert len(sent) == 1
        assert vars(post_save).keys() == before.keys()

    def test_blocks_overlap(self) -> None:
        """Each sees what is sent while it lasts, in whatever order they end."""
        first, second = capture_signals(custom), capture_signals(custom)
        first.__enter__()
        second.__enter__()
        first.__exit__(None, None, None)
        custom.send(None)
        second.__exit__(None, None, None)
        custom.send(None)

        assert (len(first), len(second)) == (0, 1)
        assert "send" not in vars(custom)

    def test_begins_anew(self) -> None:
        """A block that is entered again."""
        sent = capture_signals(custom)
        with sent:
            custom.send(None)
        with sent, sent:
            custom.send(None)

        assert len(sent) == 1

    @pytest.mark.parametrize("wrong", [(), (Tag,)])
    def test_refuses_what_captures_nothing(self, wrong: Any) -> None:
        """With what to write instead; it is no receiver that is wrong."""
        with pytest.raises(InvalidReceiverError, match=r"^capture_signals\(\).* capture_signals\("):
            capture_signals(*wrong)


class TestContexts:
    @pytest.mark.parametrize("all_threads", [True, False])
    def test_other_threads(self, all_threads: bool) -> None:
        """They are seen if that is asked for; if not, a failing test says so."""
        with capture_signals(custom, all_threads=all_threads) as sent:
            thread = threading.Thread(target=custom.send, args=[None])
            thread.start()
            thread.join()

        assert len(sent) == all_threads
        if not all_threads:
            assert "1 more times in other threads" in failure(sent.assert_sent, custom)

    def test_other_threads_of_an_earlier_block(self) -> None:
        """What they sent then is no news of this one."""
        with capture_signals(custom):
            thread = threading.Thread(target=custom.send, args=[None])
            thread.start()
            thread.join()
        with capture_signals(custom) as sent:
            pass

        assert "other threads" not in failure(sent.assert_sent, custom)

    def test_async(self) -> None:
        """Both forms, in tasks that were begun in the block, and not in those begun before."""

        async def main() -> capture_signals:
            go = asyncio.Event()

            async def earlier() -> None:
                await go.wait()
                await custom.asend(None, word="earlier")

            before = asyncio.create_task(earlier())
            await asyncio.sleep(0)
            with capture_signals(custom) as sent:
                await custom.asend(None, word="a")
                await asyncio.create_task(custom.asend_robust(None, word="b"))
                go.set()
                await before
            return sent

        sent = asyncio.run(main())

        assert [each.kwargs["word"] for each in sent] == ["a", "b"]

    def test_another_task_may_end_it(self) -> None:
        """Nothing is captured any more, in the task that began it either."""

        async def main() -> None:
            sent = capture_signals(custom)

            async def begin() -> None:
                sent.__enter__()

            async def end() -> None:
                sent.__exit__(None, None, None)

            await asyncio.create_task(begin())
            await asyncio.create_task(end())
            custom.send(None)
            assert len(sent) == 0

        asyncio.run(main())
        assert "send" not in vars(custom)

    def test_a_cancelled_task_leaves_nothing(self) -> None:
        """However it waited."""

        async def main() -> None:
            async def forever() -> None:
                with capture_signals(custom):
                    await asyncio.Event().wait()

            task = asyncio.create_task(forever())
            await asyncio.sleep(0)
            assert "send" in vars(custom)
            task.cancel()
            await asyncio.wait([task])

        asyncio.run(main())
        assert "send" not in vars(custom)


class TestAssertions:
    def test_hold(self) -> None:
        """For senders by class and by name, arguments, and how often."""
        with capture_signals(pre_save, post_save) as sent:
            tag = Tag.objects.create(name="a")
            tag.save()

        sent.assert_sent(post_save)
        sent.assert_sent(post_save, sender=Tag, times=2)
        sent.assert_sent(post_save, sender="testapp.Tag", instance=tag, created=True, times=1)
        sent.assert_not_sent(post_save, sender=Item)
        sent.assert_order(pre_save, (post_save, Tag), pre_save)
        assert len(sent.of(post_save, created=False)) == 1

    def test_nearest_is_shown(self) -> None:
        """With the argument that differs, and all that happened."""
        with capture_signals(post_save) as sent:
            tag = Tag.objects.create(name="a")
            tag.save()

        text = failure(sent.assert_sent, post_save, sender=Tag, created=None)

        assert "post_save from testapp.Tag with created=None was not sent." in text
        assert "Nearest: 1, where created was True, not None." in text
        assert f"2. post_save from testapp.Tag <testapp.Tag pk={tag.pk}>" in text

    def test_how_often(self) -> None:
        """And which ones they were."""
        with capture_signals(post_save) as sent:
            Tag.objects.create(name="a")
            Tag.objects.create(name="b")

        assert "was sent twice, not once: 1, 2." in failure(sent.assert_sent, post_save, times=1)
        text = failure(sent.assert_not_sent, post_save, sender=Tag)
        assert "No post_save from testapp.Tag was to be sent, but twice it was: 1, 2." in text
        assert "Nothing was to be sent" in failure(sent.assert_not_sent)

    @pytest.mark.parametrize("is_async", [True, False])
    def test_what_send_robust_keeps_to_itself(self, is_async: bool) -> None:
        """What a receiver raised; an error that one returns is none."""

        def fail(**kwargs: Any) -> None:
            raise ValueError("no")

        def answer(**kwargs: Any) -> KeyError:
            return KeyError("yes")

        def fail_too(**kwargs: Any) -> None:
            fail()

        custom.connect(fail)
        custom.connect(answer)
        receiver(custom)(fail_too)
        with capture_signals(custom) as sent:
            if is_async:
                asyncio.run(custom.asend_robust(None, word="a"))
            else:
                custom.send_robust(None, word="a")

        text = failure(sent.assert_sent, custom, word="b")
        assert ".fail: raised ValueError('no')" in text
        assert ".fail_too: raised ValueError('no')" in text
        assert text.count(": called") == text.count(".answer: called") == 1
        assert sent[0].called == [fail, answer, fail_too]
        assert sent[0].error is None

    def test_order(self) -> None:
        """Up to where it holds."""
        with capture_signals(pre_save, post_save) as sent:
            Tag.objects.create(name="a")

        text = failure(sent.assert_order, post_save, pre_save)

        assert "No pre_save was sent after post_save." in text
        assert failure(sent.assert_order).startswith("assert_order() names no signal.")

    @pytest.mark.parametrize("wrong", [(), (post_save,), (post_save, Tag, 3)])
    def test_order_of_what_is_no_pair(self, wrong: Any) -> None:
        """It says what a pair is."""
        with capture_signals(post_save) as sent:
            Tag.objects.create(name="a")

        assert "no pair of a signal and a sender" in failure(sent.assert_order, wrong)

    def test_rows_of_other_databases_are_others(self) -> None:
        """Whatever their keys; a row that was never saved is on none, and so on any."""
        with capture_signals(post_save) as sent:
            here = Tag.objects.create(pk=1, name="a")
        there = Tag.objects.using("other").create(pk=1, name="a")

        sent.assert_sent(post_save, instance=here)
        sent.assert_sent(post_save, instance=Tag(pk=1))
        sent.assert_not_sent(post_save, instance=there)
        text = failure(sent.assert_sent, post_save, instance=there)
        assert "instance was <testapp.Tag pk=1> on 'default', not <testapp.Tag pk=1> on" in text

    @pytest.mark.parametrize("key", [1, "1", uuid4(), ("a", 1), None, Tag])
    @pytest.mark.parametrize("assertion", ["assert_sent", "assert_not_sent", "of"])
    def test_a_key_where_a_row_belongs(self, assertion: str, key: Any) -> None:
        """No row is one."""
        with capture_signals(post_save, custom) as sent:
            Tag.objects.create(pk=1, name="a")
            custom.send(None, instance=key)

        text = failure(getattr(sent, assertion), post_save, sender=Tag, instance=key)

        assert text.endswith("is no row, and post_save is about rows. Write instance=Tag(pk=...).")
        sent.assert_sent(post_save, instance=mock.ANY)
        sent.assert_sent(custom, instance=key)

    def test_the_proxy_is_another_sender(self) -> None:
        """The usual mistake, and what to write."""
        with capture_signals(post_save) as sent:
            ItemProxy.objects.create()

        text = failure(sent.assert_sent, post_save, sender=Item)

        assert "testapp.ItemProxy is a proxy of testapp.Item" in text
        assert "sender=[Item, ItemProxy]" in text
        sent.assert_sent(post_save, sender=[Item, ItemProxy], times=1)
        text = failure(sent.assert_sent, post_save, sender=[Item, ItemProxy], created=False)
        assert "Hint" not in text

    def test_several_senders(self) -> None:
        """Any of them, by class or by name."""
        with capture_signals(post_save) as sent:
            Tag.objects.create(name="a")

        sent.assert_sent(post_save, sender=["testapp.Tag", Item], times=1)
        sent.assert_order((post_save, [Item, Tag]))
        sent.assert_not_sent(post_save, sender=[Item, ItemProxy])
        text = failure(sent.assert_not_sent, post_save, sender=(Item, Tag))
        assert text.startswith("No post_save from testapp.Item or testapp.Tag was to be sent")
        text = failure(sent.assert_sent, post_save, sender=[Item, ItemProxy])
        assert "the sender was testapp.Tag, not testapp.Item or testapp.ItemProxy" in text

    @pytest.mark.parametrize(
        ("sender", "words"),
        [
            ([], "names no sender: the list is empty."),
            ([Item, "testapp.Tga"], "'testapp.Tga' names no model. Write "),
        ],
    )
    def test_lists_that_name_nothing(self, sender: Any, words: str) -> None:
        """What is in it counts as if it were alone."""
        with capture_signals(post_save) as sent:
            Tag.objects.create(name="a")

        assert words in failure(sent.assert_not_sent, post_save, sender=sender)

    def test_bulk_sends_nothing(self) -> None:
        """What Django sends no signals for."""
        with capture_signals(post_save) as sent:
            Tag.objects.bulk_create([Tag(name="a")])

        text = failure(sent.assert_sent, post_save, sender=Tag)

        assert "bulk_create()" in text
        assert "Nothing was sent." in text

    def test_not_captured(self) -> None:
        """The block does not watch that signal."""
        with capture_signals(post_save) as sent:
            pass

        text = failure(sent.assert_sent, post_delete)

        assert "post_delete was not captured: the block names post_save. Name it there" in text

    @pytest.mark.parametrize("sender", ["testapp.Tga", "Tag"])
    def test_a_name_of_no_model(self, sender: str) -> None:
        """It would never be sent, which is no reason to be content."""
        with capture_signals(post_save, custom) as sent:
            Tag.objects.create(name="a")
            custom.send(sender, word="b")

        text = failure(sent.assert_not_sent, post_save, sender=sender)

        assert text.startswith(f"The sender {sender!r} names no model. Write ")
        sent.assert_sent(custom, sender=sender)

    @pytest.mark.parametrize("none", ["assert_not_sent", "assert_sent"])
    def test_arguments_that_no_signal_has(self, none: str) -> None:
        """None was sent with it, whatever happens."""
        with capture_signals(post_save, custom) as sent:
            Tag.objects.create(name="a")
        assertion = partial(getattr(sent, none), **({"times": 0} if none == "assert_sent" else {}))

        text = failure(assertion, post_save, sender=Tag, creatd=True)
        assert text == "post_save has no argument 'creatd'. Near it: 'created'."
        assert text in failure(assertion, post_save, creatd=True)
        assertion(post_save, created=False)
        assertion(custom, wrod="a")
        with sent:
            custom.send(None, word="a")
            post_save.send(Tag, instance=Tag(), of_our_own=1)
        assert "custom has no argument 'wrod'. Near it: 'word'." in failure(
            assertion, custom, wrod="a"
        )
        assertion(custom, word="b")
        assertion(post_save, of_our_own=2)

    def test_a_row_where_its_model_belongs(self) -> None:
        """Rows send nothing."""
        with capture_signals(post_save, custom) as sent:
            tag = Tag.objects.create(name="a")
            custom.send(tag)

        text = failure(sent.assert_not_sent, post_save, sender=tag)
        assert text == (
            f"The sender <testapp.Tag pk={tag.pk}> is a row, and models send this signal. "
            "Write sender=Tag, instance=..."
        )
        sent.assert_sent(custom, sender=tag)

    def test_a_sender_where_signals_belong(self) -> None:
        """And where it belongs."""
        with pytest.raises(InvalidReceiverError, match=r"assert_sent\(post_save, sender=Tag\)"):
            capture_signals(Tag)  # type: ignore[arg-type]

    def test_custom_signals_have_their_names(self) -> None:
        """The variable that holds it."""
        with capture_signals(custom) as sent:
            pass

        assert "test_capture_signals.custom was not sent" in failure(sent.assert_sent, custom)


class TestTimeline:
    def test_tells_the_story(self) -> None:
        """Who was called, who was not and why, what waited and what became of it."""

        def on_commit(**kwargs: Any) -> None: ...
        def updated(**kwargs: Any) -> None: ...
        def refused(**kwargs: Any) -> None: ...
        def plain(**kwargs: Any) -> None: ...

        receiver_on_commit(post_save, sender=Tag)(on_commit)
        receiver(post_save, sender=Tag, created=False)(updated)
        receiver(post_save, sender=Tag, when=lambda **_: False)(refused)
        receiver(post_save, sender=Tag)(plain)

        with run_on_commit(), capture_signals(post_save) as sent:
            Tag.objects.create(name="a")
            with transaction.atomic():
                Tag.objects.create(name="b")
                transaction.set_rollback(True)
        with capture_signals(post_save) as waiting:
            Tag.objects.create(name="c")

        done, rolled_back = str(sent.timeline).split("2. post_save")
        assert "on_commit: scheduled for the commit on 'default' -> committed" in done
        assert "updated: skipped, since it has created=False, and True was sent" in done
        assert "refused: skipped, since its when= said no" in done
        assert "plain: called" in done
        assert "-> rolled back" in rolled_back
        assert "1 deep in atomic()" in rolled_back
        assert "-> still waiting" in str(waiting.timeline)
        with run_on_commit():  # where it is out of sight
            assert "-> still waiting" in str(waiting.timeline)

    def test_tells_of_tasks_by_their_own_name_alone(self) -> None:
        """Not by that of the function too, as if it had been called."""

        def paint(**kwargs: Any) -> None: ...

        with capture_tasks(), capture_signals(post_save) as sent:
            receiver_task(post_save, sender=Tag, name="painting")(paint)
            Tag.objects.create(name="a")

        assert "painting: scheduled" in str(sent.timeline)
        assert "called" not in str(sent.timeline)
        assert sent[0].called == [paint]

    def test_tells_who_is_muted(self) -> None:
        """Only those: single ones, all but one, and all."""

        def first(**kwargs: Any) -> None: ...
        def second(**kwargs: Any) -> None: ...

        receiver(post_save, sender=Tag)(first)
        post_save.connect(second, sender=Tag)
        with capture_signals(post_save) as sent:
            with mute_signals(receivers=[first]):
                Tag.objects.create(name="a")
            with mute_signals(post_save, except_=[first]):
                Tag.objects.create(name="b")
            with mute_signals(post_save):
                Tag.objects.create(name="c")
            with mute_signals(post_save, senders=[Item]):
                Tag.objects.create(name="d")

        assert [each.muted for each in sent] == [[first], [second], [first, second], []]
        assert "first: muted by mute_signals()" in str(sent.timeline)
        assert str(sent.timeline).count("muted by") == 4

    def test_tells_of_errors(self) -> None:
        """A receiver that raised."""

        @receiver(custom)
        def fail(**kwargs: Any) -> None:
            raise ValueError("failing")

        with capture_signals(custom) as sent, pytest.raises(ValueError, match="failing"):
            custom.send(None)

        assert "raised ValueError('failing')" in str(sent.timeline)


class TestOthersWhoReplaceSend:
    def test_and_put_it_back_after_the_block(self) -> None:
        """As a mock does that lasts longer than the block: one sending is one."""
        with capture_signals(custom):
            ours = vars(custom)["send"], vars(custom)["asend"]
            vars(custom)["send"] = partial(ours[0])
            vars(custom)["asend"] = partial(ours[1])
        try:
            with capture_signals(custom) as sent:
                custom.send(None)
                asyncio.run(custom.asend(None))
        finally:
            for name in ("send", "send_robust", "asend", "asend_robust", "has_listeners"):
                vars(custom).pop(name, None)

        assert len(sent) == 2
