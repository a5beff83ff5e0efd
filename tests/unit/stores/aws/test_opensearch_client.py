"""The client of an OpenSearch domain: requests are signed for its region."""

from __future__ import annotations

import pytest

from lookalike.errors import SettingsError
from lookalike.stores.aws.opensearch_client import connect


class TestSigning:
    @pytest.fixture(autouse=True)
    def credentials(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "access")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    @pytest.mark.parametrize(
        ("endpoint", "region", "expected"),
        [
            ("https://search-a-b1.eu-west-1.es.amazonaws.com", None, "eu-west-1"),
            ("https://vpc-a-b1.cn-north-1.es.amazonaws.com.cn:443/", None, "cn-north-1"),
            ("https://search-a-b1.aos.us-east-2.on.aws", None, "us-east-2"),
            ("https://pictures.example.org", "ap-southeast-1", "ap-southeast-1"),
        ],
    )
    def test_requests_to_a_domain_are_signed_for_its_region(
        self, endpoint: str, region: str | None, expected: str
    ) -> None:
        sign = connect(endpoint, region=region).transport.get_connection().http_auth
        assert f"/{expected}/es/aws4_request" in sign("GET", f"{endpoint}/_search", b"{}")["Authorization"]

    @pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9200", "https://es.amazonaws.com.example.org"])
    def test_others_are_not(self, endpoint: str) -> None:
        assert connect(endpoint).transport.get_connection().http_auth is None

    def test_without_credentials_there_is_no_client(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
        monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
        with pytest.raises(SettingsError, match="credentials"):
            connect("https://search-a-b1.eu-west-1.es.amazonaws.com")
