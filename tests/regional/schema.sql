-- A database full of traps. Everything called leak... sets the parameter my.leak for the session, and must be found.
create table plain (id int primary key, name text, n int default 0, ok boolean, made timestamptz default now());
create table other (id int references plain, note text check (length(note) < 100));
create table serials (id serial primary key, v text);
create table identities (id int generated always as identity, v text);
create sequence numbers;
create view plain_view as select p.id, upper(p.name) as name, o.note from plain p left join other o using (id);
create view serials_view as select id, v from serials;
create materialized view plain_rows as select id from plain;
create table parts (id int, v text) partition by range (id);
create table parts_low partition of parts for values from (0) to (100);
create type color as enum ('red', 'green');
create domain small as int check (value < 1000);
create type pair as (a int, b color);
create table typed (c color, s small, p pair);
create table "odd name 1" (id int);
create policy everybody on other using (note is not null);
alter table other enable row level security;
create index on plain (lower(name));

create function leak(word text default 'function') returns text language sql
  as $$ select set_config('my.leak', word, false) $$;
create function leak_check(value int) returns boolean language plpgsql immutable
  as $$ begin perform set_config('my.leak', 'check', false); return true; end $$;
create function leak_number(value int) returns int language plpgsql immutable
  as $$ begin perform set_config('my.leak', 'number', false); return value; end $$;
create function leak_trigger() returns trigger language plpgsql
  as $$ begin perform set_config('my.leak', 'trigger', false); return coalesce(new, old); end $$;
create procedure leak_procedure() language plpgsql
  as $$ begin perform set_config('my.leak', 'procedure', false); end $$;
create function add_one(value int) returns int language sql immutable as $$ select value + 1 $$;
create function seeds() returns void language sql as $$ select setseed(0.25) $$;
create function deallocates() returns void language plpgsql as $$ begin execute 'deallocate all'; end $$;
create function creates() returns void language plpgsql as $$ begin create table if not exists made_inside (id int); end $$;
create aggregate leak_sum(int) (sfunc = int4pl, stype = int, finalfunc = leak_number, initcond = '0');

create table triggered (id int, v text);
create trigger leak before insert or update on triggered for each row execute function leak_trigger();
create table "odd name 2" (id int);
create trigger leak before insert on "odd name 2" for each row execute function leak_trigger();
create table conditional (id int);
create trigger leak before update on conditional for each row
  when (set_config('my.leak', 'when', false) is not null) execute function suppress_redundant_updates_trigger();
create table parents (id int primary key);
create table children (id int primary key, parent int references parents on delete cascade);
create trigger leak after delete on children for each row execute function leak_trigger();
create table grandparents (id int primary key);
alter table parents add column above int references grandparents on delete cascade;
create table split (id int, v text) partition by range (id);
create table split_low partition of split for values from (0) to (100);
create trigger leak before insert on split_low for each row execute function leak_trigger();
create table ruled (id int);
create rule leak as on insert to ruled do also select set_config('my.leak', 'rule', false);
create table defaulted (id int, v text default leak('default'));
create table default_built_in (id int, v text default set_config('my.leak', 'default', false));
create table computed (id int, twice int generated always as (leak_number(id)) stored);
create table indexed (id int);
create index on indexed (leak_number(id));
create table planned (id int primary key);
create index on planned ((id + leak_number(5)));
create table planned_children (id int references planned);
create table checked (id int check (leak_check(id)));
create table check_built_in (id int check (set_config('my.leak', 'check', false) is not null));
create table guarded (id int);
insert into guarded values (1);
alter table guarded enable row level security;
create policy leak on guarded using (set_config('my.leak', 'policy', false) is not null);
create table guarded_elsewhere (id int);
create policy leak on guarded_elsewhere using (exists (select from guarded));
alter table guarded_elsewhere enable row level security;
grant select on guarded, guarded_elsewhere to public;
create view leak_view as select set_config('my.leak', 'view', false) as leak, id from plain;
create view leak_view_above as select * from leak_view;
create view leak_function_view as select leak('view') as leak;
create view triggered_view as select id, v from triggered;
create view settings_view as select name, setting from pg_settings;
create domain leak_domain as int check (leak_check(value));
create domain leak_domain_above as leak_domain;
create domain leak_default as text default set_config('my.leak', 'domain', false);
create type leak_pair as (a int, b leak_domain);
create table leak_columns (id int, d leak_domain_above, r leak_pair);
create type mood as enum ('good', 'bad');
create function leak_mood(value mood) returns int language plpgsql immutable
  as $$ begin perform set_config('my.leak', 'cast', false); return 1; end $$;
create cast (mood as int) with function leak_mood(mood) as implicit;
create table moods (m mood);
create function leak_equal(a int, b int) returns boolean language plpgsql
  as $$ begin perform set_config('my.leak', 'operator', false); return a = b; end $$;
create operator === (leftarg = int, rightarg = int, procedure = leak_equal);
create function leak_row(value plain) returns text language sql as $$ select set_config('my.leak', 'row', false) $$;
create foreign data wrapper nothing;
create server nowhere foreign data wrapper nothing;
create foreign table distant (id int) server nowhere;

-- Immutable, they say; some are.
create schema pure;
grant usage on schema pure to public;
create function pure.reads() returns bigint language sql immutable as $$ select count(*) from plain $$;
create function pure.seeded() returns int language sql immutable set seed = 0.5 as $$ select 1 $$;
create function pure.runs(text) returns void language plpgsql immutable as $$ begin execute $1; end $$;
create function pure.leak_call(value int) returns int language sql immutable as $$ select public.leak_number(value) $$;
create function pure.leak_next(value int) returns int language sql immutable as $$ select pure."leak_call"($1) $$;
create function pure.leak_built_in() returns text language plpgsql immutable
  as $$ begin return "set_config" ('my.leak', 'x', false); end $$;
create function pure.leak_escaped() returns text language plpgsql immutable
  as $$ begin return U&"set\005fconfig"('my.leak', 'x', false); end $$;
create function pure.leak_operator(a int) returns boolean language sql immutable as $$ select $1 === 2 $$;
create function pure.leak_cast(a int) returns int language plpgsql immutable as $$ declare b public.leak_domain := a; begin return b; end $$;
create function pure.leak_taken(a leak_domain) returns int language sql immutable as $$ select a + 1 $$;
create function pure.leak_column(a int) returns int language plpgsql immutable
  as $$ declare b public.leak_columns.d %type := a; begin return b; end $$;
create function pure.leak_default(a text default set_config('my.leak', 'default', false)) returns int language sql immutable
  as $$ select length(a) $$;
create function pure.leak_shadowed(a text) returns text language sql immutable as $$ select initcap(a) $$;

-- Shadows of what is built in, in a schema that a search_path may put first.
create schema shadow;
create function shadow.initcap(text) returns text language sql as $$ select set_config('my.leak', 'shadow', false) $$;
create domain shadow.reverse as text check (set_config('my.leak', 'domain', false) is not null);
create function shadow.json_value(text, text) returns text language sql
  as $$ select set_config('my.leak', 'json', false) $$;
create table shadow.other (id int, note text);
create table shadow.hidden (id int);
create table shadow.parts_low (id int, v text default leak('default'));
insert into plain (id, name) values (1, 'one'), (2, 'two');
insert into triggered values (1, 'one');
insert into conditional values (1);
insert into grandparents values (1), (2);
insert into parents values (1, 1), (2, 2);
insert into children values (1, 1), (2, 2);
insert into moods values ('good');
insert into indexed values (1);
insert into planned values (1);
