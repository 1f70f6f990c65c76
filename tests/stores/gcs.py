"""A double of Google Cloud Storage, for tests: gcs.py PORT TOKEN

No emulator of it that the registries have knows its XML interface, which is the one that the client
speaks: gcp-storage-emulator has the JSON interface alone. So this keeps objects in memory as the
documentation of the XML interface says, for what is asked of it here and no more: objects with
generations and ETags, `x-goog-if-generation-match`, `If-Match`, ranges, listings in pages (folders
all on the first), copies, uploads in parts and their list. It is no proof of what Google does. Who
has not TOKEN, nor signs as the account whose key `gcs_key.py` made, is refused, and one request is
decided at a time.
"""

import base64
import email.utils
import hashlib
import json
import re
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.sax.saxutils import escape

PORT, TOKEN = int(sys.argv[1]), sys.argv[2]
PAGE = 1000
PART_BYTES_MIN = 5 << 20

lock = threading.Lock()
buckets = {}  # name -> {key: Stored}
uploads = {}  # id -> Upload
accounts = []  # public keys
generations = iter(range(1_700_000_000_000_000, 1 << 62))


class Stored:
    def __init__(self, data, etag=None):
        self.data, self.etag = data, etag or f'"{hashlib.md5(data).hexdigest()}"'
        self.generation, self.at = next(generations), time.time()


class Upload:
    def __init__(self, bucket, key):
        self.bucket, self.key, self.parts, self.at = bucket, key, {}, time.time()


class Refused(Exception):
    def __init__(self, status, code):
        self.status, self.code = status, code


def stamp(at):
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(at))


def xml(name, body):
    text = f'<?xml version="1.0" encoding="UTF-8"?><{name} xmlns="http://doc.s3.amazonaws.com/2006-03-01">{body}</{name}>'
    return text.encode()


