"""Relay until killed, or told to end: ``python -m benchmarks.soak.project.relay``."""

from __future__ import annotations

import signal

import django


def main() -> None:
    django.setup()
    from signals_plus.outbox.relay import Relay  # noqa: PLC0415 - needs the settings

    relay = Relay(["default"], poll=0.2)
    signal.signal(signal.SIGTERM, lambda *_: relay.stop())
    print("ready", flush=True)
    relay.run()


if __name__ == "__main__":
    main()
