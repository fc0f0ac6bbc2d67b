SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public.alembic_version_site (
    version_num character varying(32) NOT NULL
);

CREATE TABLE public.code (
    id bigint NOT NULL,
    operator_id bigint NOT NULL,
    login_id character varying(64) NOT NULL,
    digest character varying(64) NOT NULL,
    tries integer NOT NULL,
    sent_at bigint NOT NULL,
    used_at bigint NOT NULL,
    address character varying(254) DEFAULT ''::character varying NOT NULL,
    counts boolean DEFAULT true NOT NULL
);

CREATE SEQUENCE public.code_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.code_id_seq OWNED BY public.code.id;

CREATE TABLE public.customer (
    id bigint NOT NULL,
    public_id character varying(32) NOT NULL,
    name character varying(100) NOT NULL,
    name_folded text NOT NULL COLLATE pg_catalog."C",
    phone character varying(32) NOT NULL,
    phone_digits character varying(11) NOT NULL,
    token character varying(64) NOT NULL,
    brand character varying(16) NOT NULL,
    prefix character varying(2) NOT NULL,
    last4 character varying(4) NOT NULL,
    length integer NOT NULL,
    expiry integer NOT NULL,
    rev integer NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    created_by character varying(254) NOT NULL,
    stopped_at bigint
);

CREATE SEQUENCE public.customer_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.customer_id_seq OWNED BY public.customer.id;

CREATE TABLE public.customer_words (
    rowid bigint NOT NULL,
    words text NOT NULL
);

CREATE TABLE public.ended_login (
    id character varying(64) NOT NULL,
    reason character varying(16) NOT NULL,
    at bigint NOT NULL,
    operator_id bigint DEFAULT '0'::bigint NOT NULL
);

