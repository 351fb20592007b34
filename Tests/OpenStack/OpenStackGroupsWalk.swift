import PumiceModel
import TestBed
import Testing

extension OpenStackTests {
  /// python-openstackclient: volumes that belong together, and snapshots of them at one moment.
  @Test func openstackclientWithGroups() async throws {
    try await Cloud.visited(by: .openstack, hasGuest: false) { cloud, alice, ada in
      let bed = cloud.fleet.bed

      try await ada.take([
        .run("volume backend pool list", printing: "node1@directory#directory"),
        .run("volume group type create consistent", shows: ["Name": "consistent"]),
        .run(words: [
          "volume", "group", "type", "set", "--property", "consistent_group_snapshot_enabled=<is> True", "consistent",
        ]),
        .run("volume group type set --description text consistent"),
        .run("volume group type show consistent", printing: "consistent_group_snapshot_enabled"),
        .run("volume group type create spare"), .run("volume group type delete spare"),
      ])
      try await alice.take([
        .run("volume group type list", printing: "consistent"),
        .fail("volume group type create mine", saying: "403"),
        .run(
          "volume group create --volume-group-type consistent --volume-type __DEFAULT__ --name pair",
          shows: ["Name": "pair", "Status": "available"]),
        .run("volume create --size 1 data"), .wait("volume show data", for: ["status": "available"]),
        .run("volume create --size 1 log"), .wait("volume show log", for: ["status": "available"]),
        .run("volume group add volume pair data log"),
        .run("volume group show --volumes pair", printing: "available"),
        .run("volume group set --description both pair"), .run("volume group list", printing: "pair"),
        .fail("volume delete data", saying: "Group pair"),
        .run("volume group snapshot create --name moment pair", shows: ["Name": "moment"]),
        .wait("volume group snapshot show moment", for: ["Status": "available"]),
        .run("volume group snapshot list", printing: "moment"),
        .run("volume group create --group-snapshot moment --name again", shows: ["Name": "again"]),
        .wait("volume group show again", for: ["Status": "available"]),
        .run("volume group show --volumes again", printing: "Volumes"),
        .run("volume group delete --force again"),
        .run("volume group create --source-group pair --name twin --description copy", shows: ["Name": "twin"]),
        .wait("volume group show twin", for: ["Status": "available", "Description": "copy"]),
        .run("volume group list", printing: "twin"), .run("volume list", printing: "available"),
        .fail("volume group delete twin", saying: "2 volumes"), .run("volume group delete --force twin"),
        .fail("volume group delete --force pair", saying: "group snapshot"),
        .run("volume group snapshot delete moment"), .run("volume group remove volume pair log"),
        .run("volume group delete --force pair"), .run("volume delete log"),
      ])
      try await eventually("nothing is left", within: .seconds(60)) {
        try await bed.run(["ls", cloud.fleet.agent.volumes]).isEmpty
      }
      try await ada.take([.run("volume group type delete consistent")])
    }
  }
}
