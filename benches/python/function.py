"""The same job in Python, as its users write it: boto3, psycopg2 and urllib3.

After the best-known write-up of this custom resource: list the extensions, create the wanted ones,
list again, answer. Like the original it has no ledger, no lock, no check of versions, and one
`except` around everything. Clients are made outside the handler, as AWS advises.
"""

import hashlib
import json
import logging
import os

import boto3
import psycopg2
import urllib3
from psycopg2.extensions import quote_ident

logger = logging.getLogger()
http = urllib3.PoolManager()
secrets = boto3.client("secretsmanager")


def connect(secret_id):
    text = secrets.get_secret_value(SecretId=secret_id, VersionStage="AWSCURRENT")["SecretString"]
    secret = json.loads(text)
    connection = psycopg2.connect(
        host=secret["host"],
        port=secret["port"],
        user=secret["username"],
        password=secret["password"],
        dbname=secret["dbname"],
        sslmode="verify-full",
        sslrootcert=os.environ["RDS_CA_BUNDLE"],
    )
    connection.autocommit = True
    return connection


def get_extensions(cursor):
    cursor.execute("SELECT extname FROM pg_extension")
    return [row[0] for row in cursor.fetchall()]


def create_extension(cursor, extension, version):
    name = quote_ident(extension, cursor)
    cursor.execute(f"CREATE EXTENSION IF NOT EXISTS {name} VERSION %s CASCADE", (version,))


def send_response(event, status, data, reason=None):
    logical_id = event["LogicalResourceId"]
    digest = hashlib.sha256(logical_id.encode("utf-8")).hexdigest()
    body = {
        "Status": status,
        "Reason": reason or "See the log",
        "PhysicalResourceId": logical_id + digest[:8],
        "StackId": event["StackId"],
        "RequestId": event["RequestId"],
        "LogicalResourceId": logical_id,
        "NoEcho": False,
        "Data": data,
    }
    http.request("PUT", event["ResponseURL"], body=json.dumps(body), headers={"content-type": ""})


def handler(event, context):
    try:
        properties = event["ResourceProperties"]
        connection = connect(properties["DBSecret"])
        try:
            with connection.cursor() as cursor:
                before = get_extensions(cursor)
                for extension, version in properties["PluginsMap"].items():
                    print(f"Installing plugin {extension} version {version} ...")
                    create_extension(cursor, extension, version)
                after = get_extensions(cursor)
            print(f"BEFORE: {before}\nAFTER: {after}")
        finally:
            connection.close()
        send_response(event, "SUCCESS", {"After": ",".join(after)})
    except Exception as error:  # noqa: BLE001, an answer is owed whatever happens
        logger.exception("failed")
        send_response(event, "FAILED", {}, str(error))
