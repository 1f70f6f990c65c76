"""Puts a folder into a bucket, for tests: bucket.py ENDPOINT BUCKET PREFIX FOLDER"""

import pathlib
import sys

import boto3

_, endpoint, bucket, prefix, folder = sys.argv
keys = dict(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
s3 = boto3.client("s3", endpoint_url=endpoint, **keys)
if bucket not in [known["Name"] for known in s3.list_buckets()["Buckets"]]:
    s3.create_bucket(Bucket=bucket)
for file in pathlib.Path(folder).rglob("*"):
    if file.is_file():
        s3.put_object(Bucket=bucket, Key=f"{prefix}/{file.relative_to(folder)}", Body=file.read_bytes())
