"""SQL about prepared statements: what is recognised is so for certain."""

import pytest

from protos.pg.sql_statements import FIRST_BYTES, Command, Kind, command_of

PREPARE, EXECUTE, DEALLOCATE = Kind.PREPARE, Kind.EXECUTE, Kind.DEALLOCATE


@pytest.mark.parametrize(
    ("sql", "kind", "name"),
    [
        (b"prepare s1 as select 1", PREPARE, b"s1"),
        (b"PREPARE \"S 1\"(int, text) AS select $1 || ';' || $2 -- so", PREPARE, b"S 1"),
        (b"prepare s as select a / b - 1 /* c */;", PREPARE, b"s"),
        (b"EXECUTE Plan", EXECUTE, b"plan"),
        (b'execute"a""b"(1, \'x\')', EXECUTE, b'a"b'),
        (b"/* c */ execute -- x\n s1 ; -- far", EXECUTE, b"s1"),
        (b"\texecute " + b"x" * 70, EXECUTE, b"x" * 63),
        (b"deallocate s1", DEALLOCATE, b"s1"),
        (b"DEALLOCATE PREPARE s1 ;", DEALLOCATE, b"s1"),
        (b'deallocate prepare"x"', DEALLOCATE, b"x"),
        (b'deallocate "all"', DEALLOCATE, b"all"),
        (b"deallocate all", Kind.FORGET_ALL, b""),
        (b"DEALLOCATE PREPARE ALL", Kind.FORGET_ALL, b""),
    ],
)
def test_a_command_is_recognised_with_the_name_that_postgresql_reads(sql: bytes, kind: Kind, name: bytes) -> None:
    assert command_of(sql) == Command(kind, name)
    assert sql[0] in FIRST_BYTES


def test_what_only_takes_statements_away_is_told_from_what_does_more() -> None:
    assert command_of(b"discard/**/all;") == Command(Kind.FORGET_ALL, resets=True)
    tags = {b"deallocate all": "DEALLOCATE ALL", b"discard all": "", b"deallocate s": "DEALLOCATE", b"execute s": ""}
    for sql, tag in tags.items():
        command = command_of(sql)
        assert command is not None
        assert command.tag == tag


@pytest.mark.parametrize(
    "sql",
    [
        b"", b"select 1", b"execute", b"execute s1; select 1", b"select 1; execute s1", b"executes1", b"preparexs1 as",
        b"prepare transaction 'x'", b"prepare as select 1", b"discard plans", b"discard all; select 1", b"deallocate",
        b"deallocate prepare", b"deallocate s1 s2", b"delete from execute", b"explain execute s1",
        b"/* open execute s1", b"/* /* */ execute s1", b'execute U&"s"', "execute é".encode(),
        b"prepare s as select $1; select 2", b"prepare s as select E'\\''; select 2", b"prepare s as select $$;$$",
        b"prepare s as select '\\'; select 2 --'", b'prepare s as select U&"\\0061"',
        b'prepare "onetrip:1" as select 1', b'execute "onetrip:1"', b'deallocate "onetrip:1"',
    ],
)  # fmt: skip
def test_what_leaves_a_doubt_is_none(sql: bytes) -> None:
    assert command_of(sql) is None
