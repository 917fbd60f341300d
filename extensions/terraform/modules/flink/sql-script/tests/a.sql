SELECT '${symbol}', '$${literal}', '%%{if}';
