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

CREATE TABLE public.alembic_version_vault (
    version_num character varying(32) NOT NULL
);

CREATE TABLE public.audit_entry (
    seq bigint NOT NULL,
    at bigint NOT NULL,
    actor text NOT NULL,
    event text NOT NULL,
    outcome text NOT NULL,
    origin text NOT NULL,
    subject text NOT NULL,
    detail text NOT NULL,
    mac bytea NOT NULL
);

CREATE TABLE public.audit_head (
    id integer NOT NULL,
    seq bigint NOT NULL,
    sealed_chain_key bytea NOT NULL,
    CONSTRAINT one_row CHECK ((id = 1))
);

CREATE SEQUENCE public.audit_head_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.audit_head_id_seq OWNED BY public.audit_head.id;

CREATE TABLE public.card (
    id bigint NOT NULL,
    token text NOT NULL,
    data_key_id bigint NOT NULL,
    rev integer NOT NULL,
    envelope bytea NOT NULL,
    brand text NOT NULL,
    prefix text NOT NULL,
    last4 text NOT NULL,
    length integer NOT NULL,
    expiry integer NOT NULL,
    created_at bigint NOT NULL,
    updated_at bigint NOT NULL,
    mac bytea NOT NULL
);

CREATE TABLE public.data_key (
    id bigint NOT NULL,
    opens bigint,
    generation integer NOT NULL,
    state text NOT NULL,
    suite text NOT NULL,
    root_id text NOT NULL,
    wrapped bytea NOT NULL,
    next_root_id text,
    next_wrapped bytea,
    seals bigint NOT NULL,
    created_at bigint NOT NULL,
    retired_at bigint,
    destroyed_at bigint,
    mac bytea NOT NULL,
    ops_mac bytea,
    CONSTRAINT destroyed_opens_nothing CHECK (((state = 'destroyed'::text) = (opens IS NULL))),
    CONSTRAINT opens_itself CHECK (((opens IS NULL) OR (opens = id))),
    CONSTRAINT state CHECK ((state = ANY (ARRAY['live'::text, 'retired'::text, 'destroyed'::text])))
);

CREATE TABLE public.purged (
    token text NOT NULL,
    at bigint NOT NULL,
    mac bytea NOT NULL,
    ops_mac bytea
);

CREATE TABLE public.quarantine (
    card_id bigint NOT NULL,
    token text NOT NULL,
    rotation_id bigint NOT NULL,
    problem text NOT NULL,
    found_at bigint NOT NULL,
    mac bytea NOT NULL,
    ops_mac bytea NOT NULL
);

CREATE TABLE public.rotation (
    id bigint NOT NULL,
    state text NOT NULL,
    actor text NOT NULL,
    reason text NOT NULL,
    generation integer NOT NULL,
    data_key_id bigint NOT NULL,
    started_at bigint NOT NULL,
    finished_at bigint,
    card_cursor bigint NOT NULL,
    reencrypted bigint NOT NULL,
    newer bigint NOT NULL,
    quarantined bigint NOT NULL,
    read_back bigint NOT NULL,
    keys_destroyed bigint NOT NULL,
    census_before text NOT NULL,
    census_after text,
    audit_seq bigint,
    lease text NOT NULL,
    lease_at bigint NOT NULL,
    mac bytea NOT NULL,
    ops_mac bytea NOT NULL,
    CONSTRAINT state CHECK ((state = ANY (ARRAY['running'::text, 'finished'::text])))
);

CREATE TABLE public.rotation_range (
    id bigint NOT NULL,
    rotation_id bigint NOT NULL,
    last_card bigint NOT NULL,
    card_cursor bigint NOT NULL,
    reencrypted bigint NOT NULL,
    newer bigint NOT NULL,
    lease text NOT NULL,
    lease_at bigint NOT NULL,
    mac bytea NOT NULL,
    ops_mac bytea NOT NULL
);

