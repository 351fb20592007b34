import Foundation
import PumiceModel
import TestBed
import Testing

extension OpenStackTests {
  /// python-openstackclient: a volume changes hands, and says so also where it lies.
  @Test func openstackclientWithTransfers() async throws {
    try await Cloud.visited(by: .openstack, hasGuest: false) { cloud, alice, ada in
      let fleet = cloud.fleet

      try await ada.take([.run("volume backend pool list", printing: "node1@directory#directory")])
      let offers = try await alice.take([
        .run("volume create --size 1 db"), .wait("volume show db", for: ["status": "available"]),
        .run("volume snapshot create --volume db first"),
        .wait("volume snapshot show first", for: ["status": "available"]),
        .run("volume transfer request create --name gift db", shows: ["name": "gift"]),
        .wait("volume show db", for: ["status": "awaiting-transfer"]),
        .fail("volume delete db", saying: "awaiting-transfer", "snapshot"),
        .run("volume transfer request list", printing: "gift"),
        .run("volume transfer request show gift", shows: ["name": "gift"]),
      ])
      let first = try #require(offers.lazy.compactMap { $0["auth_key"] == .null ? nil : $0["id"].string }.first)
      let offer = try #require(
        try await alice.take([
          .run("volume transfer request delete \(first)"), .wait("volume show db", for: ["status": "available"]),
          .run("volume transfer request create --name present db", shows: ["name": "present"]),
        ]).last)
      let (id, key) = (try #require(offer["id"].string), try #require(offer["auth_key"].string))
      try await ada.take([
        .fail("volume transfer request accept --auth-key wrong \(id)", saying: "auth_key"),
        .run("volume transfer request accept --auth-key \(key) \(id)"),
        .wait("volume show db", for: ["status": "available"]), .run("volume snapshot list", printing: "first"),
      ])
      try await alice.take([.fail("volume show db", saying: "No Volume found", "No volume")])
      try await eventually("the volume says whose it is") {
        let names = try FileManager.default.contentsOfDirectory(atPath: fleet.agent.volumes)
        return try names.filter { $0.hasPrefix("volume-") && $0.hasSuffix(".json") }.contains { name in
          try String(contentsOfFile: "\(fleet.agent.volumes)/\(name)", encoding: .utf8).contains("\"admin\"")
        }
      }
      try await ada.take([.run("volume delete --cascade db")])
    }
  }
}
