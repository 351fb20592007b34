"""Sends a coordinator what schemathesis makes of its own description, until there were enough requests.

    fuzz.py URL JOIN_TOKEN_FILE FOLDER SEED REQUESTS

The coordinator is one whose callers are all admins, with a node whose pools are in memory. Prints, as JSON, how many requests there
were, how many rounds and how long they took, and each failure: an answer of 500 or more, or one that is not as described.
"""
import copy
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import time
import urllib.request

URL, TOKEN_FILE, FOLDER, SEED, WANTED = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5])
DEADLINE = 480
SERVERS = [f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "12"]
CHECKS = "not_a_server_error,response_schema_conformance,content_type_conformance"


def call(method, path, body=None, headers={}):
    request = urllib.request.Request(
        URL + path, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", "OpenStack-API-Version": "volume latest, compute latest", **headers})
    with urllib.request.urlopen(request) as answer:
        text = answer.read()
        return json.loads(text) if text else None


def until(what, condition):
    for _ in range(300):
        if condition():
            return
        time.sleep(0.1)
    sys.exit(f"It did not come about that {what}.")


class Node(http.server.BaseHTTPRequestHandler):
    """An agent that has nothing and does nothing. One that could not be reached would be an error of the server, and rightly so."""

    protocol_version = "HTTP/1.1"
    INVENTORY = {kind: [] for kind in ("volumes", "snapshots", "exports", "connections")}

    def do_GET(self):
        is_known = self.path == "/v1/inventory"
        body = json.dumps(self.INVENTORY if is_known else {}).encode()
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200 if is_known else 503)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_PUT = do_DELETE = do_POST = do_GET

    def log_message(self, *words):
        pass