CREATE TABLE public.vault (
    id integer NOT NULL,
    vault_id text NOT NULL,
    generation integer NOT NULL,
    root_id text NOT NULL,
    suite text NOT NULL,
    sealed_genesis bytea NOT NULL,
    next_root_id text,
    next_genesis bytea,
    created_at bigint NOT NULL,
    mac bytea NOT NULL,
    ops_mac bytea NOT NULL,
    CONSTRAINT one_row CHECK ((id = 1))
);

CREATE SEQUENCE public.vault_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.vault_id_seq OWNED BY public.vault.id;

ALTER TABLE ONLY public.audit_head ALTER COLUMN id SET DEFAULT nextval('public.audit_head_id_seq'::regclass);

ALTER TABLE ONLY public.vault ALTER COLUMN id SET DEFAULT nextval('public.vault_id_seq'::regclass);

INSERT INTO public.alembic_version_vault VALUES ('0005');

INSERT INTO public.audit_entry VALUES (1, 1795967197, 'root', 'vault.founded', 'success', 'command', '0e6d566d455501faadfb71d8c46ed8e0', '{}', '\x3ac00548b3b0841aa95e08219a9a1b6dd307b4218c1f73d70ce4306b07012ce5');
INSERT INTO public.audit_entry VALUES (2, 1795967198, 'root', 'operator.added', 'success', 'command', 'taro', '{}', '\x83f30a09ee483081427435392e2af28c63bf761d7a80e3a43bbc84a99bdc93e7');
INSERT INTO public.audit_entry VALUES (3, 1795967198, 'root', 'key.minted', 'success', 'command', 'data key 1', '{"generation": 1}', '\x695c6c7d934a516a338382f45e0404601631a62934e081531e56e10f9f0858f7');
INSERT INTO public.audit_entry VALUES (4, 1795967198, 'root', 'card.imported', 'success', 'command', 'import 1', '{"cards": {"card_fdhrpmnwtzdncbgttnswnplfhfqwdkb": 1, "card_gpqzxzvbqlkzlvvtfjskrzrrwffhtbg": 1, "card_lshgznbvlvxrnbrtwqcmtgmtsfsxsxc": 1, "card_nmcnvkxrvfdrvhmwhdrkgtltprzvxgv": 1, "card_wvpggmjpgzzncvjdvshdnbdqnrgjwww": 1}}', '\x5ae08d6c1b01eaaeacc4f2547f29b9ac0889ae37e7c2acdfeada55e5891e92b8');
INSERT INTO public.audit_entry VALUES (5, 1795967199, 'root', 'key.retired', 'success', 'command', 'data key 1', '{"root": "783e579ecd65ef81"}', '\x4a0b24dc1c434c6e36e64af1c3c70d44b04389937d4501266ded2c0567206086');
INSERT INTO public.audit_entry VALUES (6, 1795967199, 'root', 'key.minted', 'success', 'command', 'data key 2', '{"generation": 2}', '\x5c024a22647fe35f744fac9c1adf4e5d2c82ed67b472eb888c3c8806788797e3');
INSERT INTO public.audit_entry VALUES (7, 1795967199, 'root', 'rotation.started', 'success', 'command', 'rotation 1', '{"generation": 2, "reason": ""}', '\x6b71775e8c97b1dc6319fb84ccba8fdd15ed87d5c32ebe7b43d636ee0db792e1');
INSERT INTO public.audit_entry VALUES (8, 1795967199, 'root', 'card.re-encrypted', 'success', 'command', 'rotation 1', '{"cards": {"card_fdhrpmnwtzdncbgttnswnplfhfqwdkb": 2, "card_gpqzxzvbqlkzlvvtfjskrzrrwffhtbg": 2, "card_lshgznbvlvxrnbrtwqcmtgmtsfsxsxc": 2, "card_nmcnvkxrvfdrvhmwhdrkgtltprzvxgv": 2, "card_wvpggmjpgzzncvjdvshdnbdqnrgjwww": 2}}', '\xf8802c7f8d226e9eb70bb77fac4f378db1fcc2e57bbaa8d5134485ff7f5736c3');
INSERT INTO public.audit_entry VALUES (9, 1795967199, 'root', 'key.destroyed', 'success', 'command', 'data key 1', '{}', '\x6c38276498d0aa69c411918d7bba663b31438927b34b326d03df3a46c6bfa812');
INSERT INTO public.audit_entry VALUES (10, 1795967199, 'root', 'key.retired', 'success', 'command', 'data key 2', '{"root": "783e579ecd65ef81"}', '\x4caf9d10a29173b8a825d75701b34a02e77a1aaff4e6b97b59957643bd7227ec');
INSERT INTO public.audit_entry VALUES (11, 1795967199, 'root', 'rotation.finished', 'success', 'command', 'rotation 1', '{"quarantined": 0, "keys_destroyed": 1, "left": 0, "mark": "117ccc3a56410f7ecf4c23a41feacc231e026cf5f6e802d96c97d2f2b0deb122"}', '\xcd143474f0ae83199c97be5926cf92f093568ec950314fc1ee1bba3abe2d9882');
INSERT INTO public.audit_entry VALUES (12, 1795967199, 'root', 'key.minted', 'success', 'command', 'data key 3', '{"generation": 2}', '\x4347b10f0abe278da519df0c4b09880ec824cf8f03ca4e25e7892770f69cccd1');
INSERT INTO public.audit_entry VALUES (13, 1795967199, 'root', 'card.imported', 'success', 'command', 'import 2', '{"cards": {"card_jbhcdcrtgjcqvhwtfkqzgnktkdhbcnv": 1, "card_tttmzfpnglbqjlzqqlqpsmskchchskk": 1, "card_whwllnscjbjhmslzxdvwfksgksqtsdg": 1}}', '\x463da80991e462c75ab2af14d99bf1f7b5601ec4a1844214fffdb100d0ac6983');

