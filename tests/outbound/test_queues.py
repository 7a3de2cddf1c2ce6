"""Messages into Amazon's queues: the signature is that of Amazon's own test suite, and the region is the address's."""

from __future__ import annotations

from datetime import UTC, datetime
from urllib.parse import parse_qs

import pytest

from esocs.outbound.queues import QueueKey, message_request, sign

KEY = QueueKey(access_key_id="AKIDEXAMPLE", secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
AT = datetime(2015, 8, 30, 12, 36, tzinfo=UTC)


def test_a_form_is_signed_as_in_amazons_test_suite() -> None:
    headers = sign(
        "https://example.amazonaws.com/", b"Param1=value1", key=KEY, region="us-east-1", service="service", at=AT
    )
    assert headers["Authorization"] == (
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request,"
        " SignedHeaders=content-type;host;x-amz-date,"
        " Signature=ff11897932ad3f4e8b18135d722051e5ac45fc38421b1da7b9d196a0fe09473a"
    )
    assert headers["X-Amz-Date"] == "20150830T123600Z"


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("sqs.eu-west-1.amazonaws.com", "eu-west-1"),
        ("eu-central-1.queue.amazonaws.com", "eu-central-1"),
        ("queue.example.org", "us-east-1"),
        ("sqs.eu-west-1.amazonaws.com.example.org", "us-east-1"),
    ],
)
def test_the_region_is_the_addresss(host: str, region: str) -> None:
    body, headers = message_request(f"https://{host}/1/queue", "é & 🌀", key=KEY, at=AT)
    assert parse_qs(body.decode())["MessageBody"] == ["é & 🌀"]
    assert f"/{region}/sqs/" in headers["Authorization"]
