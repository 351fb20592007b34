import PumiceModel
import Testing

@testable import PumiceAgent

struct RemainsTests {
  private let attachment = AttachmentID.random()
  private let node = "iqn.2026-11.test:n1"
  private var interface: String { NodeRecord.interface(of: attachment) }
  private var entry: NodeDatabase.Entry {
    NodeDatabase.Entry(target: "iqn.2026-11.test:v", portal: "10.0.0.7,3260,1", attachment: attachment)
  }

  private func findings(
    _ view: KernelView = KernelView(), records: [NodeDatabase.Entry: String] = [:],
    joined: Set<AttachmentID> = [], links: [AttachmentID: String] = [:], wanted: Set<AttachmentID> = []
  ) -> [Inventory.Leftover] {
    Remains(initiator: node, view: view, records: records, joined: joined, links: links).findings {
      wanted.contains($0)
    }
  }

  private func session(_ initiator: String? = nil) -> KernelSession {
    KernelSession(
      number: 7, host: 3, target: "iqn.2026-11.test:v", initiator: initiator ?? "\(node):\(attachment)",
      interface: interface, state: "LOGGED_IN", portal: ISCSIPortal(host: "10.0.0.7", port: 3260))
  }

  private func disk(_ name: String = "sdb", holders: [String] = [], serial: String? = nil) -> SCSIDisk {
    SCSIDisk(name: name, number: "8:16", size: .mebibytes(8), holders: holders, serial: serial, session: 7)
  }

  @Test func aSessionOfAnAttachmentThatIsWantedIsNoLeftover() {
    #expect(findings(KernelView(sessions: [session()]), wanted: [attachment]).isEmpty)
  }

  @Test func aSessionWithoutARecordIsALeak() throws {
    let leak = try #require(findings(KernelView(sessions: [session()])).first)
    #expect(leak.kind == .leakedSession && leak.attachment == attachment && leak.name == "session7")
    #expect(leak.detail.contains("10.0.0.7:3260"))
  }

  @Test func whatAnotherAgentOrAnAdministratorHasMadeIsNotOurs() {
    #expect(findings(KernelView(sessions: [session("iqn.2026-11.test:n2:\(attachment)")])).isEmpty)
    #expect(findings(KernelView(sessions: [session("\(node):\(AttachmentID.random())")])).isEmpty)
    var byHand = session()
    byHand.interface = "default"
    #expect(findings(KernelView(sessions: [byHand])).isEmpty)
    #expect(findings(records: [entry: "iqn.2026-11.test:n2:\(attachment)"]).isEmpty)
    #expect(findings(records: [entry: ""]).isEmpty)
  }

  @Test func aRecordCountsOnlyWhenNoSessionStandsForIt() {
    let records = [entry: "\(node):\(attachment)"]
    #expect(findings(records: records).map(\.kind) == [.leakedRecord])
    #expect(findings(KernelView(sessions: [session()]), records: records).map(\.kind) == [.leakedSession])
    #expect(findings(records: records, wanted: [attachment]).isEmpty)
  }

  @Test func aDiskWhoseSessionIsGoneIsAZombieIfItIsAVolume() {
    let volume = VolumeID.random()
    #expect(findings(KernelView(disks: [disk(serial: "\(volume)")])).map(\.kind) == [.zombieDisk])
    #expect(findings(KernelView(disks: [disk(serial: "WD-1234")])).isEmpty)
    var local = disk(serial: "\(volume)")
    local.session = nil
    #expect(findings(KernelView(disks: [local])).isEmpty)
  }

  @Test func aDiskThatTheKernelHasGivenUpIsAZombie() {
    var session = session()
    session.units = [SCSIUnit(address: "3:0:0:1", lun: 1, state: "transport-offline", disk: disk())]
    let found = findings(KernelView(sessions: [session], disks: [disk()]), wanted: [attachment])
    #expect(found.map(\.kind) == [.zombieDisk])
    #expect(found.first?.name == "sdb")
  }

  @Test func aDiskThatMultipathdHasTakenIsSaid() {
    let disk = disk(holders: ["dm-2"])
    var (one, other) = (session(), session())
    one.units = [SCSIUnit(address: "3:0:0:1", lun: 1, state: "running", disk: disk)]
    let map = DeviceMap(
      name: "dm-2", label: "mpatha", uuid: "mpath-3600", number: "253:2", size: .mebibytes(8), parts: ["sdb"],
      holders: [])
    #expect(
      findings(KernelView(sessions: [one], maps: [map], disks: [disk]), wanted: [attachment]).map(\.kind)
        == [.seizedDisk])
    // Of one of several paths it is meant, also while the others are away.
    other.number = 8
    for sessions in [[one, other], [one]] {
      let view = KernelView(sessions: sessions, maps: [map], disks: [disk])
      #expect(findings(view, joined: [attachment], wanted: [attachment]).isEmpty)
    }
    // A logical volume on a host's disk is the host's.
    let volume = DeviceMap(
      name: "dm-2", label: "vg-lv", uuid: "LVM-x", number: "253:2", size: .mebibytes(8), parts: ["sdb"], holders: [])
    #expect(findings(KernelView(sessions: [one], maps: [volume], disks: [disk]), wanted: [attachment]).isEmpty)
  }

  @Test func aMapWithoutPathsIsAZombieIfALinkLeadsThere() {
    let map = DeviceMap(
      name: "dm-2", label: "mpatha", uuid: "mpath-3600", number: "253:2", size: .mebibytes(8), parts: [], holders: [])
    #expect(findings(KernelView(maps: [map]), links: [attachment: "/dev/dm-2"]).map(\.attachment) == [attachment])
    #expect(findings(KernelView(maps: [map]), links: [attachment: "/dev/dm-3"]).isEmpty)
  }
}
