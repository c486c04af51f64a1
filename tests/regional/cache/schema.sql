-- A database of what people have, and of traps for whoever says what may be cached and what a write changes.
-- Column names matter: `due` is nowhere a string, `day` and `value` are dates here and text where a trap makes them so.
create schema shadow;
create type mood as enum ('calm', 'glad');
create type dated as (id int, at date);
create type labelled_pair as (a int, b text);
create domain positive as int check (value > 0);
create domain short_text as text check (length(value) < 200);
create domain day_domain as date;

create table item (
  id int primary key, name varchar(60) not null, note text, price numeric(10, 2) default 0, amount money,
  created_at timestamptz not null default now(), due date, starts time, seen timestamp, feeling mood, data jsonb,
  raw json, words text[], days date[], during tstzrange, pair labelled_pair, count_of positive, brief short_text,
  code char(10), twice numeric generated always as (price * 2) stored, body tsvector, ok boolean default true,
  uid uuid default gen_random_uuid(), owner_id int
);
insert into item (id, name, note, created_at, due, starts, seen, feeling, data, raw, words, days, during, pair, body)
  select n, 'item ' || n, '2024-01-0' || n, '2024-01-01 10:00+00'::timestamptz + n * interval '1 day', date '2024-02-01' + n,
    '10:00', '2024-01-01 10:00', 'glad', '{"a": 1, "b": {"c": "x"}, "day": "2024-01-01", "list": [1, 2]}', '{"a": 1}',
    array['2024-01-01', '2024-01-02'], array[date '2024-01-01'], '[2024-01-01,2024-01-02)', row(n, 'x')::labelled_pair, to_tsvector('english', 'a cat')
  from generate_series(1, 5) n;
create table tag (id int primary key, label text unique, parent_id int references tag);
insert into tag values (1, 'red', null), (2, 'green', 1);
create table item_tag (item_id int references item on delete cascade, tag_id int references tag, primary key (item_id, tag_id));
insert into item_tag values (1, 1), (2, 2);
create table strings (id int primary key, list text[], payload jsonb, label text);
insert into strings values (1, array['2024-01-01'], '{"k": "2024-01-01"}', '2024-01-01');
create table sample (id int primary key, value date, day date);
insert into sample values (1, '2024-01-01', '2024-01-02');
create table place (id int primary key, name text);
create table shadow.place (id int primary key, name text);
create table shadow.only_here (id int primary key);
create table one_safe (id int);
create table shadow.one_safe (id int);
create policy nobody on shadow.one_safe using (true);
alter table shadow.one_safe enable row level security;
create table orders (id int primary key, total numeric);
insert into orders values (1, 5), (2, 6);
create table "Orders" (id int primary key, "Total" numeric);
create table "odd name" (id int primary key, "my ""col""" text);
create table "größe" (id int primary key, "länge" int);
create table a123456789_123456789_123456789_123456789_123456789_123456789_12 (id int);
create table "select" (id int, "now" timestamptz, "random" int, "date" date);
create unlogged table fleeting (id int primary key, n int);
create table zoned (id int primary key, at timetz);
create type zoned_pair as (id int, at timetz);
create table zoned_inside (id int primary key, p zoned_pair);
create table guarded (id int primary key, owner_name text);
create policy own on guarded using (owner_name = current_user);
alter table guarded enable row level security;
create table guarded_parent (id int primary key);
create table guarded_child (note text) inherits (guarded_parent);
alter table guarded_child enable row level security;
create sequence numbers;
create table serials (id serial primary key, v text);
create table identities (id int generated always as identity primary key, v text);
create table pictures (id int primary key, label text, shape box, spot point, bits bit(3), net inet, mac macaddr, doc xml);

-- Partitions and inheritance.
create table event (id int, at date, kind text) partition by range (id);
create table event_low partition of event for values from (0) to (100);
create table event_high partition of event for values from (100) to (200) partition by list (kind);
create table event_high_a partition of event_high for values in ('a');
create table event_rest partition of event default;
insert into event values (1, '2024-01-01', 'a'), (101, '2024-01-01', 'a'), (900, '2024-01-01', 'z');
create table animal (id int primary key, name text);
create table dog (breed text) inherits (animal);
create table puppy (weeks int) inherits (dog);
insert into animal values (1, 'cat');
insert into dog values (2, 'rex', 'mix');
insert into puppy values (3, 'pup', 'mix', 3);

