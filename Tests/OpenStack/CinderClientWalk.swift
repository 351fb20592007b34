import PumiceModel
import TestBed
import Testing

extension OpenStackTests {
  /// python-cinderclient: what a user and an admin do with volumes.
  @Test func cinderclient() async throws {
    try await Cloud.visited(by: .cinder, hasGuest: false) { cloud, alice, ada in
      let fleet = cloud.fleet
      let bed = cloud.fleet.bed
      let host = "node1@directory"

      try await ada.take([
        .run("version-list", printing: "3.70"), .run("service-list", printing: "cinder-volume", "up"),
        .run("service-disable --reason upkeep \(host) cinder-volume", printing: "disabled"),
        .run("service-enable \(host) cinder-volume", printing: "enabled"),
        .run("get-pools --detail", printing: "\(host)#directory"), .run("get-capabilities \(host)"),
        .run("freeze-host \(host)"), .run("thaw-host \(host)"),
        .fail("failover-host \(host)", saying: "replicated nowhere"),
        .run("service-set-log --binary cinder-volume --server node1 DEBUG"),
        .run("service-get-log --binary cinder-volume --server \(host)", printing: "pumice-agent", "DEBUG"),
        .run("service-get-log --binary cinder-api", printing: "pumice-coordinator", "INFO"), .run("cluster-list"),
        .run("work-cleanup"),
        .run("type-create fast", printing: "fast"), .run("type-key fast set volume_backend_name=directory"),
        .run("extra-specs-list", printing: "volume_backend_name"), .run("type-show fast", shows: ["name": "fast"]),
        .run("type-create --is-public false secret"),
        .run("type-access-add --volume-type secret --project-id demo"),
        .run("type-access-list --volume-type secret", printing: "demo"),
        .run("type-access-remove --volume-type secret --project-id demo"), .run("type-delete secret"),
        .run("quota-update --volumes 9 demo"), .run("quota-show demo", shows: ["volumes": "9"]),
        .run("quota-usage demo", printing: "volumes"), .run("quota-defaults demo", printing: "gigabytes"),
        .run("quota-class-show default", printing: "volumes"), .run("quota-delete demo"),
        .fail("backup-list", saying: "404", "not be found"),
      ])

      let made = try await alice.take([
        .run("create --name db --volume-type fast --metadata a=b 1", shows: ["name": "db", "size": "1"]),
        .wait("show db", for: ["status": "available", "volume_type": "fast"]), .run("list", printing: "db"),
        .run("rename db data"), .run("metadata data set k=v"), .run("metadata-show data", shows: ["k": "v"]),
        .run("metadata data unset a"), .run("image-metadata data set os=debian"),
        .run("image-metadata-show data", shows: ["os": "debian"]), .run("set-bootable data true"),
        .run("show data", shows: ["bootable": "true"]), .run("readonly-mode-update data true"),
        .run("readonly-mode-update data false"), .run("extend data 2"),
        .wait("show data", for: ["status": "available", "size": "2"]), .run("summary", printing: "2"),
        .run("availability-zone-list", printing: "nova"), .run("absolute-limits", printing: "totalVolumesUsed"),
        .run("type-list", printing: "fast"), .run("type-default", printing: "__DEFAULT__"),
        .run("list-filters --resource volume", printing: "name"), .run("list-extensions"), .run("message-list"),
        .fail("service-list", saying: "403"), .fail("show nothing", saying: "No volume"),
        .run("snapshot-create --name before data", shows: ["name": "before"]),
        .wait("snapshot-show before", for: ["status": "available"]), .run("snapshot-list", printing: "before"),
        .run("snapshot-rename before first"), .run("snapshot-metadata first set a=b"),
        .run("snapshot-metadata-show first", shows: ["a": "b"]), .run("snapshot-show first", shows: ["size": "2"]),
        .run("show data", printing: "data"),
      ])
      let snapshot = try #require(made[made.count - 2]["id"].string)
      let volume = try #require(made[0]["id"].string)
      try await alice.take([
        .run("create --name copy --snapshot-id \(snapshot) 2"), .wait("show copy", for: ["status": "available"]),
        .run("create --name twin --source-volid \(volume) 3"), .wait("show twin", for: ["status": "available"]),
        .run("revert-to-snapshot first"), .wait("show data", for: ["status": "available"]),
        .fail("delete data", saying: "snapshot", "failed"), .run("snapshot-delete first"),
        .run("transfer-create --name gift copy", shows: ["name": "gift"]), .run("transfer-list", printing: "gift"),
        .run("show copy", shows: ["status": "awaiting-transfer"]), .run("transfer-delete gift"),
        .run("retype twin __DEFAULT__"), .run("show twin", shows: ["volume_type": "__DEFAULT__"]),
      ])
      try await ada.take([.run("group-type-create plain", printing: "plain")])
      try await alice.take([
        .run("group-create --name trio plain __DEFAULT__", shows: ["name": "trio"]),
        .run("group-list --filters name=trio", printing: "trio"),
        .run("group-list --filters name~=ri status=available", printing: "trio"),
        .run("group-snapshot-list --filters status=error"), .run("list-filters --resource group", printing: "status"),
        .fail("group-create-from-src --source-group trio --name none", saying: "no volumes"),
        .run("group-delete trio"),
      ])
      try await ada.take([.run("group-type-delete plain")])
      let reserved = try await alice.take([
        .run("attachment-create data \(InstanceID.random())", shows: ["status": "reserved"]),
        .run("attachment-list", printing: "reserved"),
      ])
      let attachment = try #require(reserved[0]["ID"].string ?? reserved[0]["id"].string)
      try await alice.take([
        .run(
          "attachment-update \(attachment) --initiator iqn.2026-11.org.example:host --host host --ip 192.0.2.7",
          printing: "auth_password"),
        .run("attachment-complete \(attachment)"), .run("show data", shows: ["status": "in-use"]),
        .run("attachment-show \(attachment)", printing: "attached"), .run("attachment-delete \(attachment)"),
        .wait("show data", for: ["status": "available"]), .run("delete twin copy"),
      ])
      try await ada.take([
        .run("unmanage \(volume)"), .fail("show \(volume)", saying: "No volume"),
        .run("manageable-list \(host)", printing: "volume-\(volume)", "True"),
        .fail("manage \(host)#directory volume-\(VolumeID.random())", saying: "names no volume"),
        .run("manage --name data \(host)#directory volume-\(volume)", shows: ["id": .string(volume), "name": "data"]),
        .run("manageable-list \(host)", printing: "managed already"), .run("list --all-tenants", printing: "data"),
      ])
      let left = try await ada.take([
        .run("snapshot-create --name last \(volume)", shows: ["name": "last"]),
        .wait("snapshot-show last", for: ["status": "available"]),
      ])
      let lastID = try #require(left[0]["id"].string)
      try await ada.take([
        .run("snapshot-unmanage last"), .fail("snapshot-show last", saying: "No snapshot"),
        .run("snapshot-manageable-list \(host)", printing: "snapshot-\(lastID)", "volume-\(volume)", "True"),
        .run("delete \(volume)"), .wait("show \(volume)", for: ["status": "available"]),
        .run("message-list", printing: lastID),
        .fail("snapshot-manage \(volume) snapshot-\(SnapshotID.random())", saying: "names no snapshot"),
        .run(
          "snapshot-manage --name found \(volume) snapshot-\(lastID)", shows: ["id": .string(lastID), "name": "found"]),
        .run("snapshot-manageable-list --detailed True \(host)", printing: "managed already"),
        .run("snapshot-delete found"), .run("delete \(volume)"),
      ])
      try await eventually("nothing is left", within: .seconds(60)) {
        try await bed.run(["ls", fleet.agent.volumes]).isEmpty
      }
      try await ada.take([.run("type-delete fast"), .run("list --all-tenants")])
    }
  }
}
