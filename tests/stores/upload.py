"""Begins an upload that nobody finishes, for tests: upload.py ENDPOINT BUCKET KEY"""

import sys

import boto3

_, endpoint, bucket, key = sys.argv
keys = dict(aws_access_key_id="test", aws_secret_access_key="test", region_name="us-east-1")
s3 = boto3.client("s3", endpoint_url=endpoint, **keys)
upload = s3.create_multipart_upload(Bucket=bucket, Key=key)["UploadId"]
s3.upload_part(Bucket=bucket, Key=key, UploadId=upload, PartNumber=1, Body=b"part of a file")