-- Functions of each kind. Those called log_... write.
create table log (id serial primary key, word text);
create function log_it(word text default 'function') returns int language plpgsql
  as $$ begin insert into public.log (word) values (word); return 1; end $$;
create function log_sql(n int) returns int language sql as $$ insert into log (word) values ('sql') returning n $$;
create function log_quietly(n int) returns int language plpgsql stable as $$ begin return log_it('quietly') + n; end $$;
create function log_wrongly(n int) returns int language plpgsql immutable
  as $$ begin return log_it('wrongly') + n; end $$;
create function log_within(n int) returns setof int language sql immutable
  as $$ with a as (insert into log (word) values ('within') returning id) select id + n from a $$;
create domain wrong as int check (log_wrongly(value) > 0);
create function add_one(n int) returns int language sql immutable as $$ select n + 1 $$;
create function add_two(n int) returns int language plpgsql immutable as $$ begin return n + 2; end $$;
create function count_tags(n int) returns bigint language sql stable as $$ select count(*) + n from tag $$;
create function stamp() returns timestamptz language sql stable as $$ select now() $$;
create function noise(n int) returns double precision language sql volatile as $$ select random() + n $$;
create function mixed(n int) returns int language sql immutable as $$ select n $$;
create function mixed(word text) returns int language plpgsql volatile as $$ begin return log_it(word); end $$;
create function by_count(n int) returns int language sql immutable as $$ select n $$;
create function by_count(n int, m int) returns double precision language sql volatile as $$ select random() $$;
create function defaulting(n int, m double precision default random()) returns double precision language sql volatile
  as $$ select n + m $$;
create function defaulting_now(n int, m timestamptz default now()) returns text language plpgsql immutable
  as $$ begin return n || m::text; end $$;
create function many(variadic n int[]) returns double precision language sql volatile as $$ select random() + n[1] $$;
create function initcap(word varchar, n int) returns text language sql immutable as $$ select word $$;
create function upper(row_of tag) returns text language sql volatile as $$ select row_of.label || random() $$;
create function noisy_label(row_of item) returns text language sql volatile as $$ select row_of.name || random() $$;
create function quiet_label(row_of item) returns text language sql immutable as $$ select row_of.name || '!' $$;
create function texts_of(n int) returns table (value text) language sql immutable as $$ select '2024-01-01'::text $$;
create function out_text(n int, out day text, out other int) language sql immutable as $$ select '2024-01-01'::text, n $$;
create function shadow.hidden(n int) returns double precision language sql volatile as $$ select random() $$;
create function hidden(n int) returns int language sql immutable as $$ select n $$;
create function log_add(total int, n int) returns int language plpgsql as $$ begin return total + log_it('aggregate'); end $$;
create aggregate loud_sum(int) (sfunc = log_add, stype = int, initcond = '0');
create aggregate plain_sum(int) (sfunc = int4pl, stype = int, initcond = '0');
create function log_compare(a int, b int) returns boolean language plpgsql as $$ begin return log_it('operator') = a; end $$;
create operator @@@ (leftarg = int, rightarg = int, function = log_compare);
create function near(a int, b int) returns boolean language sql immutable as $$ select abs(a - b) < 2 $$;
create operator <~> (leftarg = int, rightarg = int, function = near);
create function tag_starts(a tag, b text) returns boolean language sql volatile as $$ select random() > 2 $$;
create operator ^@ (leftarg = tag, rightarg = text, function = tag_starts);
create function log_check(n int) returns boolean language plpgsql as $$ begin perform log_it('check'); return true; end $$;
create domain loud as int check (log_check(value));
create table of_loud (id int primary key, v loud);
create type pence as (n int);
create function log_cast(n int) returns pence language plpgsql as $$ begin return row(log_it('cast')); end $$;
create cast (int as pence) with function log_cast(int);

