import PumiceModel
import TestBed
import Testing

extension OpenStackTests {
  /// python-openstackclient: what an admin can say of types beside extra specs, and what comes of it.
  @Test func openstackclientWithTypes() async throws {
    try await Cloud.visited(by: .openstack, hasGuest: true) { cloud, alice, ada in
      let guest = cloud.fleet.guest

      try await ada.take([
        .run(
          "volume qos create --consumer front-end --property total_iops_sec=500 --property read_bytes_sec=1048576 slow",
          shows: ["name": "slow", "consumer": "front-end"]),
        .fail("volume qos create --consumer front-end --property wings=2 odd", saying: "wings"),
        .run("volume qos create --consumer back-end --property wings=2 odd", shows: ["consumer": "back-end"]),
        .run("volume qos set --property size_iops_sec=4096 slow"),
        .run("volume qos unset --property size_iops_sec slow"),
        .run("volume type create limited"), .run("volume qos associate slow limited"),
        .run("volume qos list", printing: "slow", "odd", "limited", "total_iops_sec='500'"),
        .run("volume qos show slow", printing: "limited"),
        .fail("volume qos delete slow", saying: "limited"),
        .run(
          "volume type create vault --encryption-provider luks --encryption-cipher aes-xts-plain64 "
            + "--encryption-key-size 256 --encryption-control-location front-end", printing: "luks"),
        .run("volume type show --encryption-type vault", printing: "aes-xts-plain64"),
        .run("volume type set --encryption-key-size 512 vault"),
        .run("volume type list --encryption-type", printing: "key_size='512'"),
      ])
      try await alice.take([
        .fail("volume qos list", saying: "403"),
        .fail("volume create --size 1 --type vault secret", saying: "encryption"),
        .run("volume create --size 1 --type limited db"), .wait("volume show db", for: ["status": "available"]),
        .wait("server show \(guest.id)", for: ["status": "ACTIVE"]), .run("server add volume \(guest.id) db"),
        .wait("volume show db", for: ["status": "in-use"]),
      ])
      for stored in [false, true] {
        let xml = try await guest.xml(stored: stored)
        #expect(xml.contains("<total_iops_sec>500</total_iops_sec>"))
        #expect(xml.contains("<read_bytes_sec>1048576</read_bytes_sec>"))
      }
      try await alice.take([
        .run("server remove volume \(guest.id) db"), .wait("volume show db", for: ["status": "available"]),
        .run("volume delete db"),
      ])
      try await ada.take([
        .run("volume qos disassociate --volume-type limited slow"), .run("volume qos associate slow limited"),
        .run("volume qos disassociate --all slow"), .run("volume qos delete slow odd"),
        .run("volume type unset --encryption-type vault"),
      ])
    }
  }
}
