"""What receivers cost, against what users write by hand: ``python -m benchmarks``.

``table`` says what is compared and what has to be reached; each module of ``comparisons`` holds
the contenders of one comparison and runs in a process of its own; ``measuring`` is the harness.
"""