-- Views.
create view item_view as select id, name, created_at from item;
create view item_names as select v.id, v.name, t.label from item_view v left join tag t using (id);
create view event_view as select id, at from event;
create view animal_view as select count(*) as n from animal;
create view clock_view as select id, now() - created_at as old from item;
create view clock_over as select id from clock_view where old > interval '1 day';
create view today_view as select id from item where due < current_date;
create view frozen_today_view as select id from item where due < 'today'::date;
create view later_today_view as select id from item where due < 'today'::text::date;
create view dice_view as select id, random() as dice from item;
create view stable_view as select count_tags(id) as n from item;
create view immutable_view as select add_one(id) as n from item;
create view loud_view as select log_it('view') as n from item;
create view loud_sum_view as select loud_sum(id) as n from item;
create view loud_operator_view as select id from item where id @@@ 1;
create view loud_domain_view as select id::loud as n from item;
create view note_day_view as select id, note::date as note_day from item;
create view created_day_view as select id, created_at::date as created_day from item;
create view sampled_view as select id from item tablesample system (50);
create view locking_view as select id from item for update;
create view catalog_view as select relname, id from pg_class, item;
create view guarded_view as select id from guarded;
create table owned (id int primary key, owner_name text);
create view me_view as select id from owned where owner_name = current_user;
create view sequence_view as select nextval('numbers') as n from item;
create view number_view as select last_value from numbers;
create view function_view as select n from generate_series(1, 3) n, tag;
create view union_view as select id from item union select id from shadow.only_here;
create view subselect_view as select (select max(id) from tag) as n, id from place;
create materialized view item_stats as select count(*) as n, max(price) as top from item;
create unique index on item_stats (n);
create materialized view zoned_stats as select now() as at, count(*) as n from item;
create view over_stats as select n from item_stats;

-- What a write brings with it.
create table parent (id int primary key, code int unique, name text);
create table kid_cascade (id int primary key, parent_id int references parent on delete cascade);
create table grandkid (id int primary key, kid_id int references kid_cascade on delete set null);
create table kid_null (id int primary key, parent_id int references parent on delete set null);
create table kid_default (id int primary key, parent_id int default null references parent on delete set default);
create table kid_none (id int primary key, parent_id int references parent);
insert into parent values (1, 10, 'a'), (2, 20, 'b');
insert into kid_cascade values (1, 1);
insert into grandkid values (1, 1);
insert into kid_null values (1, 1);
insert into kid_default values (1, 1);
create table coded (id int primary key);
create table coded_kid (id int primary key, coded_id int references coded on update cascade);
insert into coded values (1);
insert into coded_kid values (1, 1);
create table split_parent (id int primary key);
create table split_kid (id int, parent_id int references split_parent on delete cascade) partition by range (id);
create table split_kid_low partition of split_kid for values from (0) to (100);
insert into split_parent values (1);
insert into split_kid values (1, 1);
create table loop_a (id int primary key, b_id int);
create table loop_b (id int primary key, a_id int references loop_a on delete cascade);
alter table loop_a add foreign key (b_id) references loop_b on delete cascade;
insert into loop_a values (1, null);
insert into loop_b values (1, 1);
update loop_a set b_id = 1;

create table article (id int primary key, title text, updated_at timestamptz, words int);
insert into article values (1, 'one', null, 0);
create function touch() returns trigger language plpgsql as $$ begin new.updated_at := now(); return new; end $$;
create trigger touch before update on article for each row execute function touch();
create table comment (id int primary key, title text, updated_at timestamptz, words int);
insert into comment values (1, 'one', null, 0);
create function touch_if() returns trigger language plpgsql as $$
declare size int := 0;
begin
  -- insert into log, says this comment only
  if new.title is distinct from old.title then
    size := length(new.title);
    new.words = size + 1;
    new.updated_at = clock_timestamp();
  end if;
  if new.words > 1000000 then raise exception 'delete from log'; end if;
  return new;
end $$;
create trigger touch before update on comment for each row execute function touch_if();
create table moved (id int primary key, at timestamptz);
insert into moved values (1, null);
create function log_inside() returns trigger language plpgsql as $$ begin new.at := now() + log_it('inside') * interval '1 s'; return new; end $$;
create trigger inside before update on moved for each row execute function log_inside();
create table searched (id int primary key, body text, index tsvector);
insert into searched values (1, 'a', null);
create trigger index before insert or update on searched
  for each row execute function tsvector_update_trigger(index, 'pg_catalog.english', body);
create table account (id int primary key, balance numeric, owner_id int references parent on update cascade);
create table account_audit (id int, at timestamptz);
insert into account values (1, 5, null);
create function audit() returns trigger language plpgsql
  as $$ begin insert into account_audit values (coalesce(new.id, old.id), now()); return null; end $$;
