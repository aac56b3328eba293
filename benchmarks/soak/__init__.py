"""Kill and pause everything, and see whether anything is lost: ``python -m benchmarks.soak``.

Producers, relays, Celery workers and a Redis that keeps nothing on disk are ended with ``kill
-9``, or stopped for a while, on a schedule that a seed decides. Then everything drains, and the
ledger of what was committed is compared with the ledger of what took effect: both are tables of
one database.

Two ways that must lose something run at the same time, as controls: a plain task receiver, and
``durable="publish"``. A soak in which they lose nothing has proved nothing, and fails.

``project`` is what the processes run; ``processes`` and ``database`` are what a soak starts and
makes; ``chaos`` says when something happens to whom; ``ledger`` compares; ``report`` tells.
"""
