-- What the sessions of the leak test use: ways by which a plain statement changes its session, without looking like it.

CREATE TABLE leak_trigger (name text, value text);
CREATE TABLE leak_default (
  set_to text DEFAULT set_config(current_setting('leak.name'), current_setting('leak.value'), false)
);
CREATE TABLE leak_rule (name text, value text);
CREATE TABLE leak_rows (number int, word text);
CREATE TABLE leak_shadow (mark text);
INSERT INTO leak_shadow VALUES ('public');
CREATE TABLE mine (number int);
INSERT INTO mine VALUES (-1);
CREATE SEQUENCE leak_sequence;
CREATE TABLE leak_serial (id bigint DEFAULT nextval('leak_sequence'), number int);

CREATE FUNCTION leak_set(name text, value text) RETURNS void LANGUAGE plpgsql AS
$$ BEGIN PERFORM set_config(name, value, false); END $$;
CREATE FUNCTION leak_set_sql(name text, value text) RETURNS text LANGUAGE sql AS
$$ SELECT set_config(name, value, false) $$;
CREATE PROCEDURE leak_set_call(name text, value text) LANGUAGE plpgsql AS
$$ BEGIN PERFORM set_config(name, value, false); END $$;
CREATE FUNCTION leak_set_row() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM set_config(new.name, new.value, false); RETURN new; END $$;
CREATE TRIGGER leak_sets BEFORE INSERT OR UPDATE ON leak_trigger FOR EACH ROW EXECUTE FUNCTION leak_set_row();
CREATE RULE leak_also AS ON INSERT TO leak_rule DO ALSO SELECT set_config(new.name, new.value, false);
CREATE VIEW leak_view AS
SELECT set_config(current_setting('leak.name'), current_setting('leak.value'), false) AS set_to;

CREATE FUNCTION leak_run(statement text) RETURNS void LANGUAGE plpgsql AS $$ BEGIN EXECUTE statement; END $$;
CREATE FUNCTION leak_run_row() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN EXECUTE new.value; RETURN new; END $$;
CREATE TABLE leak_runs (value text);
CREATE TRIGGER leak_runs BEFORE INSERT ON leak_runs FOR EACH ROW EXECUTE FUNCTION leak_run_row();

CREATE TABLE ledger_account (id int PRIMARY KEY, balance bigint NOT NULL);
CREATE TABLE ledger_log (id text PRIMARY KEY, from_id int, to_id int, amount bigint);

GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
GRANT ALL ON SCHEMA public TO PUBLIC;