CREATE TABLE public.form_ticket (
    digest character varying(64) NOT NULL,
    login_id character varying(64) NOT NULL,
    public_id character varying(32) NOT NULL,
    summary text NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE public.import_job (
    id bigint NOT NULL,
    size bigint NOT NULL,
    rows bigint NOT NULL,
    done bigint NOT NULL,
    newest_before bigint NOT NULL,
    created_by character varying(254) NOT NULL,
    created_at bigint NOT NULL
);

CREATE SEQUENCE public.import_job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.import_job_id_seq OWNED BY public.import_job.id;

CREATE TABLE public.import_row (
    job_id bigint NOT NULL,
    number bigint NOT NULL,
    line bigint NOT NULL,
    status character varying(32) NOT NULL,
    public_id character varying(32) NOT NULL,
    token character varying(64) NOT NULL,
    brand character varying(16) NOT NULL,
    last4 character varying(4) NOT NULL,
    error text NOT NULL,
    prefix character varying(2) DEFAULT ''::character varying NOT NULL,
    length integer DEFAULT 0 NOT NULL,
    expiry integer DEFAULT 0 NOT NULL
);

CREATE TABLE public.login (
    id character varying(64) NOT NULL,
    operator_id bigint NOT NULL,
    password_epoch integer NOT NULL,
    step character varying(8) NOT NULL,
    address character varying(254) NOT NULL,
    sends integer NOT NULL,
    origin character varying(64) NOT NULL,
    created_at bigint NOT NULL,
    seen_at bigint NOT NULL,
    challenge character varying(43) DEFAULT ''::character varying NOT NULL,
    offer bytea,
    proved_at bigint DEFAULT '0'::bigint NOT NULL,
    previous_at bigint DEFAULT '0'::bigint NOT NULL,
    previous_origin character varying(64) DEFAULT ''::character varying NOT NULL,
    failures_before integer DEFAULT 0 NOT NULL,
    failure_at bigint DEFAULT '0'::bigint NOT NULL,
    failure_origin character varying(64) DEFAULT ''::character varying NOT NULL
);

CREATE TABLE public.operator (
    id bigint NOT NULL,
    login_id character varying(64) NOT NULL,
    name character varying(100) NOT NULL,
    password_hash text NOT NULL,
    password_epoch integer NOT NULL,
    must_change boolean NOT NULL,
    first_password_until bigint NOT NULL,
    failures integer NOT NULL,
    locked_until bigint NOT NULL,
    first_lock_at bigint NOT NULL,
    disabled_at bigint NOT NULL,
    used_at bigint NOT NULL,
    created_at bigint NOT NULL,
    second_lock_at bigint DEFAULT '0'::bigint NOT NULL,
    code_sent_at bigint DEFAULT '0'::bigint NOT NULL,
    last_login_at bigint DEFAULT '0'::bigint NOT NULL,
    last_login_origin character varying(64) DEFAULT ''::character varying NOT NULL,
    failures_since integer DEFAULT 0 NOT NULL,
    shared_until bigint DEFAULT '0'::bigint NOT NULL,
    shared_reason character varying(200) DEFAULT ''::character varying NOT NULL,
    shared_approver character varying(100) DEFAULT ''::character varying NOT NULL,
    last_failure_at bigint DEFAULT '0'::bigint NOT NULL,
    last_failure_origin character varying(64) DEFAULT ''::character varying NOT NULL
);

CREATE TABLE public.operator_address (
    id bigint NOT NULL,
    operator_id bigint NOT NULL,
    address character varying(254) NOT NULL
);

CREATE SEQUENCE public.operator_address_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.operator_address_id_seq OWNED BY public.operator_address.id;

CREATE SEQUENCE public.operator_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.operator_id_seq OWNED BY public.operator.id;

CREATE TABLE public.origin_failure (
    id bigint NOT NULL,
    origin character varying(64) NOT NULL,
    at bigint NOT NULL
);

CREATE SEQUENCE public.origin_failure_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.origin_failure_id_seq OWNED BY public.origin_failure.id;

CREATE TABLE public.passkey (
    id bigint NOT NULL,
    operator_id bigint NOT NULL,
    credential_id character varying(1364) NOT NULL,
    public_key bytea NOT NULL,
    sign_count bigint NOT NULL,
    created_at bigint NOT NULL,
    used_at bigint NOT NULL,
    name character varying(30) DEFAULT ''::character varying NOT NULL
);

CREATE SEQUENCE public.passkey_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.passkey_id_seq OWNED BY public.passkey.id;

CREATE TABLE public.past_password (
    id bigint NOT NULL,
    operator_id bigint NOT NULL,
    password_hash text NOT NULL
);

CREATE SEQUENCE public.past_password_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.past_password_id_seq OWNED BY public.past_password.id;

CREATE TABLE public.totp (
    operator_id bigint NOT NULL,
    sealed bytea NOT NULL,
    last_step bigint NOT NULL,
    created_at bigint NOT NULL
);

CREATE TABLE public.update_job (
    id bigint NOT NULL,
    digest character varying(64) NOT NULL,
    rows bigint NOT NULL,
    done bigint NOT NULL,
    created_by character varying(254) NOT NULL,
    created_at bigint NOT NULL,
    ended_at bigint
);

CREATE SEQUENCE public.update_job_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.update_job_id_seq OWNED BY public.update_job.id;

CREATE TABLE public.update_row (
    job_id bigint NOT NULL,
    number bigint NOT NULL,
    line bigint NOT NULL,
    status character varying(32) NOT NULL,
    public_id character varying(32) NOT NULL,
    token character varying(64) NOT NULL,
    replaced character varying(64) NOT NULL,
    brand character varying(16) NOT NULL,
    last4 character varying(4) NOT NULL,
    rev integer NOT NULL,
    error text NOT NULL
);

ALTER TABLE ONLY public.code ALTER COLUMN id SET DEFAULT nextval('public.code_id_seq'::regclass);

ALTER TABLE ONLY public.customer ALTER COLUMN id SET DEFAULT nextval('public.customer_id_seq'::regclass);

ALTER TABLE ONLY public.import_job ALTER COLUMN id SET DEFAULT nextval('public.import_job_id_seq'::regclass);

ALTER TABLE ONLY public.operator ALTER COLUMN id SET DEFAULT nextval('public.operator_id_seq'::regclass);

ALTER TABLE ONLY public.operator_address ALTER COLUMN id SET DEFAULT nextval('public.operator_address_id_seq'::regclass);

ALTER TABLE ONLY public.origin_failure ALTER COLUMN id SET DEFAULT nextval('public.origin_failure_id_seq'::regclass);

ALTER TABLE ONLY public.passkey ALTER COLUMN id SET DEFAULT nextval('public.passkey_id_seq'::regclass);

ALTER TABLE ONLY public.past_password ALTER COLUMN id SET DEFAULT nextval('public.past_password_id_seq'::regclass);

ALTER TABLE ONLY public.update_job ALTER COLUMN id SET DEFAULT nextval('public.update_job_id_seq'::regclass);

INSERT INTO public.alembic_version_site VALUES ('0009');

INSERT INTO public.customer VALUES (1, 'dlhplpdtrcgmndsbmgbpnvrc', '伊藤建設株式会社', '伊藤建設株式会社', '09002926444', '09002926444', 'card_fdhrpmnwtzdncbgttnswnplfhfqwdkb', 'visa', '45', '8115', 16, 203102, 1, 1795967198, 1795967198, 'root', NULL);
INSERT INTO public.customer VALUES (2, 'mtcttltpsbmqxlmgrgjbwhvk', '佐々木豊', '佐々木豊', '0649312906', '0649312906', 'card_gpqzxzvbqlkzlvvtfjskrzrrwffhtbg', 'visa', '45', '5037', 16, 203103, 1, 1795967198, 1795967198, 'root', NULL);
INSERT INTO public.customer VALUES (3, 'qqmhmtfqkbcdjrlmtwfvsqwn', '中村翼', '中村翼', '0695109419', '0695109419', 'card_lshgznbvlvxrnbrtwqcmtgmtsfsxsxc', 'visa', '42', '1778', 16, 203104, 1, 1795967198, 1795967198, 'root', NULL);
INSERT INTO public.customer VALUES (4, 'skxmznsmhfvtfxqgnnrfsnjx', '遠藤修後', '遠藤修後', '0317067985', '0317067985', 'card_nmcnvkxrvfdrvhmwhdrkgtltprzvxgv', 'visa', '40', '1221', 16, 203105, 1, 1795967198, 1795967198, 'root', NULL);
INSERT INTO public.customer VALUES (5, 'tqkjkkjplvgxdjstpqxwdpbn', '中村実三', '中村実三', '0695392202', '0695392202', 'card_wvpggmjpgzzncvjdvshdnbdqnrgjwww', 'visa', '41', '2019', 16, 203106, 1, 1795967198, 1795967198, 'root', NULL);
INSERT INTO public.customer VALUES (6, 'pwtnpwcmpwrjwzlvlrxsgdnq', '森実後', '森実後', '09027307314', '09027307314', 'card_jbhcdcrtgjcqvhwtfkqzgnktkdhbcnv', 'visa', '47', '6443', 16, 203107, 1, 1795967199, 1795967199, 'root', NULL);
INSERT INTO public.customer VALUES (7, 'xqfsrzmjgtxcjkrljdjhhxmv', '木村翔太', '木村翔太', '09020015385', '09020015385', 'card_tttmzfpnglbqjlzqqlqpsmskchchskk', 'visa', '45', '4564', 16, 203108, 1, 1795967199, 1795967199, 'root', NULL);
INSERT INTO public.customer VALUES (8, 'zklwnztpsrtjvkxkqdhcfrwd', '株式会社田中製作所', '株式会社田中製作所', '0612336406', '0612336406', 'card_whwllnscjbjhmslzxdvwfksgksqtsdg', 'visa', '40', '5800', 16, 203109, 1, 1795967199, 1795967199, 'root', NULL);

INSERT INTO public.customer_words VALUES (1, 'b0fm20qg4 i0qg40ire i0ire0ral i0ral0kkq i0kkq0irz i0irz0fmi i0fmi0ny6 i0ny60000 t090 t900 t002 t029 t292 t926 t264 t644 t444 k8115');
INSERT INTO public.customer_words VALUES (2, 'b0fo009hh i09hh0kdk i0kdk0rpm i0rpm0000 t064 t649 t493 t931 t312 t129 t290 t906 k5037');
INSERT INTO public.customer_words VALUES (3, 'b0ffx0kep i0kep0pa4 i0pa40000 t069 t695 t951 t510 t109 t094 t941 t419 k1778');
INSERT INTO public.customer_words VALUES (4, 'b0sio0qg4 i0qg40fse i0fse0ivg i0ivg0000 t031 t317 t170 t706 t067 t679 t798 t985 k1221');
INSERT INTO public.customer_words VALUES (5, 'b0ffx0kep i0kep0i3j i0i3j0fex i0fex0000 t069 t695 t953 t539 t392 t922 t220 t202 k2019');
INSERT INTO public.customer_words VALUES (6, 'b0kq60i3j i0i3j0ivg i0ivg0000 t090 t902 t027 t273 t730 t307 t073 t731 t314 k6443');
INSERT INTO public.customer_words VALUES (7, 'b0kdk0kep i0kep0p90 i0p900hm2 i0hm20000 t090 t902 t020 t200 t001 t015 t153 t538 t385 k4564');
INSERT INTO public.customer_words VALUES (8, 'b0kkq0irz i0irz0fmi i0fmi0ny6 i0ny60n5c i0n5c0ffx i0ffx0r25 i0r250foc i0foc0jeo i0jeo0000 t061 t612 t123 t233 t336 t364 t640 t406 k5800');

INSERT INTO public.import_job VALUES (1, 312, 5, 5, 0, 'root', 1795967198);
INSERT INTO public.import_job VALUES (2, 216, 3, 3, 5, 'root', 1795967199);

INSERT INTO public.import_row VALUES (1, 1, 2, 'imported', 'dlhplpdtrcgmndsbmgbpnvrc', 'card_fdhrpmnwtzdncbgttnswnplfhfqwdkb', 'visa', '8115', '', '45', 16, 203102);
INSERT INTO public.import_row VALUES (1, 2, 3, 'imported', 'mtcttltpsbmqxlmgrgjbwhvk', 'card_gpqzxzvbqlkzlvvtfjskrzrrwffhtbg', 'visa', '5037', '', '45', 16, 203103);
INSERT INTO public.import_row VALUES (1, 3, 4, 'imported', 'qqmhmtfqkbcdjrlmtwfvsqwn', 'card_lshgznbvlvxrnbrtwqcmtgmtsfsxsxc', 'visa', '1778', '', '42', 16, 203104);
INSERT INTO public.import_row VALUES (1, 4, 5, 'imported', 'skxmznsmhfvtfxqgnnrfsnjx', 'card_nmcnvkxrvfdrvhmwhdrkgtltprzvxgv', 'visa', '1221', '', '40', 16, 203105);
INSERT INTO public.import_row VALUES (1, 5, 6, 'imported', 'tqkjkkjplvgxdjstpqxwdpbn', 'card_wvpggmjpgzzncvjdvshdnbdqnrgjwww', 'visa', '2019', '', '41', 16, 203106);
INSERT INTO public.import_row VALUES (2, 1, 2, 'imported', 'pwtnpwcmpwrjwzlvlrxsgdnq', 'card_jbhcdcrtgjcqvhwtfkqzgnktkdhbcnv', 'visa', '6443', '', '47', 16, 203107);
INSERT INTO public.import_row VALUES (2, 2, 3, 'imported', 'xqfsrzmjgtxcjkrljdjhhxmv', 'card_tttmzfpnglbqjlzqqlqpsmskchchskk', 'visa', '4564', '', '45', 16, 203108);
INSERT INTO public.import_row VALUES (2, 3, 4, 'imported', 'zklwnztpsrtjvkxkqdhcfrwd', 'card_whwllnscjbjhmslzxdvwfksgksqtsdg', 'visa', '5800', '', '40', 16, 203109);

INSERT INTO public.operator VALUES (1, 'taro', '山田', '$argon2id$v=19$m=19456,t=3,p=4$BVESUzipHV/RoowNPRLGEA$lUhDHA+pjUmirhN75ZAnHCgIq8zbzAizNV1xU0kzR6s', 1, false, 0, 0, 0, 0, 0, 1795967198, 1795967198, 0, 0, 0, '', 0, 0, '', '', 0, '');

INSERT INTO public.operator_address VALUES (1, 1, 'taro@example.co.jp');

SELECT pg_catalog.setval('public.code_id_seq', 1, false);

SELECT pg_catalog.setval('public.customer_id_seq', 8, true);

SELECT pg_catalog.setval('public.import_job_id_seq', 2, true);

SELECT pg_catalog.setval('public.operator_address_id_seq', 1, true);

SELECT pg_catalog.setval('public.operator_id_seq', 1, true);

SELECT pg_catalog.setval('public.origin_failure_id_seq', 1, false);

SELECT pg_catalog.setval('public.passkey_id_seq', 1, false);

SELECT pg_catalog.setval('public.past_password_id_seq', 1, false);

SELECT pg_catalog.setval('public.update_job_id_seq', 1, false);

ALTER TABLE ONLY public.alembic_version_site
    ADD CONSTRAINT alembic_version_site_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.customer_words
    ADD CONSTRAINT customer_words_pkey PRIMARY KEY (rowid);

ALTER TABLE ONLY public.code
    ADD CONSTRAINT pk_code PRIMARY KEY (id);

ALTER TABLE ONLY public.customer
    ADD CONSTRAINT pk_customer PRIMARY KEY (id);

ALTER TABLE ONLY public.ended_login
    ADD CONSTRAINT pk_ended_login PRIMARY KEY (id);

ALTER TABLE ONLY public.form_ticket
    ADD CONSTRAINT pk_form_ticket PRIMARY KEY (digest);

ALTER TABLE ONLY public.import_job
    ADD CONSTRAINT pk_import_job PRIMARY KEY (id);

ALTER TABLE ONLY public.import_row
    ADD CONSTRAINT pk_import_row PRIMARY KEY (job_id, number);

ALTER TABLE ONLY public.login
    ADD CONSTRAINT pk_login PRIMARY KEY (id);

ALTER TABLE ONLY public.operator
    ADD CONSTRAINT pk_operator PRIMARY KEY (id);

ALTER TABLE ONLY public.operator_address
    ADD CONSTRAINT pk_operator_address PRIMARY KEY (id);

ALTER TABLE ONLY public.origin_failure
    ADD CONSTRAINT pk_origin_failure PRIMARY KEY (id);

ALTER TABLE ONLY public.passkey
    ADD CONSTRAINT pk_passkey PRIMARY KEY (id);

ALTER TABLE ONLY public.past_password
    ADD CONSTRAINT pk_past_password PRIMARY KEY (id);

ALTER TABLE ONLY public.totp
    ADD CONSTRAINT pk_totp PRIMARY KEY (operator_id);

ALTER TABLE ONLY public.update_job
    ADD CONSTRAINT pk_update_job PRIMARY KEY (id);

ALTER TABLE ONLY public.update_row
    ADD CONSTRAINT pk_update_row PRIMARY KEY (job_id, number);

ALTER TABLE ONLY public.customer
    ADD CONSTRAINT uq_customer_public_id UNIQUE (public_id);

ALTER TABLE ONLY public.customer
    ADD CONSTRAINT uq_customer_token UNIQUE (token);

ALTER TABLE ONLY public.operator
    ADD CONSTRAINT uq_operator_login_id UNIQUE (login_id);

ALTER TABLE ONLY public.passkey
    ADD CONSTRAINT uq_passkey_credential_id UNIQUE (credential_id);

CREATE INDEX ix_code_login_id ON public.code USING btree (login_id);

CREATE INDEX ix_code_operator_id ON public.code USING btree (operator_id);

CREATE INDEX ix_customer_expiry_id ON public.customer USING btree (expiry, id);

CREATE INDEX ix_customer_last4 ON public.customer USING btree (last4);

CREATE INDEX ix_customer_name_folded_id ON public.customer USING btree (name_folded, id);

CREATE INDEX ix_customer_phone_digits ON public.customer USING btree (phone_digits);

CREATE INDEX ix_customer_stopped_at ON public.customer USING btree (stopped_at) WHERE (stopped_at IS NOT NULL);

CREATE INDEX ix_customer_updated_at_id ON public.customer USING btree (updated_at, id);

CREATE INDEX ix_customer_words ON public.customer_words USING gin (array_to_tsvector(string_to_array(words, ' '::text)));

CREATE INDEX ix_ended_login_at ON public.ended_login USING btree (at);

CREATE INDEX ix_form_ticket_created_at ON public.form_ticket USING btree (created_at);

CREATE INDEX ix_form_ticket_login_id ON public.form_ticket USING btree (login_id);

CREATE INDEX ix_import_job_size ON public.import_job USING btree (size);

CREATE INDEX ix_import_row_token ON public.import_row USING btree (token);

CREATE INDEX ix_login_operator_id ON public.login USING btree (operator_id);

CREATE INDEX ix_operator_address_operator_id ON public.operator_address USING btree (operator_id);

CREATE INDEX ix_origin_failure_origin ON public.origin_failure USING btree (origin);

CREATE INDEX ix_passkey_operator_id ON public.passkey USING btree (operator_id);

CREATE INDEX ix_past_password_operator_id ON public.past_password USING btree (operator_id);

CREATE INDEX ix_update_job_digest ON public.update_job USING btree (digest);

CREATE INDEX ix_update_row_replaced ON public.update_row USING btree (replaced);

CREATE INDEX ix_update_row_token ON public.update_row USING btree (token);

ALTER TABLE ONLY public.code
    ADD CONSTRAINT fk_code_operator_id_operator FOREIGN KEY (operator_id) REFERENCES public.operator(id);

ALTER TABLE ONLY public.import_row
    ADD CONSTRAINT fk_import_row_job_id_import_job FOREIGN KEY (job_id) REFERENCES public.import_job(id);

ALTER TABLE ONLY public.login
    ADD CONSTRAINT fk_login_operator_id_operator FOREIGN KEY (operator_id) REFERENCES public.operator(id);

ALTER TABLE ONLY public.operator_address
    ADD CONSTRAINT fk_operator_address_operator_id_operator FOREIGN KEY (operator_id) REFERENCES public.operator(id);

ALTER TABLE ONLY public.passkey
    ADD CONSTRAINT fk_passkey_operator_id_operator FOREIGN KEY (operator_id) REFERENCES public.operator(id);

ALTER TABLE ONLY public.past_password
    ADD CONSTRAINT fk_past_password_operator_id_operator FOREIGN KEY (operator_id) REFERENCES public.operator(id);

ALTER TABLE ONLY public.totp
    ADD CONSTRAINT fk_totp_operator_id_operator FOREIGN KEY (operator_id) REFERENCES public.operator(id);

ALTER TABLE ONLY public.update_row
    ADD CONSTRAINT fk_update_row_job_id_update_job FOREIGN KEY (job_id) REFERENCES public.update_job(id);

