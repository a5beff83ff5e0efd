"""Groups over the stores of AWS: hostile ids, pages, removal and its sweep."""

from __future__ import annotations

from lookalike.handlers.process_ports import serving
from lookalike.service.purge import purge
from lookalike.stores.aws.dynamodb_catalog import DynamoCatalog
from lookalike.stores.aws.dynamodb_maps import DynamoMaps
from lookalike.stores.aws.s3_objects import CONFIG, S3Store
from tests.conftest import ALICE, BOB
from tests.servers.dynamodb import server
from tests.support.baidu import picture
from tests.support.emulated import aws
from tests.support.fakes import SetClock, memory_ports
from tests.support.qiniu import GroupCaller, one
from tests.unit.service.test_groups import HOSTILE

PICTURE = picture(1, size=(40, 32))


def test_a_groups_life() -> None:
    clock = SetClock(1_767_323_045_000)
    with aws() as make:
        table = server.new_table()
        client = make("s3", config=CONFIG)
        client.create_bucket(Bucket="originals")
        store = S3Store(client, "originals")
        ports = memory_ports(
            ALICE, BOB, catalog=DynamoCatalog(table), maps=DynamoMaps(table), originals=store, clock=clock
        )
        with serving(ports):
            shop = GroupCaller(ALICE)
            shop.new("g", *(one(PICTURE, id=name, desc=[number]) for number, name in enumerate(HOSTILE)))
            for number, name in enumerate(HOSTILE):
                assert shop.post("/g/image", {"id": name}).body == {"label": "", "desc": [number]}
            for limit in (1, 3, 1000):
                assert sorted(shop.listed("g", limit)) == sorted(HOSTILE)
            assert sorted(shop.found(["g"], PICTURE)) == sorted(HOSTILE)
            for name in ("", "x" * 5000, "unknown"):
                assert shop.post("/g/image", {"id": name}).status == 400
                assert shop.post("/g/delete", {"images": [name]}).body == {}
            shop.post("/g/delete", {"images": HOSTILE[:5]})
            assert sorted(shop.listed("g", 2)) == sorted(HOSTILE[5:])
            assert shop.post("/g/remove").body == {}
            shop.new("g", one(PICTURE, id="1"))
            assert shop.listed("g") == ["1"]
            clock.now += 16 * 60_000
            assert purge(ports, lambda: True).done
            assert shop.listed("g") == ["1"]
            assert shop.found(["g"], PICTURE) == ["1"]
            assert len(client.list_objects_v2(Bucket="originals")["Contents"]) == 1
