"""Takes the objects below a prefix out of a bucket, for tests: fetch.py ENDPOINT BUCKET PREFIX FOLDER

Prints how many uploads of the bucket were begun and not finished.
"""

import pathlib
import sys

import boto3

_, endpoint, bucket, prefix, folder = sys.argv
keys = dict(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
s3 = boto3.client("s3", endpoint_url=endpoint, **keys)
for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/"):
    for found in page.get("Contents", []):
        path = pathlib.Path(folder) / found["Key"].removeprefix(f"{prefix}/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(s3.get_object(Bucket=bucket, Key=found["Key"])["Body"].read())
print(len(s3.list_multipart_uploads(Bucket=bucket).get("Uploads", [])))
