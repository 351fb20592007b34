"""many_clients.py URL COUNT: so many openstacksdk clients at once, each of which reads five pages of 100 volumes, one after the other.

Prints JSON: how long all of it took, and the slowest page, in seconds.
"""
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import openstack

url, count = sys.argv[1], int(sys.argv[2])


def client(number):
    return openstack.connect(
        load_yaml_config=False, load_envvars=False, auth_type="admin_token", auth={"endpoint": url, "token": "any"},
        block_storage_endpoint_override=f"{url}/v3/demo")


def read(cloud):
    slowest, marker = 0.0, None
    for _ in range(5):
        begin = time.monotonic()
        query = {"marker": marker} if marker else {}
        page = list(cloud.block_storage.volumes(paginated=False, limit=100, **query))
        slowest = max(slowest, time.monotonic() - begin)
        assert len(page) == 100, len(page)
        marker = page[-1].id
    return slowest


clients = [client(number) for number in range(count)]
begin = time.monotonic()
with ThreadPoolExecutor(count) as pool:
    slowest = max(pool.map(read, clients))
print(json.dumps({"seconds": time.monotonic() - begin, "slowest": slowest}))