INSERT INTO public.audit_head VALUES (1, 13, '\x27bcc00fc8d8167414b1cb18e6208a6a1da90af423a6e6368000758542edf6613a9a0d70fdf947c780016258b89d9a642826a9d386447b23f29f653c');

INSERT INTO public.card VALUES (6, 'card_jbhcdcrtgjcqvhwtfkqzgnktkdhbcnv', 3, 1, '\x219374d10d1cadc1acc37cfb5fa6e8b84288ee5d027d022fd4f29078cac47de369e8636b442577c41d9501e8d12b6f90', 'visa', '47', '6443', 16, 203107, 1795967199, 1795967199, '\x5be9dc9e2ee83867c63e7cff6f8d88be15fc202f6264b2a61565c91c7478a65d');
INSERT INTO public.card VALUES (7, 'card_tttmzfpnglbqjlzqqlqpsmskchchskk', 3, 1, '\xb48d65756891a2dfa98f1824b4e86df2b85dfadace674314c3e16ddec5df651f0ab85d33fa098f451b61a9281535496f', 'visa', '45', '4564', 16, 203108, 1795967199, 1795967199, '\x1f45abf1e065318be230ee2b665594ae7322a646a78acdfc34489d13e186372e');
INSERT INTO public.card VALUES (8, 'card_whwllnscjbjhmslzxdvwfksgksqtsdg', 3, 1, '\xb2f08186683d70b2a09e6000bb90cee0827df2ee9cb30ca4d2045c13f8d4cceba144a3799d682de4db8012c4174bb842', 'visa', '40', '5800', 16, 203109, 1795967199, 1795967199, '\x37edbf2f7223fe6815afb2b5934aee1ffc8d3f8e296f0b578358dc55867b773a');
INSERT INTO public.card VALUES (1, 'card_fdhrpmnwtzdncbgttnswnplfhfqwdkb', 2, 2, '\xa03f51e4e59ea1a508ebb4c21f5d42cf3bfde5ea4148a3e824d667895d769d5e1b2a39ad57c44f7440566bf810866839', 'visa', '45', '8115', 16, 203102, 1795967198, 1795967198, '\xd8159fa024f5e5b27955175f6db18ad5d79dac3fc7b7b5aa398963a76cad7b23');
INSERT INTO public.card VALUES (2, 'card_gpqzxzvbqlkzlvvtfjskrzrrwffhtbg', 2, 2, '\x6dc12820337b168f61aacfab38045813214fb94c57769430f774dc6304eb2a0138a9eac9cbaf09bd0ba11e369a5a75a7', 'visa', '45', '5037', 16, 203103, 1795967198, 1795967198, '\x88abecca216e7798408d83eec5a20d43877bd6531b6c13afecaecb6106f3b307');
INSERT INTO public.card VALUES (3, 'card_lshgznbvlvxrnbrtwqcmtgmtsfsxsxc', 2, 2, '\x6b93a97396a59a8e0d90b98c8e61813879a78972d24f35dc5feb430696b49e42aa9c6de78fb069173190711ee0081277', 'visa', '42', '1778', 16, 203104, 1795967198, 1795967198, '\x91eaf0b8266cc043a461caa59b60244d87d6873f9a0987455be76851a7fc8b40');
INSERT INTO public.card VALUES (4, 'card_nmcnvkxrvfdrvhmwhdrkgtltprzvxgv', 2, 2, '\x5597c298b441f93a9c201553ebdedc0d22ae8050b700b4f8a6dc5f359b971fe757f5580c48caf56dd4a697873f189e68', 'visa', '40', '1221', 16, 203105, 1795967198, 1795967198, '\x4a4f312030ba76b2d962c9fab50f617a7a9ac0149988d24fe7ac8ebc646445a1');
INSERT INTO public.card VALUES (5, 'card_wvpggmjpgzzncvjdvshdnbdqnrgjwww', 2, 2, '\xbce97f8fb669c2680ad2e8b782c4c1b5bc0905bfb5d7434a95ba0581fd2a6fd713bfe22277987afe7347f4ecf968842a', 'visa', '41', '2019', 16, 203106, 1795967198, 1795967198, '\x299724580f57ee763907122595c0f736e1c2cdb23c33fba15a7d11ffdd8ab095');

