"""What is found in a job before it is written, and how it is mended.

``text`` edits SQL by its tokens; ``draft`` is what a job is composed of; the other modules hold rules: on
``secrets`` (and ``python_secrets``), on the ``statements``, on the ``tables``, on the ``planned`` job, on
what was ``seen`` in the run and ``measured`` of it. ``mend`` mends, ``review`` puts all of it together.
"""