create trigger audit after insert or update or delete on account for each row execute function audit();
create table account_line (id int primary key, account_id int references account on delete cascade);
insert into account_line values (1, 1);
create table owner (id int primary key);
create table owned_account (id int primary key, owner_id int references owner on delete cascade);
insert into owner values (1);
insert into owned_account values (1, 1);
create trigger audit after delete on owned_account for each row execute function audit();
create table dynamic (id int primary key);
insert into dynamic values (1);
create function runs_text() returns trigger language plpgsql
  as $$ begin execute 'in' || 'sert into log (word) values (1)'; return new; end $$;
create trigger dynamic after update on dynamic for each row execute function runs_text();
create table conditional (id int primary key, at timestamptz, updated_at timestamptz);
insert into conditional values (1, null);
create trigger touch before update on conditional for each row when (log_it('when') = 1) execute function touch();
create table silent (id int primary key, updated_at timestamptz);
insert into silent values (1, null);
create trigger audit after update on silent for each row execute function audit();
alter table silent disable trigger audit;
create table split (id int, updated_at timestamptz) partition by range (id);
create table split_low partition of split for values from (0) to (100);
create trigger audit after insert on split_low for each row execute function audit();
create table emptied (id int primary key);
insert into emptied values (1);
create function on_truncate() returns trigger language plpgsql as $$ begin insert into log (word) values ('truncate'); return null; end $$;
create trigger on_truncate after truncate on emptied for each statement execute function on_truncate();
create table ruled (id int primary key, v text);
create table ruled_log (id int, v text);
create rule also_log as on insert to ruled do also insert into ruled_log values (new.id, new.v);
create table hidden_rows (id int primary key, gone boolean default false);
create table hidden_log (id int);
insert into hidden_rows values (1);
create rule instead as on delete to hidden_rows do instead insert into hidden_log values (old.id);
create table defaulted (id int primary key, v int default log_it('default'));
create table checked (id int primary key check (log_check(id)));
create view instead_view as select id, balance from account;
create function instead_of() returns trigger language plpgsql as $$ begin insert into log (word) values ('instead'); return new; end $$;
create trigger instead instead of insert on instead_view for each row execute function instead_of();
create procedure log_procedure() language plpgsql as $$ begin insert into log (word) values ('procedure'); end $$;

-- What object mappers make.
create table auth_user (
  id serial primary key, password varchar(128), last_login timestamptz, is_superuser boolean, username varchar(150) unique,
  first_name varchar(150), last_name varchar(150), email varchar(254), is_staff boolean, is_active boolean, date_joined timestamptz
);
create table blog_category (id bigserial primary key, name varchar(100), slug varchar(50));
create table blog_post (
  id bigserial primary key, title varchar(200), slug varchar(50), body text, status varchar(10), published_at timestamptz,
  author_id int references auth_user deferrable initially deferred,
  category_id bigint references blog_category deferrable initially deferred, view_count int default 0
);
create table django_session (session_key varchar(40) primary key, session_data text, expire_date timestamptz);
create table users (
  id bigserial primary key, name varchar, email varchar unique, created_at timestamp(6), updated_at timestamp(6), fullname varchar
);
create table posts (id bigserial primary key, user_id bigint references users, title varchar, published boolean, created_at timestamp(6), updated_at timestamp(6));
create table "User" (id serial primary key, email text unique, name text, "createdAt" timestamp(3) default current_timestamp);
create table "Post" (id serial primary key, title text, content text, published boolean default false, "authorId" int references "User" on delete set null on update cascade);
create table department (id bigserial primary key, name varchar(255));
create table employee (id bigserial primary key, name varchar(255), salary numeric(38, 2), hired date, department_id bigint references department);
insert into auth_user (username, date_joined) values ('ann', '2024-01-01');
insert into blog_category (name) values ('news');
insert into blog_post (title, published_at, author_id, category_id) values ('one', '2024-01-01', 1, 1);
insert into users (name, email) values ('ann', 'ann@example.com');
insert into posts (user_id, title) values (1, 'one');
insert into "User" (email, "createdAt") values ('ann@example.com', '2024-01-01');
insert into "Post" (title, "authorId") values ('one', 1);
insert into department (name) values ('one');
insert into employee (name, salary, department_id) values ('ann', 5, 1);

grant usage on schema shadow to public;
grant all on all tables in schema public, shadow to public;
grant all on all sequences in schema public to public;
