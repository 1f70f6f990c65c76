"""Moves files between a folder and a container of Azure's emulator, for tests:
azure_files.py sas ACCOUNT KEY
azure_files.py put|fetch ENDPOINT SAS CONTAINER PREFIX FOLDER

ENDPOINT ends with the account. `sas` prints a shared access signature that allows everything for a
day; `fetch` prints how many blobs have blocks and no content, which are uploads that nobody
finished.
"""

import base64
import hashlib
import hmac
import pathlib
import sys
import time
import urllib.error
import urllib.request
import xml.etree.ElementTree as tree
from urllib.parse import quote, urlencode

VERSION = "2021-12-02"


def sas(account, key):
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 86_400))
    fields = dict(sp="rwdlac", ss="b", srt="sco", st="", se=end, sip="", spr="", sv=VERSION, ses="")
    signed = "\n".join([account, *fields.values()]) + "\n"
    digest = hmac.digest(base64.b64decode(key), signed.encode(), hashlib.sha256)
    fields["sig"] = base64.b64encode(digest).decode()
    return urlencode({name: value for name, value in fields.items() if value})


def ask(method, url, data=None, **headers):
    headers = {"x-ms-version": VERSION} | {name.replace("_", "-"): value for name, value in headers.items()}
    with urllib.request.urlopen(urllib.request.Request(url, data, headers, method=method)) as answer:
        return answer.read()


def listed(url, prefix, **more):
    marker = ""
    while True:
        query = dict(restype="container", comp="list", prefix=prefix, marker=marker, **more)
        page = tree.fromstring(ask("GET", f"{url}&{urlencode(query)}"))
        for blob in page.iter("Blob"):
            yield blob.findtext("Name"), int(blob.findtext("Properties/Content-Length") or 0)
        marker = page.findtext("NextMarker")
        if not marker:
            return


def main(what, *given):
    if what == "sas":
        return print(sas(*given))
    endpoint, signature, container, prefix, folder = given
    blob = lambda name: f"{endpoint}/{container}/{quote(name)}?{signature}"
    whole = f"{endpoint}/{container}?{signature}"
    if what == "put":
        try:
            ask("PUT", f"{whole}&restype=container", b"")
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise
        for file in pathlib.Path(folder).rglob("*"):
            if file.is_file():
                name = f"{prefix}/{file.relative_to(folder)}"
                ask("PUT", blob(name), file.read_bytes(), x_ms_blob_type="BlockBlob")
        return
    names = {name for name, _ in listed(whole, f"{prefix}/")}
    for name in names:
        path = pathlib.Path(folder) / name.removeprefix(f"{prefix}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(ask("GET", blob(name)))
    begun = {name for name, _ in listed(whole, f"{prefix}/", include="uncommittedblobs")}
    print(len(begun - names))


main(*sys.argv[1:])
