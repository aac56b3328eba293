"""The durable mode: an opt-in app with one table, from which no committed task is lost.

# Note [The message is the proof]
A durable task is a *message*: a row written in the transaction of the event that it is for. It
exists from the commit of the event until the commit of the work, both in one database, so that at
no time neither side remembers the event. What travels through the queue is only its id, a wake-up
call that may be lost or doubled:

- After the commit the message is enqueued at once (the fast path). ``due_at`` is a while ahead.
- The worker locks the message, runs the receiver and deletes the message, in one transaction.
  A copy finds it locked or gone, and returns. A worker that dies leaves it as it was.
- The relay enqueues again what is due. It moves ``due_at`` ahead first, by the time for which the
  message has been due: one that waits in a long queue is enqueued again in ever longer steps.

``due_at`` alone carries all waiting: the grace of the fast path, the relay's claim, the time until
a failure is tried again, ``run_after``. Time is the database's, whatever the hosts' clocks say.

With ``durable="publish"`` the message is deleted when the queue has taken the task, with all its
arguments: for work that takes effect elsewhere.
"""
