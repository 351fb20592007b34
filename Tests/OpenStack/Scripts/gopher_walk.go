// What a program does with volumes through gophercloud, the library of cinder-csi and of Terraform's provider:
//
//	gopher_walk GUEST
//
// As whom and where, the environment says. Ends with a message and status 1 at the first thing that is not as it should be.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/gophercloud/gophercloud"
	"github.com/gophercloud/gophercloud/openstack"
	"github.com/gophercloud/gophercloud/openstack/blockstorage/extensions/quotasets"
	"github.com/gophercloud/gophercloud/openstack/blockstorage/extensions/volumeactions"
	"github.com/gophercloud/gophercloud/openstack/blockstorage/extensions/volumetransfers"
	"github.com/gophercloud/gophercloud/openstack/blockstorage/v3/attachments"
	"github.com/gophercloud/gophercloud/openstack/blockstorage/v3/snapshots"
	"github.com/gophercloud/gophercloud/openstack/blockstorage/v3/volumes"
	"github.com/gophercloud/gophercloud/openstack/blockstorage/v3/volumetypes"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/availabilityzones"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/extensions/volumeattach"
	"github.com/gophercloud/gophercloud/openstack/compute/v2/servers"
	"github.com/gophercloud/gophercloud/openstack/identity/v3/tokens"
	"github.com/gophercloud/gophercloud/pagination"
)

func main() {
	provider, err := openstack.AuthenticatedClient(gophercloud.AuthOptions{
		IdentityEndpoint: os.Getenv("OS_AUTH_URL"),
		Username:         os.Getenv("OS_USERNAME"),
		Password:         os.Getenv("OS_PASSWORD"),
		DomainName:       os.Getenv("OS_USER_DOMAIN_NAME"),
		Scope: &gophercloud.AuthScope{
			ProjectName: os.Getenv("OS_PROJECT_NAME"), DomainName: os.Getenv("OS_PROJECT_DOMAIN_NAME")},
		AllowReauth: true,
	})
	must(err)
	where := gophercloud.EndpointOpts{Region: "RegionOne"}
	storage, err := openstack.NewBlockStorageV3(provider, where)
	must(err)
	compute, err := openstack.NewComputeV2(provider, where)
	must(err)
	identity, err := openstack.NewIdentityV3(provider, where)
	must(err)

	whatThereIs(storage, compute, identity)
	volume := aVolumesLife(storage)
	onAGuest(storage, compute, volume, os.Args[1])
	onAHost(storage, volume)
	copies(storage, volume)
	must(volumes.Delete(storage, volume, nil).ExtractErr())
	gone(storage, volume)
	fmt.Println("walked")
}

func whatThereIs(storage, compute, identity *gophercloud.ServiceClient) {
	project, err := tokens.Get(identity, identity.Token()).ExtractProject()
	must(err)
	quota, err := quotasets.Get(storage, project.ID).Extract()
	must(err)
	expect(quota.Volumes != 0, "no quota of volumes: %+v", quota)
	usage, err := quotasets.GetUsage(storage, project.ID).Extract()
	must(err)
	expect(usage.Volumes.InUse == 0 && usage.Volumes.Limit == quota.Volumes, "usage: %+v of %+v", usage, quota)
	pages, err := volumetypes.List(storage, nil).AllPages()
	must(err)
	types, err := volumetypes.ExtractVolumeTypes(pages)
	must(err)
	expect(len(types) == 1 && types[0].Name == "__DEFAULT__", "types: %+v", types)
	zones, err := availabilityzones.List(compute).AllPages()
	must(err)
	all, err := availabilityzones.ExtractAvailabilityZones(zones)
	must(err)
	expect(len(all) == 1 && all[0].ZoneName == "nova" && all[0].ZoneState.Available, "zones: %+v", all)
	refused(volumes.Get(storage, "00000000-0000-0000-0000-000000000000").Err, 404)
	refused(volumes.Create(storage, volumes.CreateOpts{Size: -1}).Err, 400)
}

