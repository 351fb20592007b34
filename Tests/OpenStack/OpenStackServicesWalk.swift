import PumiceModel
import TestBed
import Testing

extension OpenStackTests {
  /// python-openstackclient: what an operator sees and sets, where no guest is needed.
  @Test func openstackclientWithServices() async throws {
    try await Cloud.visited(by: .openstack, hasGuest: false) { cloud, alice, ada in
      let host = "node1@directory"

      try await ada.take([
        .run("volume backend pool list", printing: "\(host)#directory"),
        .run("volume backend capability show \(host)", printing: "thin_provisioning_support"),
        .fail("volume backend capability show node1@tape", saying: "could not be found"),
        .run("volume host set --disable \(host)"),
        .run("volume service list --long", printing: "disabled", "frozen"),
        .run("volume create --size 1 cold"), .wait("volume show cold", for: ["status": "error"]),
        .run("volume host set --enable \(host)"), .run("volume delete cold"),
        .run("block storage log level list", printing: "pumice-coordinator", "INFO"),
        .run("block storage log level set DEBUG --service cinder-api"),
        .run("block storage log level list --service cinder-api", printing: "DEBUG"),
        .run("block storage cluster list"),
        .run("block storage cleanup --host \(host) --binary cinder-volume --cluster none"),
        .fail("block storage cluster show none", saying: "404", "None", "No "),
        .run("quota set --class --volumes 1 default"), .run("quota show --volume demo", printing: "1"),
      ])
      try await alice.take([
        .run("volume create --size 1 db"), .wait("volume show db", for: ["status": "available"]),
        .fail("volume create --size 1 more", saying: "413"), .run("volume delete db"),
      ])
    }
  }
}
