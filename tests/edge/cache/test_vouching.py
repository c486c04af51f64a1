"""Until when what is kept is vouched for: by every member of a group, from the sending of a ping that was answered."""

from edge.cache.vouching import LEASE_S, Voucher, vouched_until


def voucher(node: str, sent_at: float = 100.0, group: str | None = None) -> Voucher:
    """One that has answered a ping; group: the letters of its members."""
    made = Voucher(node, frozenset(node if group is None else group))
    made.answered(sent_at)
    return made


def test_a_pool_node_vouches_from_the_sending_of_the_last_ping() -> None:
    one = voucher("a", 100.0)
    assert vouched_until([one], [one]) == 100.0 + LEASE_S
    one.answered(99.0)
    assert vouched_until([one], [one]) == 100.0 + LEASE_S, "the answers came in another order"
    one.answered(101.0)
    assert vouched_until([one], [one]) == 101.0 + LEASE_S


def test_without_a_link_or_a_group_nobody_vouches() -> None:
    assert vouched_until([], []) == 0.0
    one = voucher("a")
    one.group = None
    assert vouched_until([one], [one]) == 0.0
    gone = voucher("a")
    gone.lost()
    assert vouched_until([gone], [gone]) == 0.0


def test_each_member_of_the_group_has_to() -> None:
    first, second = voucher("a", 100.0, "ab"), voucher("b", 99.0, "ab")
    assert vouched_until([first], [first, second]) == 99.0 + LEASE_S
    assert vouched_until([first], [first]) == 0.0, "it is not linked"
    second.lost()
    assert vouched_until([first], [first, second]) == 0.0
    again = voucher("c", 100.0, "ac")
    assert vouched_until([first], [first, again]) == 0.0, "another boot is another pool node"


def test_all_that_serve_a_configuration_have_to() -> None:
    first, second = voucher("a", 100.0), voucher("b", 98.0)
    assert vouched_until([first, second], [first, second]) == 98.0 + LEASE_S
    second.group = None
    assert vouched_until([first, second], [first, second]) == 0.0
    assert vouched_until([first], [first, second]) == 100.0 + LEASE_S


def test_one_that_is_gone_counts_as_long_as_the_others_of_its_group_name_it() -> None:
    first, second = voucher("a"), voucher("b")
    for one in (first, second):
        one.told(frozenset("ab"))
    second.lost()
    second.lost()  # tried again, in vain
    assert vouched_until([first, second], [first, second]) == 0.0
    first.told(frozenset("a"))
    assert vouched_until([first, second], [first, second]) == 100.0 + LEASE_S
    first.told(None)
    assert vouched_until([first, second], [first, second]) == 0.0
    first.told(frozenset("a"))
    first.lost()
    assert vouched_until([first, second], [first, second]) == 0.0
    alone = voucher("c")
    alone.told(frozenset("c"))
    assert vouched_until([first, alone], [first, alone]) == 0.0, "nobody says that a pool node without a group is gone"
