INSERT INTO t SELECT '${symbol}';
