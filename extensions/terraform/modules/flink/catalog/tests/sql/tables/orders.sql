CREATE TABLE orders (id BIGINT) WITH (${kafka.main});
