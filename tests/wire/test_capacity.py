"""What each vendor's callers get when their application may have no more pictures."""

from __future__ import annotations

from dataclasses import replace

from lookalike.domain.application import Policy
from lookalike.handlers.process_ports import serving
from tests.conftest import ALICE
from tests.support.baidu import Caller, picture
from tests.support.fakes import memory_ports
from tests.support.jumdata import Client
from tests.support.native import NativeCaller, problem
from tests.support.qiniu import GroupCaller, one

LIMITED = replace(ALICE, policy=Policy(capacity=2))


def test_a_full_application_is_refused_in_each_vendor_s_own_way() -> None:
    native, baidu, jumdata, qiniu = NativeCaller(LIMITED), Caller(LIMITED), Client(LIMITED), GroupCaller(LIMITED)
    with serving(memory_ports(LIMITED)):
        native.library()
        assert "cont_sign" in baidu.call("similar", "add", image=picture(1), brief="b")
        assert native.put("shop", "2", picture(2)).status == 201
        refused = baidu.call("similar", "add", image=picture(3), brief="b")
        assert (refused["error_code"], refused["error_msg"]) == (19, "Open api total request limit reached")
        assert baidu.call("similar", "add", image=picture(1), brief="b")["error_code"] == 216681, "it is there"
        assert jumdata.call("input", base64=picture(3))["code"] == 606
        full = {"code": 400, "message": "group is full"}
        assert qiniu.post("/shop/add", {"data": [one(picture(3, size=(64, 64)))]}).body["errors"] == [full]
        problem(native.put("shop", "3", picture(3)), 409, "application_full")
        assert native.call("DELETE", native.path("shop", "2")).status == 204
        assert jumdata.input(picture(3))
        assert native.call("GET", "/usage").json["pictures"] == 2
