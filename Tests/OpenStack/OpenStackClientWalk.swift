import PumiceModel
import TestBed
import Testing

extension OpenStackTests {
  /// python-openstackclient: what a user and an admin do with volumes.
  @Test func openstackclient() async throws {
    try await Cloud.visited(by: .openstack, hasGuest: true) { cloud, alice, ada in
      let (fleet, guest) = (cloud.fleet, cloud.fleet.guest)
      let bed = cloud.fleet.bed

      try await ada.take([
        .run("token issue", shows: ["project_id": "admin"]),
        .run("catalog list", printing: "block-storage", "compute", "identity"),
        .run("project list", printing: "admin", "demo"),
        .run("volume service list", printing: "cinder-scheduler", "cinder-volume", "up"),
        .run("volume backend pool list --long", printing: "node1@directory#directory"),
        .run("volume service set --disable --disable-reason maintenance node1@directory cinder-volume"),
        .run("volume service list --long", printing: "disabled", "maintenance"),
        .run("volume service set --enable node1@directory cinder-volume"),
        .run("volume type create fast --property volume_backend_name=directory", shows: ["name": "fast"]),
        .run("volume type set --property a=b fast"), .run("volume type unset --property a fast"),
        .run("volume type list --long", printing: "fast", "volume_backend_name"),
        .run("volume type create --private secret"), .run("volume type set --project demo secret"),
        .run("volume type show secret", printing: "demo"),
        .run("quota set --volumes 20 demo"), .run("quota show --volume demo", printing: "20"),
        .run("block storage resource filter list", printing: "volume"),
      ])

      try await alice.take([
        .fail("volume service list", saying: "403"),
        .run("availability zone list --volume", printing: "nova"), .run("extension list --volume"),
        .run("volume type list", printing: "__DEFAULT__", "fast", "secret"),
        .run("volume create --size 1 --type fast --property a=b db", shows: ["size": 1, "type": "fast"]),
        .wait("volume show db", for: ["status": "available"]),
        .run("volume set --description text --property k=v db"), .run("volume unset --property k db"),
        .run("volume set --bootable --image-property os=debian db"),
        .run("volume show db", shows: ["bootable": true, "volume_image_metadata": ["os": "debian"]]),
        .run("volume set --non-bootable db"), .run("volume unset --image-property os db"),
        .run("volume list --long", printing: "db", "a='b'"),
        .run("volume list --name db --status available", printing: "db"),
        .fail("volume show nothing", saying: "No Volume found", "No volume"),
        .run("volume summary", shows: ["Total Count": 1, "Total Size": 1]),
        .run("volume set --size 2 db"), .wait("volume show db", for: ["status": "available", "size": 2]),
        .wait("server show \(guest.id)", for: ["status": "ACTIVE"]), .run("server list", printing: guest.name),
        .run(
          "server add volume --tag data --enable-delete-on-termination \(guest.id) db",
          shows: ["Tag": "data", "Delete On Termination": true]),
        .wait("volume show db", for: ["status": "in-use"]),
        .run("server volume list \(guest.id)", printing: "/dev/vd", "data", "True"),
        .run("server volume set --preserve-on-termination \(guest.id) db"),
        .run("server volume list \(guest.id)", printing: "False"),
        .run("server show \(guest.id)", printing: "delete_on_termination='False'", "original_name"),
        .run("server list --long", printing: guest.name, "MiB"), .run("flavor list", printing: "MiB"),
        .run("flavor show 1x192MiB", shows: ["ram": 192, "vcpus": 1]),
        .run("limits show --absolute", printing: "total_instances_used", "total_volumes_used"),
        .run("availability zone list --compute", printing: "nova"),
        .run("volume attachment list", printing: "\(guest.id)"),
      ])
      let volumes = try await bed.run(["ls", fleet.agent.volumes])
      let id = try #require(
        volumes.split(separator: "\n").lazy.compactMap { VolumeID(String($0.dropFirst(7).prefix(36))) }.first)
      let disk = try await fleet.waitForDisk(of: id, size: .gibibytes(2))
      let written = try await guest.writeRandom(.mebibytes(4), to: disk)

      try await alice.take([
        .run("volume set --size 3 db"), .wait("volume show db", for: ["status": "in-use", "size": 3]),
        .run("server remove volume \(guest.id) db"), .wait("volume show db", for: ["status": "available"]),
        .run("volume snapshot create --volume db before", shows: ["name": "before"]),
        .wait("volume snapshot show before", for: ["status": "available"]),
        .run("volume snapshot set --name first --property a=b before"),
        .run("volume snapshot unset --property a first"), .run("volume snapshot list --long", printing: "first"),
        .run("volume create --snapshot first copy"),
        .wait("volume show copy", for: ["status": "available", "size": 3]),
        .run("volume create --source db --size 4 twin"),
        .wait("volume show twin", for: ["status": "available", "size": 4]),
        .run("volume revert first"), .wait("volume show db", for: ["status": "available"]),
        .fail("volume delete db", saying: "snapshot"),
        .run("volume snapshot delete first"), .run("volume delete copy twin"),
      ])
      #expect(try await fleet.sha256(ofBackingFileOf: id, count: .mebibytes(4)) == written)
      try await alice.take([
        .run("volume create --size 1 --hint same_host=\(id) beside"),
        .wait("volume show beside", for: ["status": "available"]),
        .run("volume create --size 1 --hint different_host=\(id) elsewhere"),
        .wait("volume show elsewhere", for: ["status": "error"]), .run("volume delete beside elsewhere"),
      ])
      try await alice.take([.run("volume delete --cascade db"), .run("quota show --volume", printing: "20")])
      try await ada.take([
        .run("volume list --all-projects"), .run("volume type unset --project demo secret"),
        .run("volume type delete fast secret"), .run("quota delete --volume demo"),
      ])
      try await eventually("nothing is left", within: .seconds(60)) {
        try await bed.run(["ls", fleet.agent.volumes]).isEmpty
      }
    }
  }
}
