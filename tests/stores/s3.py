"""S3 as moto plays it, one request at a time, for tests: s3.py PORT

Moto looks whether an object exists and stores another in two steps. S3 does it in one, and so does
this: a conditional create that lost must never be told that it won.
"""

import sys
import threading

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

app = DomainDispatcherApplication(create_backend_app)
one_at_a_time = threading.Lock()


def serve(environ, start_response):
    with one_at_a_time:
        return app(environ, start_response)


make_server("127.0.0.1", int(sys.argv[1]), serve, threaded=True).serve_forever()
