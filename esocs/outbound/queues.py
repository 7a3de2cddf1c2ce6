"""Messages into a queue of Amazon's (SQS) or of a server that speaks its protocol: how such a request is signed. Pure.

Query protocol of Amazon SQS 2012-11-05; Signature Version 4 (AWS General Reference, "Signing AWS API requests").
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode, urlsplit

CONTENT_TYPE = "application/x-www-form-urlencoded"
LARGEST_MESSAGE_BYTES = 256 * 1024
_REGION = re.compile(r"(?:sqs\.([a-z0-9-]+)|([a-z0-9-]+)\.queue)\.amazonaws\.com(?:\.cn)?")


@dataclass(frozen=True, kw_only=True)
class QueueKey:
    """Whose messages these are.

    Attributes:
        access_key_id: the key's public half.
        secret: the other half; never sent.
        region: where the queue is, if its address does not say.
    """

    access_key_id: str
    secret: str
    region: str = "us-east-1"


def message_request(url: str, message: str, *, key: QueueKey, at: datetime) -> tuple[bytes, dict[str, str]]:
    """Body and headers of the POST that puts a message into a queue.

    Args:
        url: of the queue.
        message: at most `LARGEST_MESSAGE_BYTES` of text.
        key: signs it.
        at: UTC; the signature is good for some minutes.
    """
    body = urlencode({"Action": "SendMessage", "MessageBody": message, "Version": "2012-11-05"}).encode()
    found = _REGION.fullmatch(urlsplit(url).hostname or "")
    region = (found[1] or found[2]) if found else key.region
    return body, sign(url, body, key=key, region=region, service="sqs", at=at)


def sign(url: str, body: bytes, *, key: QueueKey, region: str, service: str, at: datetime) -> dict[str, str]:
    """The headers that a POST of a form must have beside the host."""
    parts, moment = urlsplit(url), f"{at:%Y%m%dT%H%M%SZ}"
    signed = {"content-type": CONTENT_TYPE, "host": parts.netloc, "x-amz-date": moment}
    names = ";".join(signed)
    lines = "".join(f"{name}:{value}\n" for name, value in signed.items())
    request = f"POST\n{parts.path or '/'}\n{parts.query}\n{lines}\n{names}\n{hashlib.sha256(body).hexdigest()}"
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
    digest = f"AWS4{key.secret}".encode()
    for part in scope.split("/"):
        digest = _keyed(digest, part)
    signature = _keyed(digest, text).hex()
    credential = f"Credential={key.access_key_id}/{scope}, SignedHeaders={names}, Signature={signature}"
    return {"Content-Type": CONTENT_TYPE, "X-Amz-Date": moment, "Authorization": f"AWS4-HMAC-SHA256 {credential}"}


def _keyed(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
