"""Tests that come with jobs: input records of a job's sources, and the table that its sinks get of them.

``case`` finds them in the repository, ``records`` reads their input, ``aim`` turns a job's tables to
topics of the test's own, ``running`` runs many at once on the embedded stack, ``outcome`` reads what was
written, ``compare`` holds it against what was expected, ``report`` tells.
"""
