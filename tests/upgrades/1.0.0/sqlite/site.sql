BEGIN TRANSACTION;
CREATE VIRTUAL TABLE customer_words USING fts5(
        words, detail=none, columnsize=0, tokenize=ascii);
INSERT INTO customer_words (rowid, words) VALUES (1, 'b0fm20qg4 i0qg40ire i0ire0ral i0ral0kkq i0kkq0irz i0irz0fmi i0fmi0ny6 i0ny60000 t090 t900 t002 t029 t292 t926 t264 t644 t444 k8115');
INSERT INTO customer_words (rowid, words) VALUES (2, 'b0fo009hh i09hh0kdk i0kdk0rpm i0rpm0000 t064 t649 t493 t931 t312 t129 t290 t906 k5037');
INSERT INTO customer_words (rowid, words) VALUES (3, 'b0ffx0kep i0kep0pa4 i0pa40000 t069 t695 t951 t510 t109 t094 t941 t419 k1778');
INSERT INTO customer_words (rowid, words) VALUES (4, 'b0sio0qg4 i0qg40fse i0fse0ivg i0ivg0000 t031 t317 t170 t706 t067 t679 t798 t985 k1221');
INSERT INTO customer_words (rowid, words) VALUES (5, 'b0ffx0kep i0kep0i3j i0i3j0fex i0fex0000 t069 t695 t953 t539 t392 t922 t220 t202 k2019');
INSERT INTO customer_words (rowid, words) VALUES (6, 'b0kq60i3j i0i3j0ivg i0ivg0000 t090 t902 t027 t273 t730 t307 t073 t731 t314 k6443');
INSERT INTO customer_words (rowid, words) VALUES (7, 'b0kdk0kep i0kep0p90 i0p900hm2 i0hm20000 t090 t902 t020 t200 t001 t015 t153 t538 t385 k4564');
INSERT INTO customer_words (rowid, words) VALUES (8, 'b0kkq0irz i0irz0fmi i0fmi0ny6 i0ny60n5c i0n5c0ffx i0ffx0r25 i0r250foc i0foc0jeo i0jeo0000 t061 t612 t123 t233 t336 t364 t640 t406 k5800');
CREATE TABLE alembic_version_site (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_site_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version_site" VALUES('0009');
CREATE TABLE code (
	id INTEGER NOT NULL, 
	operator_id INTEGER NOT NULL, 
	login_id VARCHAR(64) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	tries INTEGER NOT NULL, 
	sent_at BIGINT NOT NULL, 
	used_at BIGINT NOT NULL, address VARCHAR(254) DEFAULT '' NOT NULL, counts BOOLEAN DEFAULT 1 NOT NULL, 
	CONSTRAINT pk_code PRIMARY KEY (id), 
	CONSTRAINT fk_code_operator_id_operator FOREIGN KEY(operator_id) REFERENCES operator (id)
);
CREATE TABLE customer (
	id INTEGER NOT NULL, 
	public_id VARCHAR(32) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	name_folded TEXT NOT NULL, 
	phone VARCHAR(32) NOT NULL, 
	phone_digits VARCHAR(11) NOT NULL, 
	token VARCHAR(64) NOT NULL, 
	brand VARCHAR(16) NOT NULL, 
	prefix VARCHAR(2) NOT NULL, 
	last4 VARCHAR(4) NOT NULL, 
	length INTEGER NOT NULL, 
	expiry INTEGER NOT NULL, 
	rev INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	created_by VARCHAR(254) NOT NULL, stopped_at BIGINT, 
	CONSTRAINT pk_customer PRIMARY KEY (id), 
	CONSTRAINT uq_customer_public_id UNIQUE (public_id), 
	CONSTRAINT uq_customer_token UNIQUE (token)
);
INSERT INTO "customer" VALUES(1,'drcxxzlqjhxjlxkzgnqnnmqx','伊藤建設株式会社','伊藤建設株式会社','09002926444','09002926444','card_bxtbrbvccrrhdkwzphnqvfwqqlzczjs','visa','45','8115',16,203102,1,1795967196,1795967196,'root',NULL);
INSERT INTO "customer" VALUES(2,'mcvgqlflmxzbjvvxrqmxqdvc','佐々木豊','佐々木豊','0649312906','0649312906','card_kcjszrrfknqssdgshcttrvnhjkrdkxg','visa','45','5037',16,203103,1,1795967196,1795967196,'root',NULL);
INSERT INTO "customer" VALUES(3,'vgkffjxgqvxhdxnjdjzxwpbd','中村翼','中村翼','0695109419','0695109419','card_mwrtdjrnlvvkhjnhpkvhpjpcfshhljc','visa','42','1778',16,203104,1,1795967196,1795967196,'root',NULL);
INSERT INTO "customer" VALUES(4,'vjwzflxldwqtzfzgwxhsfdvc','遠藤修後','遠藤修後','0317067985','0317067985','card_rkkqfwlwjdpmgmbnrqwtxxqdngkgkxj','visa','40','1221',16,203105,1,1795967196,1795967196,'root',NULL);
INSERT INTO "customer" VALUES(5,'wmrmpqlfxpkfntfgwxmjmzkz','中村実三','中村実三','0695392202','0695392202','card_snzdwscgstscglfclqjkblmsmzngcpx','visa','41','2019',16,203106,1,1795967196,1795967196,'root',NULL);
INSERT INTO "customer" VALUES(6,'qmlcpphmdnhlvbfbxkdkwxzv','森実後','森実後','09027307314','09027307314','card_bknkvtzmfbzhdpwkbsgpsbbdnhtqllt','visa','47','6443',16,203107,1,1795967196,1795967196,'root',NULL);
INSERT INTO "customer" VALUES(7,'rpjpdbfxbvwswzzcvvxfmxdb','木村翔太','木村翔太','09020015385','09020015385','card_jxkhzclwxphjvqvvwnnzgzhmnnjfbqw','visa','45','4564',16,203108,1,1795967196,1795967196,'root',NULL);
INSERT INTO "customer" VALUES(8,'xvttbbrvxlrjqwxllzvxbwqr','株式会社田中製作所','株式会社田中製作所','0612336406','0612336406','card_nxwkhjljljtgqnbzrqnqcjmhnlxgzbl','visa','40','5800',16,203109,1,1795967196,1795967196,'root',NULL);
CREATE TABLE ended_login (
	id VARCHAR(64) NOT NULL, 
	reason VARCHAR(16) NOT NULL, 
	at BIGINT NOT NULL, operator_id BIGINT DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_ended_login PRIMARY KEY (id)
);
CREATE TABLE form_ticket (
	digest VARCHAR(64) NOT NULL, 
	login_id VARCHAR(64) NOT NULL, 
	public_id VARCHAR(32) NOT NULL, 
	summary TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_form_ticket PRIMARY KEY (digest)
);
CREATE TABLE import_job (
	id INTEGER NOT NULL, 
	size BIGINT NOT NULL, 
	rows BIGINT NOT NULL, 
	done BIGINT NOT NULL, 
	newest_before BIGINT NOT NULL, 
	created_by VARCHAR(254) NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_import_job PRIMARY KEY (id)
);
INSERT INTO "import_job" VALUES(1,312,5,5,0,'root',1795967196);
INSERT INTO "import_job" VALUES(2,216,3,3,5,'root',1795967196);
CREATE TABLE import_row (
	job_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	line BIGINT NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	public_id VARCHAR(32) NOT NULL, 
	token VARCHAR(64) NOT NULL, 
	brand VARCHAR(16) NOT NULL, 
	last4 VARCHAR(4) NOT NULL, 
	error TEXT NOT NULL, prefix VARCHAR(2) DEFAULT '' NOT NULL, length INTEGER DEFAULT '0' NOT NULL, expiry INTEGER DEFAULT '0' NOT NULL, 
	CONSTRAINT pk_import_row PRIMARY KEY (job_id, number), 
	CONSTRAINT fk_import_row_job_id_import_job FOREIGN KEY(job_id) REFERENCES import_job (id)
);
INSERT INTO "import_row" VALUES(1,1,2,'imported','drcxxzlqjhxjlxkzgnqnnmqx','card_bxtbrbvccrrhdkwzphnqvfwqqlzczjs','visa','8115','','45',16,203102);
INSERT INTO "import_row" VALUES(1,2,3,'imported','mcvgqlflmxzbjvvxrqmxqdvc','card_kcjszrrfknqssdgshcttrvnhjkrdkxg','visa','5037','','45',16,203103);
INSERT INTO "import_row" VALUES(1,3,4,'imported','vgkffjxgqvxhdxnjdjzxwpbd','card_mwrtdjrnlvvkhjnhpkvhpjpcfshhljc','visa','1778','','42',16,203104);
INSERT INTO "import_row" VALUES(1,4,5,'imported','vjwzflxldwqtzfzgwxhsfdvc','card_rkkqfwlwjdpmgmbnrqwtxxqdngkgkxj','visa','1221','','40',16,203105);
INSERT INTO "import_row" VALUES(1,5,6,'imported','wmrmpqlfxpkfntfgwxmjmzkz','card_snzdwscgstscglfclqjkblmsmzngcpx','visa','2019','','41',16,203106);
INSERT INTO "import_row" VALUES(2,1,2,'imported','qmlcpphmdnhlvbfbxkdkwxzv','card_bknkvtzmfbzhdpwkbsgpsbbdnhtqllt','visa','6443','','47',16,203107);
INSERT INTO "import_row" VALUES(2,2,3,'imported','rpjpdbfxbvwswzzcvvxfmxdb','card_jxkhzclwxphjvqvvwnnzgzhmnnjfbqw','visa','4564','','45',16,203108);
INSERT INTO "import_row" VALUES(2,3,4,'imported','xvttbbrvxlrjqwxllzvxbwqr','card_nxwkhjljljtgqnbzrqnqcjmhnlxgzbl','visa','5800','','40',16,203109);
CREATE TABLE login (
	id VARCHAR(64) NOT NULL, 
	operator_id INTEGER NOT NULL, 
	password_epoch INTEGER NOT NULL, 
	step VARCHAR(8) NOT NULL, 
	address VARCHAR(254) NOT NULL, 
	sends INTEGER NOT NULL, 
	origin VARCHAR(64) NOT NULL, 
	created_at BIGINT NOT NULL, 
	seen_at BIGINT NOT NULL, challenge VARCHAR(43) DEFAULT '' NOT NULL, offer BLOB, proved_at BIGINT DEFAULT '0' NOT NULL, previous_at BIGINT DEFAULT '0' NOT NULL, previous_origin VARCHAR(64) DEFAULT '' NOT NULL, failures_before INTEGER DEFAULT '0' NOT NULL, failure_at BIGINT DEFAULT '0' NOT NULL, failure_origin VARCHAR(64) DEFAULT '' NOT NULL, 
	CONSTRAINT pk_login PRIMARY KEY (id), 
	CONSTRAINT fk_login_operator_id_operator FOREIGN KEY(operator_id) REFERENCES operator (id)
);
CREATE TABLE operator (
	id INTEGER NOT NULL, 
	login_id VARCHAR(64) NOT NULL, 
	name VARCHAR(100) NOT NULL, 
	password_hash TEXT NOT NULL, 
	password_epoch INTEGER NOT NULL, 
	must_change BOOLEAN NOT NULL, 
	first_password_until BIGINT NOT NULL, 
	failures INTEGER NOT NULL, 
	locked_until BIGINT NOT NULL, 
	first_lock_at BIGINT NOT NULL, 
	disabled_at BIGINT NOT NULL, 
	used_at BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, second_lock_at BIGINT DEFAULT '0' NOT NULL, code_sent_at BIGINT DEFAULT '0' NOT NULL, last_login_at BIGINT DEFAULT '0' NOT NULL, last_login_origin VARCHAR(64) DEFAULT '' NOT NULL, failures_since INTEGER DEFAULT '0' NOT NULL, shared_until BIGINT DEFAULT '0' NOT NULL, shared_reason VARCHAR(200) DEFAULT '' NOT NULL, shared_approver VARCHAR(100) DEFAULT '' NOT NULL, last_failure_at BIGINT DEFAULT '0' NOT NULL, last_failure_origin VARCHAR(64) DEFAULT '' NOT NULL, 
	CONSTRAINT pk_operator PRIMARY KEY (id), 
	CONSTRAINT uq_operator_login_id UNIQUE (login_id)
);
INSERT INTO "operator" VALUES(1,'taro','山田','$argon2id$v=19$m=19456,t=3,p=4$2IOVF0wlKYA6RfPR7vP6tw$bHEELD2GVTympLBsPSZsN6GJjBGXSgPEYnhs42VDYW8',1,0,0,0,0,0,0,1795967195,1795967195,0,0,0,'',0,0,'','',0,'');
CREATE TABLE operator_address (
	id INTEGER NOT NULL, 
	operator_id INTEGER NOT NULL, 
	address VARCHAR(254) NOT NULL, 
	CONSTRAINT pk_operator_address PRIMARY KEY (id), 
	CONSTRAINT fk_operator_address_operator_id_operator FOREIGN KEY(operator_id) REFERENCES operator (id)
);
INSERT INTO "operator_address" VALUES(1,1,'taro@example.co.jp');
CREATE TABLE origin_failure (
	id INTEGER NOT NULL, 
	origin VARCHAR(64) NOT NULL, 
	at BIGINT NOT NULL, 
	CONSTRAINT pk_origin_failure PRIMARY KEY (id)
);
CREATE TABLE passkey (
	id INTEGER NOT NULL, 
	operator_id INTEGER NOT NULL, 
	credential_id VARCHAR(1364) NOT NULL, 
	public_key BLOB NOT NULL, 
	sign_count BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	used_at BIGINT NOT NULL, name VARCHAR(30) DEFAULT '' NOT NULL, 
	CONSTRAINT pk_passkey PRIMARY KEY (id), 
	CONSTRAINT uq_passkey_credential_id UNIQUE (credential_id), 
	CONSTRAINT fk_passkey_operator_id_operator FOREIGN KEY(operator_id) REFERENCES operator (id)
);
CREATE TABLE past_password (
	id INTEGER NOT NULL, 
	operator_id INTEGER NOT NULL, 
	password_hash TEXT NOT NULL, 
	CONSTRAINT pk_past_password PRIMARY KEY (id), 
	CONSTRAINT fk_past_password_operator_id_operator FOREIGN KEY(operator_id) REFERENCES operator (id)
);
CREATE TABLE totp (
	operator_id INTEGER NOT NULL, 
	sealed BLOB NOT NULL, 
	last_step BIGINT NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_totp PRIMARY KEY (operator_id), 
	CONSTRAINT fk_totp_operator_id_operator FOREIGN KEY(operator_id) REFERENCES operator (id)
);
CREATE TABLE update_job (
	id INTEGER NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	rows BIGINT NOT NULL, 
	done BIGINT NOT NULL, 
	created_by VARCHAR(254) NOT NULL, 
	created_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	CONSTRAINT pk_update_job PRIMARY KEY (id)
);
CREATE TABLE update_row (
	job_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	line BIGINT NOT NULL, 
	status VARCHAR(32) NOT NULL, 
	public_id VARCHAR(32) NOT NULL, 
	token VARCHAR(64) NOT NULL, 
	replaced VARCHAR(64) NOT NULL, 
	brand VARCHAR(16) NOT NULL, 
	last4 VARCHAR(4) NOT NULL, 
	rev INTEGER NOT NULL, 
	error TEXT NOT NULL, 
	CONSTRAINT pk_update_row PRIMARY KEY (job_id, number), 
	CONSTRAINT fk_update_row_job_id_update_job FOREIGN KEY(job_id) REFERENCES update_job (id)
);
CREATE INDEX ix_operator_address_operator_id ON operator_address (operator_id);
CREATE INDEX ix_past_password_operator_id ON past_password (operator_id);
CREATE INDEX ix_login_operator_id ON login (operator_id);
CREATE INDEX ix_code_operator_id ON code (operator_id);
CREATE INDEX ix_code_login_id ON code (login_id);
CREATE INDEX ix_origin_failure_origin ON origin_failure (origin);
CREATE INDEX ix_customer_phone_digits ON customer (phone_digits);
CREATE INDEX ix_customer_last4 ON customer (last4);
CREATE INDEX ix_form_ticket_login_id ON form_ticket (login_id);
CREATE INDEX ix_form_ticket_created_at ON form_ticket (created_at);
CREATE INDEX ix_import_job_size ON import_job (size);
CREATE INDEX ix_import_row_token ON import_row (token);
CREATE INDEX ix_passkey_operator_id ON passkey (operator_id);
CREATE INDEX ix_customer_updated_at_id ON customer (updated_at, id);
CREATE INDEX ix_customer_name_folded_id ON customer (name_folded, id);
CREATE INDEX ix_customer_expiry_id ON customer (expiry, id);
CREATE INDEX ix_ended_login_at ON ended_login (at);
CREATE INDEX ix_customer_stopped_at ON customer (stopped_at) WHERE stopped_at IS NOT NULL;
CREATE INDEX ix_update_job_digest ON update_job (digest);
CREATE INDEX ix_update_row_token ON update_row (token);
CREATE INDEX ix_update_row_replaced ON update_row (replaced);
COMMIT;
