"""Runs commands of one of OpenStack's clients, one after the other in one process, and writes down what each of them said.

    walk.py CLIENT STEPS RESULTS

STEPS is a JSON list of {"command": [words], "until": {name: value}?}. A step with "until" is repeated until its output has these
values, for a minute. RESULTS gets a JSON list of {"status", "output", "errors", "values"}: the last is what was printed as JSON,
or as a table of names and values.
"""
import contextlib
import io
import json
import sys
import time

DEADLINE = 60


def openstack(words):
    from openstackclient import shell

    return shell.OpenStackShell().run(words)


def cinder(words):
    from cinderclient import shell

    return shell.OpenStackCinderShell().main(words)


def run(client, words):
    output, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            status = client(words) or 0
        except SystemExit as end:
            status = end.code or 0
        except Exception as error:
            errors.write(f"{type(error).__name__}: {error}")
            status = 1
    text = output.getvalue()
    return {"status": int(status), "output": text, "errors": errors.getvalue(), "values": values(text)}


def values(output):
    try:
        return json.loads(output)
    except ValueError:
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in output.splitlines() if line.startswith("|")]
        return {row[0]: row[1] for row in rows if len(row) == 2} or None


def holds(found, wanted):
    if not isinstance(found, dict):
        return False
    if str(found.get("status", "")).lower().startswith("error"):
        return True  # It comes to nothing else any more.
    return all(found.get(name) == value for name, value in wanted.items())


def step(client, words, until):
    end = time.monotonic() + DEADLINE
    while True:
        result = run(client, words)
        if until is None or time.monotonic() > end:
            return result
        if result["status"] == 0 and holds(result["values"], until):
            return result
        time.sleep(0.2)


def main():
    client = {"openstack": openstack, "cinder": cinder}[sys.argv[1]]
    with open(sys.argv[2]) as file:
        steps = json.load(file)
    results = [step(client, each["command"], each.get("until")) for each in steps]
    with open(sys.argv[3], "w") as file:
        json.dump(results, file)


main()