INSERT INTO public.data_key VALUES (1, NULL, 1, 'destroyed', 'HPKE MLKEM1024-P384 HKDF-SHA512 AES-256-GCM', '783e579ecd65ef81', '\x', NULL, NULL, 5, 1795967198, 1795967199, 1795967199, '\x4e69504335ffa9637b16c80ee75749ee2c3e8bf5dd18a8304517584c7586227f', '\x72c0097485141af60063695bd7e28784bc2a5fc97d7450217ee7a8c657c93765');
INSERT INTO public.data_key VALUES (2, 2, 2, 'retired', 'AES-256-GCM under HKDF-SHA512 of the root''s seed', '783e579ecd65ef81', '\x63bd4f8e806879579a832a7248acfd7691822f10a3726bca079ee8d130e693db6debb15759dc2f761a2686acb2a07b1c4fb349766d6b3e56cadefa93', NULL, NULL, 5, 1795967199, 1795967199, NULL, '\xc55a5aa6d3f5053d7fba03db7ddb472d8ee44228f299433bfe84084d835b20fa', '\x4e804a80b619f99a544954a1ff8250141d229ba5f2b69dbe107f1af912380e56');
INSERT INTO public.data_key VALUES (3, 3, 2, 'live', 'HPKE MLKEM1024-P384 HKDF-SHA512 AES-256-GCM', '783e579ecd65ef81', '\xa0e925ab3286e12586b8207ad2e721409bbc3ddc4f3f21b8657c93d6a4e1d600ff53abb14c6ad7c7ea8ef053eda2e99d768fac2af1982939dc765afee1a9c7d2b65fc10c7af46567e10392e1f6c5970a8458c2bc7f6f326bb17e480444edf76623ea2a2b53e0f7c98fc91d7980b2c6dc201154e5889ab0280cccbf02339b654dbc0e72e89ed05a9536f5cba55f1f36be1e209bcb7774bf937eabe4833337c25fd677c8cc64c3b46623c0e9f703deb5e0c2d2d804255ee34df6f0e49b349ee8af9c942cf58aee0ffebb3210d440c670bf2634036171bdeadc388c00ba8f1cdd850292ec16ed9bdace7722f994d1b723bd0aeb652702e3c0a40cd202d4c417288798e13886db43860a3aac1f44ac79db5a8eb19c27284dbd22a1fd4ed5f9ccd81eb336e2108639cfe96afc13c23293a787f50a1cd8cce551ec54f74fd5726fdaf220d1401a47118440d43970f2b1e19bd436c7a753fc9a682b91591ded4f00eb90403a0a6b7a314608964960b33a9303a5f9d05dc2a85fd01bf885d739c95c2e5cabea083ee230e7ff9370fa4b1f767b4726f8109d46aeace223b48203fa74b416625b15c52174d2d7b0babe61f409fe4a74a0406082d31b4af7f9bb39ff4d7260cf4df7a197088dd16adf73d5e0d1cdc7ccf66aa7b95b9295e8c529b895bbb766e220eba233474c757fd48a75cf00a11572bfb30ec2462f3e262c28e3cebdca4683088b04ad40533103031fed1f75e469ca443c6c194f73eafa0d97c8c297fee59e108d0918b5a5ee7cafa9ce09f30c5ae2fc3bb6809cf9954616b6c338d149213bb30cb0a77eb434f91ab8c196d6b68cb41852535629e756442e282d6838ac5ede6eafdcca01f618c976209fce272e1d57643d7b3d5952bd59fd783224a7ea302ab6a0915cf3b9f65f8f49b143712693ce68519204b7dd0f57ac06b8fd48424461f4677cfd760f4702a24b2b5ff0a32d2258d1c0bfaa26f1fcd851a62fa9bf72f7cd3a8f8c49e1db3b5586f0752c28c341ffd32cad53674930a484ed9b32e126ee7338be5886343e33cff9147d12085bd788d30cb3d501d3736ccad830d3f2583ca1583504a40002cbd85fed9390913cc47209803f3cfac3b761006a685344e1209af278ae67690cfb36dbf20ce0c4ee84f5f69ff55340fd542aac81dc5ddffade3af7146e2a9d5013e2dd732fa4d77d2d9025127c1582e295dd1dc97f23b29d1035d308fe83db2adf9320882b6a1fa59f417c6e9da6ddb6d0feadc225b14d677d179ebb3e6410e47ce3d5227dcf5dea3fd5e0d3372a0989b37fa24f4dbdf3f5bb22a2e46256cbe212b6fa6fa9921722c6b4203000ded3706badc5b5626453493a522f7cdfa6686b42c74db6b088c1296e31078b945dc49f8eb658da0aae1c07cc221318be28857c99237ad958211401ce06b7518ac751de1d97fcad2b758b9c181f0d4cde4fba6429df45953ee7dc6006c4a554464446730f54f2fdea79c154ec4840f47a229c7ae8e30723738201640067c4a9e7898e2682da1f80d10a46c090606ed12cc3927d32f7622dcac2b8527fd5b19a191c6c82cf1fb62ed9d0ecdc21e69b544ee7f04b95b5b1882abf98254e03829c89471719e8a102d00698007663d61d98abc44dc88e27229996582a0c2e6cc8fe85d0ef2be2e5785d48cdace862ad1ce05ca8837afac6198654ed2e6a600730d932bfba2a20ff103b32cff1297a6a8a9a38082a075c7bc4f012ac428e948ee6ce98d19743937e49a9e35355838db2370227197106b7fb9d6c48ccfc99e601ac851ca89c04246a8054a6217d15a92b7bb05e76f7685b418f0237879cf34b827a941c2322c4dd1c8121e75feb86420c80ac1955637454a560a81d92aa9c6596b116b49e9ade011e9f3c756bc163bc4a179b8a7229637be19cac25173a71b4ce74611ab2fc406ded40314cfd1d26ae5517e362566277750af6add73d16ca2061330863de8bcafb8a69e54a55d2ed45151aabebda3a14faa4a78234a574fd1129b335bb3e370dbebe2750d7f724c0f0b1c7813b954bc9789d44c1bafbd9791be9b85238eb882b67e9cb75432bd11116e5dec745da10ab804bb5b3e650ddf2c5da10e3bd537299241fd4fdc5212540c8fb5bf003779e32f0646fc2e3af5cb0d4c22c2c187cef6e35b58dfa3afb0f1f83e97ad00777403876e367620660ed3bc9d4bf1b24dac92d63553026e4dee37f041fcdfead03855f85564b9284d320d1d7a032ec81fdc7454e20dd4fcf28c6b019093c033b2553fb90033c0775c5591eee16f9087da9af36e3cd6d30259577bb2ce688a528a30bb8ae83105f81afaf3e644ced438a96a34110356db48e654e40e66a141f0623737afb16ca478d4ecdfc15eed6943ea9da610a55e8ca6e380c82bbd7da90c69a14a98842d53bf02fb8522d', NULL, NULL, 3, 1795967199, NULL, NULL, '\xfe7fb0761f72f8b70b3ee4bf5f2a1da0cec13812357cd4d155c6e795a800c046', NULL);