def node():
    """Where it is found."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Node)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def prepare():
    """Some of everything, so that requests find something; says what there is, by the collection in the path."""
    with open(TOKEN_FILE) as file:
        token = file.read().strip()
    servers = [
        {"id": server, "name": f"server-{server[0]}", "status": "ACTIVE", "isPersistent": True, "vcpus": 1,
         "memory": 1 << 30} for server in SERVERS]
    call("POST", "/nodes/v1/reports", {
        "name": "compute1", "version": "1", "address": node(), "availabilityZone": "nova",
        "hypervisor": "memory", "connectors": [
            {"kind": "memory", "protocolName": "memory", "initiator": "iqn.2026-11.test:compute1",
             "namesInitiatorPerAttachment": False}],
        "pools": [], "instances": servers, "inventoryDigest": 0, "incarnation": 1,
    }, {"Authorization": f"Bearer {token}"})
    call("PUT", "/v3/os-quota-sets/admin", {"quota_set": {"volumes": -1, "snapshots": -1, "gigabytes": -1}})
    ids = {"servers": SERVERS}
    ids["types"] = [
        call("POST", "/v3/types", {"volume_type": {"name": f"type-{n}", "extra_specs": {"key": "value"}}})
        ["volume_type"]["id"] for n in range(12)]
    ids["qos-specs"] = [
        call("POST", "/v3/qos-specs", {"qos_specs": {"name": f"spec-{n}", "key": "value"}})["qos_specs"]["id"]
        for n in range(12)]
    ids["volumes"] = [
        call("POST", "/v3/volumes", {"volume": {"size": 1, "name": f"volume-{n}", "metadata": {"key": "value"}}})
        ["volume"]["id"] for n in range(40)]
    volumes = lambda: call("GET", "/v3/volumes/detail")["volumes"]
    until("the volumes are available", lambda: all(volume["status"] == "available" for volume in volumes()))
    ids["snapshots"] = [
        call("POST", "/v3/snapshots", {"snapshot": {"volume_id": volume, "metadata": {"key": "value"}}})
        ["snapshot"]["id"] for volume in ids["volumes"][-20:]]
    for volume in ids["volumes"][4:20:2]:
        call("POST", f"/compute/v2.1/servers/{SERVERS[0]}/os-volume_attachments",
             {"volumeAttachment": {"volumeId": volume}})
    ids["attachments"] = [row["id"] for row in call("GET", "/v3/attachments")["attachments"]]
    return ids


def known(values, schema):
    """One of these, or whatever else the schema allows."""
    return {"anyOf": [{"enum": values}, schema]} if values else schema


def fill(document, ids):
    """Puts what there is where the description asks for an identity."""
    document = copy.deepcopy(document)
    kinds = {"volume_id": "volumes", "source_volid": "volumes", "volumeId": "volumes", "snapshot_id": "snapshots",
             "server_uuid": "servers", "vol_type_id": "types", "instance_uuid": "servers"}
    names = {"key": ["key"], "project": ["demo", "admin"], "name": ["compute1", "memory1"], "class": ["default"]}

    def fill_schema(schema):
        if isinstance(schema, dict):
            for name, kind in kinds.items():
                if name in schema.get("properties", {}):
                    schema["properties"][name] = known(ids[kind], schema["properties"][name])
            if "level" in schema.get("properties", {}):
                # What is logged in full would be most of the work.
                schema["properties"]["level"] = {"enum": ["ERROR"]}
            for part in schema.values():
                fill_schema(part)
        elif isinstance(schema, list):
            for part in schema:
                fill_schema(part)

    for path, operations in document["paths"].items():
        collection = path.split("/")[2] if not path.startswith("/compute") else path.split("/")[3]
        collection = path.split("/")[3] if path.startswith("/pumice") else collection
        for method, operation in operations.items():
            for parameter in operation["parameters"]:
                name = parameter.get("name")
                kind = {"id": collection, "server": "servers", "volume": "volumes"}.get(name) or kinds.get(name)
                values = ids.get(kind, []) if kind else names.get(name, [])
                if method == "delete" and kind in ("volumes", "snapshots", "types", "qos-specs"):
                    values = values[:4]
                if name == "limit":
                    # Answers get long in time, and reading them takes most of it.
                    parameter.update(required=True, schema={"enum": [0, 1, 2, 5]})
                elif method == "put" and name in ("project", "name"):
                    # What everything else rests upon stays as it is.
                    parameter["schema"] = {"enum": values[:1]}
                elif values:
                    parameter["schema"] = known(values, parameter["schema"])
            fill_schema(operation.get("requestBody", {}))
    return document


def start(number, phases, seconds, file):
    log = open(f"{FOLDER}/fuzz-{number}.log", "w+")
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"), "run", file, "--url", URL, "--checks", CHECKS,
        "--phases", phases, "--seed", str(SEED + number), "--workers", "1", "--continue-on-failure",
        "--max-time", str(seconds), "--generation-database", "none", "--suppress-health-check", "all", "--no-shrink",
        # Wrong requests take twice as long to make: one of the two makes all kinds, the other right ones.
        "--mode", "positive" if number % 2 == 0 and number > 0 else "all", "--warnings", "off", "--no-color",
        "--request-timeout", "20", "--max-examples", "1000",
    ]
    return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, cwd=FOLDER), log


def main():
    began = time.monotonic()
    document = json.loads(urllib.request.urlopen(URL + "/openapi.json").read())
    file = f"{FOLDER}/openapi.json"
    with open(file, "w") as output:
        json.dump(fill(document, prepare()), output)
    requests, rounds, failures = 0, 0, []
    while requests < WANTED and not failures and time.monotonic() - began < DEADLINE:
        # A round takes most of a minute: what is missing is seen then.
        runs = [start(2 * rounds + half, "coverage,fuzzing" if rounds == 0 and half == 0 else "fuzzing", 45, file)
                for half in range(2)]
        for process, log in runs:
            process.wait()
            log.seek(0)
            text = log.read()
            count = re.search(r"(\d+) generated", text)
            requests += int(count.group(1)) if count else 0
            if process.returncode != 0 or not count:
                failures.append(text[text.find("= FAILURES ="):][:8000] if "= FAILURES =" in text else text[-8000:])
        rounds += 1
    print(json.dumps({
        "requests": requests, "rounds": rounds, "seconds": round(time.monotonic() - began), "failures": failures}))


main()
