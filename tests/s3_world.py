"""A server on this machine that speaks S3, with a bucket."""

from __future__ import annotations

import logging

import boto3
from moto.server import ThreadedMotoServer

BUCKET = "samples"
ACCESS = {"AWS_ACCESS_KEY_ID": "us", "AWS_SECRET_ACCESS_KEY": "hush", "AWS_DEFAULT_REGION": "us-east-1"}


class S3Server:
    """environment: of whoever may read the bucket."""

    def __init__(self) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self.environment = ACCESS | {"AWS_ENDPOINT_URL": self.url, "AWS_EC2_METADATA_DISABLED": "true"}
        self._client = boto3.client(
            "s3",
            endpoint_url=self.url,
            region_name=ACCESS["AWS_DEFAULT_REGION"],
            aws_access_key_id=ACCESS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=ACCESS["AWS_SECRET_ACCESS_KEY"],
        )
        self._client.create_bucket(Bucket=BUCKET)

    def put(self, name: str, content: bytes) -> str:
        """The address of an object that now is there."""
        self._client.put_object(Bucket=BUCKET, Key=name, Body=content)
        return f"s3://{BUCKET}/{name}"

    def stop(self) -> None:
        self._server.stop()