INSERT INTO public.rotation VALUES (1, 'finished', 'root', '', 2, 2, 1795967199, 1795967199, 5, 5, 0, 0, 5, 1, '{"1": 5}', '{"2": 5}', 11, '', 1795967199, '\xa07b7b1a7d8c3442f3a5c31664c3a71cba1562c519695391de2f56fd1ef95595', '\x61c87f585f166bdc1c0604c5296340ea2e141f4b5b10cce740d71adb81cb1d62');

INSERT INTO public.vault VALUES (1, '0e6d566d455501faadfb71d8c46ed8e0', 2, '783e579ecd65ef81', 'HPKE MLKEM1024-P384 HKDF-SHA512 AES-256-GCM', '\xbf67eee9d77e47b0cafd179aafdba733fbee5372b27e821179c38ca804d38de65bd003eb6924b1621720984e99974401045bbdfe60aad177bc23312e', NULL, NULL, 1795967197, '\x7618d95a134e2065f768a2b5962bf76dd2758800b477cdbd509dfadc3c8d952f', '\xc64867b935f847c940092d424fa3646527f10a26a3e4700b0af4536baa04a54c');

SELECT pg_catalog.setval('public.audit_head_id_seq', 1, false);

SELECT pg_catalog.setval('public.vault_id_seq', 1, false);