// A volume of 2 GiB that is left.
func aVolumesLife(storage *gophercloud.ServiceClient) string {
	made, err := volumes.Create(storage, volumes.CreateOpts{
		Size: 1, Name: "gopher", Metadata: map[string]string{"cinder.csi.openstack.org/cluster": "test"}}).Extract()
	must(err)
	expect(made.Size == 1 && !made.CreatedAt.IsZero() && made.Bootable == "false", "made: %+v", made)
	come(storage, made.ID, "available")
	name := "gopher volume"
	updated, err := volumes.Update(storage, made.ID, volumes.UpdateOpts{Name: &name}).Extract()
	must(err)
	expect(updated.Name == name && updated.Metadata["cinder.csi.openstack.org/cluster"] == "test", "updated: %+v", updated)
	must(volumeactions.ExtendSize(storage, made.ID, volumeactions.ExtendSizeOpts{NewSize: 2}).ExtractErr())
	come(storage, made.ID, "available")
	must(volumeactions.SetBootable(storage, made.ID, volumeactions.BootableOpts{Bootable: true}).ExtractErr())

	// Many, page by page; and by name, as cinder-csi looks whether a volume is there already.
	ids := map[string]bool{made.ID: true}
	for number := 0; number < 5; number++ {
		one, err := volumes.Create(storage, volumes.CreateOpts{Size: 1, Name: fmt.Sprintf("many-%d", number)}).Extract()
		must(err)
		ids[one.ID] = true
	}
	found, pages := map[string]bool{}, 0
	must(volumes.List(storage, volumes.ListOpts{Limit: 2, Sort: "name:asc"}).EachPage(func(page pagination.Page) (bool, error) {
		pages++
		list, err := volumes.ExtractVolumes(page)
		expect(len(list) <= 2, "a page of %d", len(list))
		for _, each := range list {
			found[each.ID] = true
		}
		return true, err
	}))
	expect(len(found) == 6 && pages == 3, "%d volumes on %d pages", len(found), pages)
	expect(len(named(storage, name)) == 1 && len(named(storage, "many")) == 0, "by name: %+v", named(storage, name))
	for id := range ids {
		expect(found[id], "%s is in no list", id)
		if id != made.ID {
			come(storage, id, "available")
			must(volumes.Delete(storage, id, nil).ExtractErr())
			gone(storage, id)
		}
	}
	return made.ID
}

func onAGuest(storage, compute *gophercloud.ServiceClient, volume, guest string) {
	pages, err := servers.List(compute, servers.ListOpts{Name: guest}).AllPages()
	must(err)
	found, err := servers.ExtractServers(pages)
	must(err)
	expect(len(found) == 1 && found[0].Status == "ACTIVE", "servers: %+v", found)
	server := found[0].ID
	attachment, err := volumeattach.Create(compute, server, volumeattach.CreateOpts{VolumeID: volume}).Extract()
	must(err)
	expect(attachment.VolumeID == volume && attachment.ServerID == server, "attachment: %+v", attachment)
	got := come(storage, volume, "in-use")
	expect(len(got.Attachments) == 1 && got.Attachments[0].ServerID == server, "attached: %+v", got.Attachments)
	expect(got.Attachments[0].Device != "" && !got.Attachments[0].AttachedAt.IsZero(), "attached: %+v", got.Attachments)
	_, err = volumeattach.Get(compute, server, volume).Extract()
	must(err)
	refused(volumes.Delete(storage, volume, nil).Err, 400)

	// While it is attached, from 3.42 on.
	storage.Microversion = "3.42"
	must(volumeactions.ExtendSize(storage, volume, volumeactions.ExtendSizeOpts{NewSize: 3}).ExtractErr())
	storage.Microversion = ""
	come(storage, volume, "in-use")
	must(volumeattach.Delete(compute, server, volume).ExtractErr())
	got = come(storage, volume, "available")
	expect(len(got.Attachments) == 0 && got.Size == 3, "detached: %+v", got)
	refused(volumeattach.Get(compute, server, volume).Err, 404)
}

// A host that connects by itself, by attachments and as it was done before there were any.
func onAHost(storage *gophercloud.ServiceClient, volume string) {
	refused(attachments.List(storage, nil).EachPage(func(pagination.Page) (bool, error) { return false, nil }), 404)
	storage.Microversion = "3.54"
	connector := map[string]interface{}{"initiator": "iqn.2026-11.org.example:gopher", "host": "gopher"}
	reserved, err := attachments.Create(storage, attachments.CreateOpts{
		VolumeUUID: volume, InstanceUUID: "0b0b0b0b-1111-2222-3333-444444444444", Mode: "rw"}).Extract()
	must(err)
	expect(reserved.Status == "reserved" && reserved.VolumeID == volume, "reserved: %+v", reserved)
	connected, err := attachments.Update(storage, reserved.ID, attachments.UpdateOpts{Connector: connector}).Extract()
	must(err)
	expect(connected.ConnectionInfo["driver_volume_type"] == "iscsi", "connected: %+v", connected)
	must(attachments.Complete(storage, reserved.ID).ExtractErr())
	come(storage, volume, "in-use")
	pages, err := attachments.List(storage, attachments.ListOpts{VolumeID: volume}).AllPages()
	must(err)
	all, err := attachments.ExtractAttachments(pages)
	must(err)
	expect(len(all) == 1 && all[0].ID == reserved.ID, "attachments: %+v", all)
	must(attachments.Delete(storage, reserved.ID).ExtractErr())
	come(storage, volume, "available")
	storage.Microversion = ""

	must(volumeactions.Reserve(storage, volume).ExtractErr())
	come(storage, volume, "attaching", "reserved")
	options := volumeactions.InitializeConnectionOpts{Initiator: "iqn.2026-11.org.example:gopher", Host: "gopher", IP: "127.0.0.1"}
	info, err := volumeactions.InitializeConnection(storage, volume, options).Extract()
	must(err)
	expect(info["driver_volume_type"] == "iscsi", "connection: %v", info["driver_volume_type"])
	must(volumeactions.Attach(storage, volume, volumeactions.AttachOpts{
		HostName: "gopher", MountPoint: "/dev/vdb", Mode: volumeactions.ReadWrite}).ExtractErr())
	got := come(storage, volume, "in-use")
	// The host's name is for admins.
	expect(len(got.Attachments) == 1 && got.Attachments[0].HostName == "", "attached: %+v", got.Attachments)
	must(volumeactions.BeginDetaching(storage, volume).ExtractErr())
	must(volumeactions.TerminateConnection(storage, volume, volumeactions.TerminateConnectionOpts{
		Initiator: options.Initiator, Host: options.Host}).ExtractErr())
	must(volumeactions.Detach(storage, volume, volumeactions.DetachOpts{AttachmentID: got.Attachments[0].AttachmentID}).ExtractErr())
	come(storage, volume, "available")
}

