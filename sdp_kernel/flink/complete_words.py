"""Keywords by the place they may stand in, as phrases: ``GROUP BY`` is offered as one."""

from __future__ import annotations

_QUERY_START = ("SELECT", "WITH", "VALUES")
STATEMENTS = (
    *_QUERY_START,
    "INSERT INTO",
    "INSERT OVERWRITE",
    "CREATE TABLE",
    "CREATE TEMPORARY TABLE",
    "CREATE VIEW",
    "CREATE TEMPORARY VIEW",
    "CREATE FUNCTION",
    "CREATE TEMPORARY FUNCTION",
    "CREATE CATALOG",
    "CREATE DATABASE",
    "CREATE OR ALTER MATERIALIZED TABLE",
    "CREATE MODEL",
    "EXPLAIN",
    "DESCRIBE",
    "SHOW TABLES",
    "SHOW VIEWS",
    "SHOW CREATE TABLE",
    "SHOW CREATE VIEW",
    "SHOW COLUMNS FROM",
    "SHOW FUNCTIONS",
    "SHOW USER FUNCTIONS",
    "SHOW CATALOGS",
    "SHOW DATABASES",
    "SHOW CURRENT CATALOG",
    "SHOW CURRENT DATABASE",
    "SHOW JARS",
    "SHOW JOBS",
    "SHOW MODULES",
    "SHOW PARTITIONS",
    "USE",
    "USE CATALOG",
    "USE MODULES",
    "SET",
    "RESET",
    "DROP TABLE",
    "DROP TABLE IF EXISTS",
    "DROP TEMPORARY TABLE",
    "DROP VIEW",
    "DROP VIEW IF EXISTS",
    "DROP TEMPORARY VIEW",
    "DROP FUNCTION",
    "DROP TEMPORARY FUNCTION",
    "DROP CATALOG",
    "DROP DATABASE",
    "ALTER TABLE",
    "ALTER VIEW",
    "ALTER DATABASE",
    "EXECUTE STATEMENT SET BEGIN",
    "END",
    "UPDATE",
    "DELETE FROM",
    "TRUNCATE TABLE",
    "ANALYZE TABLE",
    "CALL",
    "ADD JAR",
    "REMOVE JAR",
    "LOAD MODULE",
    "UNLOAD MODULE",
    "COMPILE PLAN",
    "EXECUTE PLAN",
)
EXPLAINED = (
    *_QUERY_START,
    "INSERT INTO",
    "CHANGELOG_MODE",
    "ESTIMATED_COST",
    "JSON_EXECUTION_PLAN",
    "PLAN_ADVICE",
    "PLAN FOR",
    "STATEMENT SET BEGIN",
)
AFTER_TARGET = (*_QUERY_START, "PARTITION", "ON CONFLICT DO")
OPERANDS = ("CASE", "NOT", "NULL", "TRUE", "FALSE", "INTERVAL", "EXISTS", "DATE", "TIMESTAMP", "TIME")
OPERATORS = (
    "AND",
    "OR",
    "IS NULL",
    "IS NOT NULL",
    "IS DISTINCT FROM",
    "IS NOT DISTINCT FROM",
    "IN",
    "NOT IN",
    "BETWEEN",
    "NOT BETWEEN",
    "LIKE",
    "NOT LIKE",
    "SIMILAR TO",
)
CASE = ("WHEN", "THEN", "ELSE", "END")
_JOINS = (
    "JOIN",
    "LEFT JOIN",
    "INNER JOIN",
    "RIGHT JOIN",
    "FULL OUTER JOIN",
    "CROSS JOIN",
    "CROSS JOIN UNNEST",
    "CROSS JOIN LATERAL TABLE",
)
_UNIONS = ("UNION ALL", "UNION", "EXCEPT", "INTERSECT")
_TAIL = ("ORDER BY", "LIMIT", *_UNIONS)
#: Clause → what may come after an operand in it.
FOLLOWING = {
    "SELECT": ("AS", "FROM", "OVER", "FILTER (WHERE", "WITHIN GROUP (ORDER BY"),
    "FROM": (
        "AS",
        "WHERE",
        "GROUP BY",
        *_JOINS,
        "ON",
        "USING",
        "FOR SYSTEM_TIME AS OF",
        "MATCH_RECOGNIZE",
        "HAVING",
        "WINDOW",
        *_TAIL,
    ),
    "ON": ("WHERE", "GROUP BY", *_JOINS, "HAVING", *_TAIL),
    "WHERE": ("GROUP BY", "HAVING", "WINDOW", *_TAIL),
    "GROUP": ("HAVING", *_TAIL),
    "HAVING": _TAIL,
    "ORDER": ("ASC", "DESC", "NULLS FIRST", "NULLS LAST", "LIMIT", "ROWS BETWEEN", "RANGE BETWEEN"),
    "PARTITION": ("ORDER BY",),
    "LIMIT": ("OFFSET", *_UNIONS),
    "SET": ("WHERE",),
    "WINDOW": ("AS", *_TAIL),
}
#: Clause → what may begin an operand in it, beside :data:`OPERANDS`.
BEGINNING = {
    "SELECT": ("DISTINCT",),
    "GROUP": ("GROUPING SETS", "ROLLUP", "CUBE"),
    "ORDER": (),
    "OVER": ("PARTITION BY", "ORDER BY"),
}
_WITH_BY = ("GROUP BY", "ORDER BY", "PARTITION BY")
#: Phrases that only their own rest may follow, once one of :data:`BEGUN` stands there.
PHRASES = tuple(
    dict.fromkeys(
        phrase
        for phrase in (*_WITH_BY, *OPERATORS, *(p for each in FOLLOWING.values() for p in each))
        if " " in phrase and "(" not in phrase
    )
)
BEGUN = frozenset(
    {"GROUP", "ORDER", "PARTITION", "LEFT", "RIGHT", "FULL", "INNER", "CROSS", "OUTER", "IS", "NULLS"}
    | {"FOR", "SYSTEM_TIME", "SIMILAR"}
)
FRAMES = (
    "UNBOUNDED PRECEDING",
    "CURRENT ROW",
    "UNBOUNDED FOLLOWING",
    "PRECEDING",
    "AND CURRENT ROW",
)
READ_FROM = ("LATERAL TABLE", "TABLE", "UNNEST")
COLUMN_PARTS = (
    "NOT NULL",
    "METADATA",
    "METADATA FROM",
    "VIRTUAL",
    "PRIMARY KEY",
    "NOT ENFORCED",
    "COMMENT",
    "AS",
    "CONSTRAINT",
)
COLUMN_LINES = ("WATERMARK FOR", "PRIMARY KEY", "CONSTRAINT")
AFTER_COLUMNS = ("WITH", "COMMENT", "PARTITIONED BY", "DISTRIBUTED BY HASH", "LIKE", "AS SELECT")
AFTER_ALTERED = ("SET", "RESET", "ADD", "MODIFY", "DROP", "RENAME TO", "RENAME")
LIKE_OPTIONS = (
    "INCLUDING ALL",
    "EXCLUDING ALL",
    "INCLUDING OPTIONS",
    "EXCLUDING OPTIONS",
    "OVERWRITING OPTIONS",
    "INCLUDING GENERATED",
    "EXCLUDING WATERMARKS",
)
UNITS = ("SECOND", "MINUTE", "HOUR", "DAY", "MONTH", "YEAR", "DAY TO SECOND", "YEAR TO MONTH")
EXTRACTED = tuple(
    f"{unit} FROM"
    for unit in ("YEAR", "QUARTER", "MONTH", "WEEK", "DAY", "DOW", "DOY", "HOUR", "MINUTE", "SECOND", "EPOCH")
)
MEASURED = (
    "PARTITION BY",
    "ORDER BY",
    "MEASURES",
    "ONE ROW PER MATCH",
    "AFTER MATCH SKIP PAST LAST ROW",
    "AFTER MATCH SKIP TO NEXT ROW",
    "PATTERN",
    "WITHIN",
    "DEFINE",
)
#: Functions that are written without brackets.
BARE_FUNCTIONS = ("CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP", "LOCALTIME", "LOCALTIMESTAMP")
TYPES = (
    "STRING",
    "BIGINT",
    "INT",
    "DOUBLE",
    "BOOLEAN",
    "TIMESTAMP(3)",
    "TIMESTAMP_LTZ(3)",
    "DECIMAL(10, 2)",
    "DATE",
    "TIME",
    "FLOAT",
    "SMALLINT",
    "TINYINT",
    "BYTES",
    "CHAR",
    "VARCHAR",
    "BINARY",
    "VARBINARY",
    "ARRAY<",
    "MAP<",
    "ROW<",
    "MULTISET<",
    "VARIANT",
)
