"""x"""
from protos.pg.messages import query
from tests.support.beside import PoolSide, beside
from tests.support.cluster import Origin


@beside
async def test_first(side: PoolSide, origin: Origin) -> None:
    edge = side.serve(origin)
    client = edge.client()
    answer = await client.ask(query(b"select 1"))
    assert answer.tags == "TDCZ"
    assert answer.value == b"1"
    await side.known()
