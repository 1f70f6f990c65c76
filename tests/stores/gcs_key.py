"""Makes an account of the double of Google Cloud Storage, for tests: gcs_key.py ENDPOINT FILE

FILE gets the key as Google writes it; the double gets the public half of it.
"""

import json
import pathlib
import sys
import urllib.request

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

_, endpoint, file = sys.argv
key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
account = dict(
    type="service_account",
    client_email="tests@tests.example",
    private_key_id="canary-key-id",
    private_key=private,
    # What a file of credentials must not decide.
    gcs_base_url="http://127.0.0.1:9",
)
pathlib.Path(file).write_text(json.dumps(account))
urllib.request.urlopen(urllib.request.Request(f"{endpoint}/ready", public, method="PUT")).read()