func copies(storage *gophercloud.ServiceClient, volume string) {
	snapshot, err := snapshots.Create(storage, snapshots.CreateOpts{VolumeID: volume, Name: "gopher"}).Extract()
	must(err)
	must(snapshots.WaitForStatus(storage, snapshot.ID, "available", 60))
	refused(volumes.Delete(storage, volume, nil).Err, 400)
	pages, err := snapshots.List(storage, snapshots.ListOpts{VolumeID: volume, Limit: 1}).AllPages()
	must(err)
	all, err := snapshots.ExtractSnapshots(pages)
	must(err)
	expect(len(all) == 1 && all[0].ID == snapshot.ID && all[0].Size == 3, "snapshots: %+v", all)
	metadata := snapshots.UpdateMetadataOpts{Metadata: map[string]interface{}{"a": "b"}}
	kept, err := snapshots.UpdateMetadata(storage, snapshot.ID, metadata).ExtractMetadata()
	must(err)
	expect(kept["a"] == "b", "metadata: %v", kept)

	for _, options := range []volumes.CreateOpts{{Size: 3, SnapshotID: snapshot.ID}, {Size: 3, SourceVolID: volume}} {
		made, err := volumes.Create(storage, options).Extract()
		must(err)
		come(storage, made.ID, "available")
		transfer, err := volumetransfers.Create(storage, volumetransfers.CreateOpts{VolumeID: made.ID, Name: "gift"}).Extract()
		must(err)
		expect(transfer.AuthKey != "", "transfer: %+v", transfer)
		must(volumetransfers.Delete(storage, transfer.ID).ExtractErr())
		must(volumes.Delete(storage, made.ID, volumes.DeleteOpts{Cascade: true}).ExtractErr())
		gone(storage, made.ID)
	}
	must(snapshots.Delete(storage, snapshot.ID).ExtractErr())
	until("the snapshot is gone", func() bool {
		_, isGone := snapshots.Get(storage, snapshot.ID).Err.(gophercloud.ErrDefault404)
		return isGone
	})
}

func named(storage *gophercloud.ServiceClient, name string) []volumes.Volume {
	pages, err := volumes.List(storage, volumes.ListOpts{Name: name}).AllPages()
	must(err)
	list, err := volumes.ExtractVolumes(pages)
	must(err)
	return list
}

// Asks anew until the volume has one of the states.
func come(storage *gophercloud.ServiceClient, id string, states ...string) *volumes.Volume {
	var volume *volumes.Volume
	until(fmt.Sprintf("volume %s is %v", id, states), func() bool {
		got, err := volumes.Get(storage, id).Extract()
		must(err)
		volume = got
		expect(len(got.Status) < 5 || got.Status[:5] != "error", "volume: %+v", got)
		for _, state := range states {
			if got.Status == state {
				return true
			}
		}
		return false
	})
	return volume
}

func gone(storage *gophercloud.ServiceClient, id string) {
	until(fmt.Sprintf("volume %s is gone", id), func() bool {
		_, isGone := volumes.Get(storage, id).Err.(gophercloud.ErrDefault404)
		return isGone
	})
}

func until(what string, holds func() bool) {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if holds() {
			return
		}
	}
	fail("it never came to this: %s", what)
}

func refused(err error, status int) {
	if err == nil {
		fail("it should have been refused with %d", status)
	}
	switch known := err.(type) {
	case gophercloud.ErrDefault400:
		expect(status == 400, "%v", known)
	case gophercloud.ErrDefault404:
		expect(status == 404, "%v", known)
	default:
		fail("it should have been refused with %d: %v", status, err)
	}
}

func must(err error) {
	if err != nil {
		fail("%v", err)
	}
}

func expect(holds bool, format string, values ...interface{}) {
	if !holds {
		fail(format, values...)
	}
}

// Panics, so that the trace says where.
func fail(format string, values ...interface{}) {
	panic(fmt.Sprintf(format, values...))
}