def is_of_account(token):
    """Whether a token is one that an account has signed itself, for now and for this store."""
    signed, _, signature = token.rpartition(".")
    decode = lambda text: base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    for key in accounts:
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import padding

        try:
            key.verify(decode(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except (InvalidSignature, ValueError):
            continue
        claims = json.loads(decode(signed.split(".")[1]))
        now = time.time()
        return claims["iat"] <= now + 1 < claims["exp"] and "googleapis.com" in claims["scope"]
    return False


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def answer(self, status, body=b"", length=None, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def act(self):
        data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        bucket, _, key = url.path.lstrip("/").partition("/")
        if bucket == "ready" and self.command == "PUT":
            from cryptography.hazmat.primitives.serialization import load_pem_public_key

            accounts.append(load_pem_public_key(data))
            return self.answer(200)
        if bucket == "ready":
            # For the tests alone: whether this, or the object behind it, is there.
            bucket, _, name = key.partition("/")
            return self.answer(200 if not key or name in buckets.get(bucket, {}) else 404)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            with lock:
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                if token != TOKEN and not is_of_account(token):
                    raise Refused(401, "AuthenticationRequired")
                given = self.decide(unquote(bucket), unquote(key), query, data)
        except Refused as refused:
            body = xml("Error", f"<Code>{refused.code}</Code><Message>as documented</Message>")
            return self.answer(refused.status, body, Content_Type="application/xml")
        status, body, headers = given
        self.answer(status, body, **headers)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = act

    def decide(self, bucket, key, query, data):
        if self.command == "PUT" and not key:
            buckets.setdefault(bucket, {})
            return 200, b"", {}
        if bucket not in buckets:
            raise Refused(404, "NoSuchBucket")
        objects = buckets[bucket]
        if not key:
            return self.list_uploads(bucket, query) if "uploads" in query else self.list(objects, query)
        if self.command == "POST" and "uploads" in query:
            upload_id = f"upload-{next(generations)}"
            upload = uploads[upload_id] = Upload(bucket, key)
            # For the tests alone: an upload that was begun long ago.
            upload.at -= int(self.headers.get("x-tests-seconds-ago") or 0)
            body = f"<Bucket>{bucket}</Bucket><Key>{escape(key)}</Key><UploadId>{upload_id}</UploadId>"
            return 200, xml("InitiateMultipartUploadResult", body), {}
        if "uploadId" in query:
            return self.part_of_upload(objects, key, query, data)
        if self.command == "PUT":
            return self.put(objects, key, data)
        found = objects.get(key)
        if found is None or query.get("generation", str(found.generation)) != str(found.generation):
            raise Refused(404, "NoSuchKey")
        if self.command == "DELETE":
            del objects[key]
            return 204, b"", {}
        return self.get(found)

    def check_generation(self, objects, key):
        wanted = self.headers.get("x-goog-if-generation-match")
        found = objects[key].generation if key in objects else 0
        if wanted is not None and int(wanted) != found:
            raise Refused(412, "PreconditionFailed")

    def put(self, objects, key, data):
        self.check_generation(objects, key)
        source = self.headers.get("x-goog-copy-source")
        if source is None:
            stored = objects[key] = Stored(data)
            return 200, b"", {"ETag": stored.etag, "x-goog-generation": stored.generation}
        bucket, _, name = source.lstrip("/").partition("/")
        original = buckets.get(unquote(bucket), {}).get(unquote(name))
        if original is None:
            raise Refused(404, "NoSuchKey")
        stored = objects[key] = Stored(original.data, original.etag)
        body = f"<LastModified>{stamp(stored.at)}</LastModified><ETag>{escape(stored.etag)}</ETag>"
        return 200, xml("CopyObjectResult", body), {"x-goog-generation": stored.generation}

    def get(self, found):
        wanted = self.headers.get("If-Match")
        if wanted is not None and wanted not in ("*", found.etag):
            raise Refused(412, "PreconditionFailed")
        headers = {
            "ETag": found.etag,
            "x-goog-generation": found.generation,
            "Last-Modified": email.utils.formatdate(found.at, usegmt=True),
            "Accept-Ranges": "bytes",
        }
        size = len(found.data)
        span = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        if self.command == "HEAD" or not span:
            body = found.data if self.command == "GET" else b""
            return 200, body, headers | {"length": size}
        first, last = span.groups()
        start = int(first) if first else max(0, size - int(last))
        end = min(int(last) + 1, size) if first and last else size
        if start >= end:
            raise Refused(416, "InvalidRange")
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
        return 206, found.data[start:end], headers

    def list(self, objects, query):
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter")
        after = max(query.get("start-after", ""), query.get("continuation-token", ""))
        page = int(query.get("max-keys", PAGE))
        keys = [key for key in sorted(objects) if key.startswith(prefix) and key > after]
        folders = set()
        if delimiter:
            rest = lambda key: key[len(prefix) :].partition(delimiter)
            folders = {f"{prefix}{rest(key)[0]}{delimiter}" for key in keys if rest(key)[1]}
            keys = [key for key in keys if not rest(key)[1]]
        body = "".join(
            f"<CommonPrefixes><Prefix>{escape(folder)}</Prefix></CommonPrefixes>"
            for folder in sorted(folders)
        )
        body += "".join(
            f"<Contents><Key>{escape(key)}</Key><Generation>{objects[key].generation}</Generation>"
            f"<LastModified>{stamp(objects[key].at)}</LastModified>"
            f"<ETag>{escape(objects[key].etag)}</ETag><Size>{len(objects[key].data)}</Size></Contents>"
            for key in keys[:page]
        )
        more = len(keys) > page
        if more:
            body += f"<NextContinuationToken>{escape(keys[page - 1])}</NextContinuationToken>"
        return 200, xml("ListBucketResult", f"<IsTruncated>{str(more).lower()}</IsTruncated>{body}"), {}

    def list_uploads(self, bucket, query):
        prefix = query.get("prefix", "")
        body = "".join(
            f"<Upload><Key>{escape(upload.key)}</Key><UploadId>{upload_id}</UploadId>"
            f"<Initiated>{stamp(upload.at)}</Initiated></Upload>"
            for upload_id, upload in uploads.items()
            if upload.bucket == bucket and upload.key.startswith(prefix)
        )
        return 200, xml("ListMultipartUploadsResult", body), {}

    def part_of_upload(self, objects, key, query, data):
        upload = uploads.get(query["uploadId"])
        if upload is None or upload.key != key:
            raise Refused(404, "NoSuchUpload")
        if self.command == "PUT":
            upload.parts[int(query["partNumber"])] = data
            return 200, b"", {"ETag": f'"{hashlib.md5(data).hexdigest()}"'}
        del uploads[query["uploadId"]]
        if self.command == "DELETE":
            return 204, b"", {}
        named = [int(number) for number in re.findall(rb"<PartNumber>(\d+)</PartNumber>", data)]
        parts = [upload.parts.get(number) for number in named]
        if None in parts:
            raise Refused(400, "InvalidPart")
        if any(len(part) < PART_BYTES_MIN for part in parts[:-1]):
            raise Refused(400, "EntityTooSmall")
        whole = b"".join(parts)
        stored = objects[key] = Stored(whole, f'"{hashlib.md5(whole).hexdigest()}-{len(parts)}"')
        body = f"<Key>{escape(key)}</Key><ETag>{escape(stored.etag)}</ETag>"
        return 200, xml("CompleteMultipartUploadResult", body), {"x-goog-generation": stored.generation}


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


Server(("127.0.0.1", PORT), Handler).serve_forever()