ALTER TABLE ONLY public.alembic_version_vault
    ADD CONSTRAINT alembic_version_vault_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.audit_entry
    ADD CONSTRAINT audit_entry_pkey PRIMARY KEY (seq);

ALTER TABLE ONLY public.audit_head
    ADD CONSTRAINT audit_head_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.card
    ADD CONSTRAINT card_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.card
    ADD CONSTRAINT card_token_key UNIQUE (token);

ALTER TABLE ONLY public.data_key
    ADD CONSTRAINT data_key_opens_key UNIQUE (opens);

ALTER TABLE ONLY public.data_key
    ADD CONSTRAINT data_key_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.purged
    ADD CONSTRAINT purged_pkey PRIMARY KEY (token);

ALTER TABLE ONLY public.quarantine
    ADD CONSTRAINT quarantine_pkey PRIMARY KEY (card_id);

ALTER TABLE ONLY public.rotation
    ADD CONSTRAINT rotation_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.rotation_range
    ADD CONSTRAINT rotation_range_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.vault
    ADD CONSTRAINT vault_pkey PRIMARY KEY (id);

CREATE INDEX ix_audit_entry_subject ON public.audit_entry USING btree (subject);

CREATE INDEX ix_card_data_key_id ON public.card USING btree (data_key_id);

ALTER TABLE ONLY public.card
    ADD CONSTRAINT card_data_key_id_fkey FOREIGN KEY (data_key_id) REFERENCES public.data_key(opens);

ALTER TABLE ONLY public.quarantine
    ADD CONSTRAINT quarantine_rotation_id_fkey FOREIGN KEY (rotation_id) REFERENCES public.rotation(id);

ALTER TABLE ONLY public.rotation
    ADD CONSTRAINT rotation_data_key_id_fkey FOREIGN KEY (data_key_id) REFERENCES public.data_key(id);

ALTER TABLE ONLY public.rotation_range
    ADD CONSTRAINT rotation_range_rotation_id_fkey FOREIGN KEY (rotation_id) REFERENCES public.rotation(id);

