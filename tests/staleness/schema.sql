-- What is read and written. The rows of one subject always have one version, which is how often it has been written.

CREATE TABLE turn (subject int PRIMARY KEY);
INSERT INTO turn SELECT generate_series(0, 99);

-- Written directly, through a view, by functions, by a trigger and by a rule.
CREATE TABLE cell (subject int, place int, version bigint NOT NULL, PRIMARY KEY (subject, place));
INSERT INTO cell SELECT subject, place, 1 FROM generate_series(0, 9) AS subject, generate_series(0, 3) AS place;
CREATE VIEW seen AS SELECT subject, place, version FROM cell;
CREATE VIEW seen_twice AS SELECT subject, place, version FROM seen;
CREATE VIEW handle AS SELECT DISTINCT subject, version FROM cell;
CREATE RULE handled AS ON UPDATE TO handle DO INSTEAD
    UPDATE cell SET version = version + 1 WHERE subject = OLD.subject;

CREATE FUNCTION bump(which int) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cell SET version = version + 1 WHERE subject = which;
    RETURN (SELECT version FROM cell WHERE subject = which LIMIT 1);
END $$;
CREATE PROCEDURE bump_it(which int) LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cell SET version = version + 1 WHERE subject = which;
END $$;

CREATE TABLE lever (subject int PRIMARY KEY, pulled int NOT NULL);
INSERT INTO lever SELECT subject, 0 FROM generate_series(0, 9) AS subject;
CREATE FUNCTION pull() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE cell SET version = version + 1 WHERE subject = NEW.subject;
    RETURN NEW;
END $$;
CREATE TRIGGER pulled AFTER UPDATE ON lever FOR EACH ROW EXECUTE FUNCTION pull();

-- Written by a foreign key's action.
CREATE TABLE parent (subject int PRIMARY KEY, version bigint NOT NULL, UNIQUE (subject, version));
INSERT INTO parent SELECT subject, 1 FROM generate_series(10, 13) AS subject;
CREATE TABLE child (
    subject int, place int, version bigint NOT NULL, PRIMARY KEY (subject, place),
    FOREIGN KEY (subject, version) REFERENCES parent (subject, version) ON UPDATE CASCADE
);
INSERT INTO child SELECT subject, place, 1 FROM generate_series(10, 13) AS subject, generate_series(0, 3) AS place;

-- Partitions and heirs.
CREATE TABLE part (subject int, place int, version bigint NOT NULL, PRIMARY KEY (subject, place))
    PARTITION BY RANGE (subject);
CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (20) TO (22);
CREATE TABLE part_high PARTITION OF part FOR VALUES FROM (22) TO (24);
INSERT INTO part SELECT subject, place, 1 FROM generate_series(20, 23) AS subject, generate_series(0, 3) AS place;
CREATE TABLE forebear (subject int, place int, version bigint NOT NULL);
CREATE TABLE heir () INHERITS (forebear);
INSERT INTO heir SELECT subject, place, 1 FROM generate_series(30, 31) AS subject, generate_series(0, 3) AS place;

-- Written by COPY, which a trigger may follow.
CREATE TABLE pile (subject int, version bigint NOT NULL);
INSERT INTO pile SELECT subject, 1 FROM generate_series(60, 61) AS subject;
CREATE VIEW pile_seen AS SELECT subject, version FROM pile;
CREATE TABLE slip (subject int, version bigint NOT NULL);
CREATE FUNCTION slipped() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO pile VALUES (NEW.subject, NEW.version);
    RETURN NEW;
END $$;
CREATE TRIGGER slipped AFTER INSERT ON slip FOR EACH ROW EXECUTE FUNCTION slipped();

-- Written whole.
CREATE TABLE whole (version bigint NOT NULL);
INSERT INTO whole SELECT 1 FROM generate_series(0, 3);
CREATE TABLE source (version bigint NOT NULL);
INSERT INTO source VALUES (1), (1);
CREATE MATERIALIZED VIEW kept AS SELECT version FROM source;

-- Written by DDL.
CREATE TABLE shaped (version bigint NOT NULL);
INSERT INTO shaped VALUES (1), (1);
CREATE TABLE wide (first int);
INSERT INTO wide VALUES (0);
CREATE VIEW told AS SELECT 1::bigint AS version;
CREATE FUNCTION said() RETURNS bigint IMMUTABLE LANGUAGE sql AS 'SELECT 1::bigint';
CREATE TABLE swapped (version bigint NOT NULL);
INSERT INTO swapped VALUES (1), (1);
