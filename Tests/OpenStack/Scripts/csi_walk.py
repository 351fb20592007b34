"""What the Kubernetes cinder-csi-plugin does for pods that come and go, by the waiting times of its openstack_volumes.go:

    csi_walk.py GUEST FOLDER

FOLDER has a file for each serial number that the guest sees. Three volumes at once are made, attached, seen, detached and deleted,
again and again. Prints how long each wait took; ends with a traceback when one took more than a quarter of what the plugin waits.
"""
import concurrent.futures
import os
import sys
import time

import openstack

ROUNDS, AT_ONCE = 2, 3
# What is waited for: by which factor the first delay of a second grows, how often it is looked, and how long that is, in seconds.
WAITS = {"available": (1.1, 10, 16), "attached": (1.2, 15, 72), "detached": (1.2, 13, 48)}

guest, folder = sys.argv[1], sys.argv[2]
took = {what: [] for what in (*WAITS, "seen")}


def wait(what, holds):
    """As the plugin waits: it looks at once, and then at growing intervals."""
    factor, steps, _ = WAITS[what]
    start, delay = time.monotonic(), 1
    for step in range(steps):
        if holds():
            took[what].append(time.monotonic() - start)
            return
        if step < steps - 1:
            time.sleep(delay)
            delay *= factor
    raise AssertionError(f"it never was {what}")


def see(volume, is_there):
    """What the plugin does on the node: the disk with the volume's id for its serial number, of which 20 characters are shown."""
    end, start = time.monotonic() + 20, time.monotonic()
    while any(volume.startswith(serial) for serial in os.listdir(folder)) != is_there:
        assert time.monotonic() < end, f"the guest {'never sees' if is_there else 'keeps'} {volume}"
        time.sleep(0.05)
    took["seen"].append(time.monotonic() - start)


def live(number):
    cloud = openstack.connect()
    storage, compute = cloud.block_storage, cloud.compute
    name = f"pvc-{number}"
    server = compute.find_server(guest, ignore_missing=False).id

    def status(volume):
        found = storage.get_volume(volume)
        assert not found.status.startswith("error"), found
        return found.status

    def is_attached(volume):
        return any(each["server_id"] == server for each in storage.get_volume(volume).attachments)

    # CreateVolume
    assert list(storage.volumes(name=name)) == []
    volume = storage.create_volume(
        name=name, size=1, availability_zone="nova", metadata={"cinder.csi.openstack.org/cluster": "kubernetes"}).id
    wait("available", lambda: status(volume) == "available")

    # ControllerPublishVolume
    assert compute.get_server(server).status == "ACTIVE"
    assert storage.get_volume(volume).status == "available" and not is_attached(volume)
    compute.create_volume_attachment(server, volume_id=volume)
    wait("attached", lambda: is_attached(volume))
    found = storage.get_volume(volume)
    assert found.status == "in-use" and found.attachments[0]["device"], found
    see(volume, True)

    # ControllerUnpublishVolume
    assert storage.get_volume(volume).status == "in-use"
    compute.delete_volume_attachment(server, volume)
    wait("detached", lambda: not is_attached(volume))
    see(volume, False)

    # DeleteVolume, which the plugin does not wait for. It is refused where a disk is still given back.
    wait("available", lambda: status(volume) == "available")
    storage.delete_volume(volume, ignore_missing=False)
    storage.wait_for_delete(found, wait=60, interval=0.2)


with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
    for turn in range(ROUNDS):
        for done in [pool.submit(live, f"{turn}-{number}") for number in range(AT_ONCE)]:
            done.result()

for what, times in took.items():
    longest = WAITS[what][2] if what in WAITS else 20
    print(f"{what}: " + " ".join(f"{seconds:.2f}" for seconds in times) + f" s, of {longest} s")
    assert max(times) <= longest / 4, f"{what} took more than a quarter of {longest} s: {times}"
print("walked")
