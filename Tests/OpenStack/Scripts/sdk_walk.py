"""What a program does with volumes through openstacksdk: sdk_walk.py GUEST, as whom and where as the environment says.

Ends with a traceback at the first thing that is not as it should be.
"""
import sys
import time

import openstack
from openstack import exceptions

cloud = openstack.connect()
storage, guest = cloud.block_storage, sys.argv[1]


def refused(call, *errors):
    try:
        call()
    except errors:
        return
    raise AssertionError("it should have been refused")


def come(resource, get, **wanted):
    """Asks anew until it is so."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = get(resource)
        if all(getattr(found, name) == value for name, value in wanted.items()):
            return found
        assert not found.status.startswith("error"), found
        time.sleep(0.2)
    raise AssertionError(f"it never came to {wanted}: {found}")


# Volumes.
volume = cloud.create_volume(size=1, name="sdk", metadata={"a": "b"}, wait=True, timeout=60)
assert volume.status == "available" and volume.size == 1 and volume.metadata == {"a": "b"}, volume
assert [found.id for found in storage.volumes(name="sdk")] == [volume.id]
assert storage.find_volume("sdk").id == volume.id
volume = storage.update_volume(volume, description="text")
assert volume.description == "text"
storage.set_volume_metadata(volume, k="v")
storage.delete_volume_metadata(storage.get_volume(volume), ["a"])
assert storage.get_volume_metadata(volume).metadata == {"k": "v"}
storage.set_volume_bootable_status(volume, True)
assert storage.get_volume(volume).is_bootable
storage.set_volume_image_metadata(volume, os="debian")
assert storage.get_volume(volume).volume_image_metadata == {"os": "debian"}
storage.set_volume_readonly(volume, True)
storage.set_volume_readonly(volume, False)
storage.extend_volume(volume, 2)
come(volume, storage.get_volume, status="available", size=2)
refused(lambda: storage.extend_volume(volume, 1), exceptions.BadRequestException)
refused(lambda: storage.get_volume("00000000-0000-0000-0000-000000000000"), exceptions.NotFoundException)

# Many, page by page.
many = [storage.create_volume(size=1, name=f"many-{number}") for number in range(7)]
for one in many:
    come(one, storage.get_volume, status="available")
assert len(list(storage.volumes(limit=3, details=False))) == 8
assert storage.summary(False).total_count == 8
for one in many:
    storage.delete_volume(one)
for one in many:
    storage.wait_for_delete(one, wait=60, interval=0.2)

# On a guest.
server = cloud.compute.find_server(guest, ignore_missing=False)
assert [each.id for each in cloud.list_servers()] == [server.id] and cloud.get_server(guest).status == "ACTIVE"
assert [each.id for each in cloud.compute.servers(status="ACTIVE", sort_key="display_name", sort_dir="asc")] == [server.id]
assert [(each.ram, each.extra_specs) for each in cloud.list_flavors(get_extra=True)] == [(192, {})]
assert list(cloud.compute.flavors(min_ram=193)) == [] and cloud.list_availability_zone_names() == ["nova"]
assert cloud.get_compute_limits().total_cores_used == 1
cloud.attach_volume(server, storage.get_volume(volume), wait=True, timeout=60)
volume = storage.get_volume(volume)
assert volume.status == "in-use" and volume.attachments[0]["server_id"] == server.id, volume
assert [each.volume_id for each in cloud.compute.volume_attachments(server)] == [volume.id]
storage.extend_volume(volume, 3)
come(volume, storage.get_volume, status="in-use", size=3)
cloud.detach_volume(server, volume, wait=True, timeout=60)
come(volume, storage.get_volume, status="available")

# On a host that connects by itself.
attachment = storage.create_attachment(volume, instance=server.id, connector=None)
assert attachment.status == "reserved", attachment
attachment = storage.update_attachment(attachment, connector={"initiator": "iqn.2026-11.org.example:host", "host": "host"})
assert attachment.connection_info["driver_volume_type"] == "iscsi", attachment
storage.complete_attachment(attachment)
assert storage.get_volume(volume).status == "in-use"
assert [each.id for each in storage.attachments()] == [attachment.id]
storage.delete_attachment(attachment)
come(volume, storage.get_volume, status="available")

# Snapshots and copies.
snapshot = cloud.create_volume_snapshot(volume.id, name="before", wait=True, timeout=60)
assert storage.find_snapshot("before").id == snapshot.id
storage.update_snapshot(snapshot, name="first")
storage.set_snapshot_metadata(snapshot, a="b")
assert storage.get_snapshot_metadata(snapshot).metadata == {"a": "b"}
copy = cloud.create_volume(size=3, name="copy", snapshot_id=snapshot.id, wait=True, timeout=60)
storage.revert_volume_to_snapshot(volume, snapshot)
come(volume, storage.get_volume, status="available")
refused(lambda: storage.delete_volume(volume), exceptions.BadRequestException)

# Somebody else's, in the end.
transfer = storage.create_transfer(volume_id=copy.id, name="gift")
assert transfer.auth_key and storage.get_volume(copy).status == "awaiting-transfer"
assert storage.find_transfer("gift").id == transfer.id
storage.delete_transfer(transfer)

# What there is.
assert "__DEFAULT__" in [each.name for each in storage.types()]
assert storage.get_type(storage.find_type("__DEFAULT__")).is_public
assert [zone.name for zone in storage.availability_zones()] == ["nova"]
assert list(storage.extensions()) is not None and list(storage.resource_filters())
assert storage.get_limits().absolute.total_volumes_used == 2
assert storage.get_quota_set(cloud.current_project_id).volumes != 0
refused(lambda: list(storage.services()), exceptions.ForbiddenException)

storage.delete_snapshot(snapshot)
storage.wait_for_delete(snapshot, wait=60, interval=0.2)
for each in (copy, volume):
    cloud.delete_volume(each.id, wait=True, timeout=60)
assert list(storage.volumes()) == []
print("walked")
