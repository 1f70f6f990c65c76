"""Moves files between a folder and the double of Google Cloud Storage, for tests:
gcs_files.py put|fetch ENDPOINT TOKEN BUCKET PREFIX FOLDER
gcs_files.py begin ENDPOINT TOKEN BUCKET KEY SECONDS_AGO

`begin` begins an upload that nobody finishes. `fetch` prints how many uploads of the bucket were
begun and not finished.
"""

import pathlib
import sys
import urllib.request
import xml.etree.ElementTree as tree
from urllib.parse import quote, urlencode

_, what, endpoint, token, bucket, prefix, folder = sys.argv
SPACE = "{http://doc.s3.amazonaws.com/2006-03-01}"


def ask(method, path, data=None, headers={}, **query):
    url = f"{endpoint}/{bucket}{path}?{urlencode(query)}"
    headers = {"Authorization": f"Bearer {token}"} | headers
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
        return answer.read()


if what == "begin":
    ask("POST", "/" + quote(prefix, safe=""), headers={"x-tests-seconds-ago": folder}, uploads="")
elif what == "put":
    ask("PUT", "")
    for file in pathlib.Path(folder).rglob("*"):
        if file.is_file():
            key = f"{prefix}/{file.relative_to(folder)}"
            ask("PUT", "/" + quote(key, safe=""), file.read_bytes())
else:
    after = ""
    while True:
        query = {"list-type": "2", "prefix": f"{prefix}/", "start-after": after}
        keys = [key.text for key in tree.fromstring(ask("GET", "", **query)).iter(f"{SPACE}Key")]
        if not keys:
            break
        after = keys[-1]
        for key in keys:
            path = pathlib.Path(folder) / key.removeprefix(f"{prefix}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(ask("GET", "/" + quote(key, safe="")))
    print(sum(1 for _ in tree.fromstring(ask("GET", "", uploads="")).iter(f"{SPACE}Upload")))
