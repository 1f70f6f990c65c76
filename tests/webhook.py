#!/usr/bin/env python3
"""Verifies a message with the Standard Webhooks library, as a receiver would.

    webhook.py SECRET MESSAGE.json

MESSAGE.json has `headers` and `body`. Prints the body; exits 1 if the signature is not that of
this body and secret.
"""

import json
import sys

from standardwebhooks.webhooks import Webhook

secret, path = sys.argv[1:]
with open(path, encoding="utf-8") as file:
    message = json.load(file)
print(json.dumps(Webhook(secret).verify(message["body"], message["headers"])))
