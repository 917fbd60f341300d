CREATE TABLE t (x STRING) WITH (${kafka.main});
