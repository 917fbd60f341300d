"""Forty Flink SQL queries as teams run them, the topics they read, and what promotes and replays them.

``queries/NAME.sql`` holds a comment with the title, directives (``needs`` names files of ``tables``), the
query's own declarations, and behind ``-- cell`` the cell that is promoted.
"""
