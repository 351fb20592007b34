import PumiceModel
import Testing

@testable import PumiceAgent

struct KernelViewTests {
  private let attachment = AttachmentID.random()
  private let volume = VolumeID.random()
  private var interface: String { NodeRecord.interface(of: attachment) }

  @Test func aMachineWithoutSessionsHasNone() throws {
    #expect(try SysfsTree().view == KernelView())
  }

  @Test func sessionsAreReadWithTheirDisks() throws {
    let tree = try SysfsTree()
    try tree.addSession(4, host: 2, target: "iqn.2026-11.test:v", interface: interface, portal: "fd00::7", port: 3261)
    try tree.addDisk("sdb", number: "8:16", of: 4, host: 2, lun: 1, serial: "\(volume)", holders: ["dm-0"])
    try tree.addMap("dm-0", label: "mpatha", uuid: "mpath-3600", parts: ["sdb"])
    let session = try #require(tree.view.sessions.first)
    #expect(session.number == 4 && session.host == 2 && session.isLoggedIn)
    #expect(session.attachment == attachment)
    #expect(session.portal == ISCSIPortal(host: "fd00::7", port: 3261))
    #expect(session.unit(1)?.address == "2:0:0:1")
    #expect(session.unit(0) == nil)
    let disk = try #require(session.disks.first)
    #expect(disk.name == "sdb" && disk.number == "8:16" && disk.size == .mebibytes(8) && disk.partitions == ["8:99"])
    #expect(disk.serial == volume.description && disk.session == 4)
    #expect(tree.view.multipathMap(over: disk)?.label == "mpatha")
  }

  @Test func sessionsComeInTheOrderOfTheirLogins() throws {
    let tree = try SysfsTree()
    for number in [10, 9, 101] { try tree.addSession(number, host: number, target: "iqn.a:b", interface: "default") }
    #expect(tree.view.sessions.map(\.number) == [9, 10, 101])
  }

  @Test func onlyTheAttachmentsOwnSessionsAreReadForIt() throws {
    let tree = try SysfsTree()
    try tree.addSession(1, host: 1, target: "iqn.a:b", interface: interface)
    try tree.addDisk("sda", of: 1, host: 1)
    try tree.addSession(2, host: 2, target: "iqn.a:b", interface: NodeRecord.interface(of: .random()))
    try tree.addDisk("sdb", of: 2, host: 2)
    let view = KernelView(reading: tree.sysfs, of: attachment)
    #expect(view.sessions.map(\.number) == [1])
    #expect(view.disks.map(\.name) == ["sda"])
  }

  @Test func targetsAreComparedWithoutRegardToCase() throws {
    let tree = try SysfsTree()
    try tree.addSession(1, host: 1, target: "iqn.2026-11.test:VOLUME", interface: interface, portal: "Node.Example")
    let session = try #require(tree.view.sessions.first)
    #expect(session.leads(to: "iqn.2026-11.test:volume", at: ISCSIPortal(host: "node.example", port: 3260)))
    #expect(!session.leads(to: "iqn.2026-11.test:volume", at: ISCSIPortal(host: "node.example", port: 3261)))
  }

  @Test func aSessionThatIsBeingTakenApartIsLeftOut() throws {
    let tree = try SysfsTree()
    try tree.addSession(1, host: 1, target: "iqn.a:b", interface: interface)
    try tree.remove("devices/platform/host1/session1/iscsi_session/session1/targetname")
    #expect(tree.view.sessions.isEmpty)
  }

  @Test(arguments: [
    ("10.0.0.7:3260", "10.0.0.7", 3260), ("10.0.0.7", "10.0.0.7", 3260), ("[fd00::7]:3261", "fd00::7", 3261),
    ("[fe80::7%eth0]:3260", "fe80::7%eth0", 3260), ("storage-1.example:860", "storage-1.example", 860),
  ])
  func portalsAreRead(_ text: String, _ host: String, _ port: Int) throws {
    let portal = try ISCSIPortal(text)
    #expect(portal.host == host && portal.port == port)
    #expect(try ISCSIPortal(portal.description) == portal)
  }

  @Test(arguments: [
    "", ":3260", "../../etc:3260", "a/b:1", "-p:3260", "a b:3260", "a:0", "a:65536", "a,b:1", "[::1", "a\nb:1",
  ])
  func whatCouldLeadElsewhereIsNoPortal(_ text: String) {
    let error = #expect(throws: StorageError.self) { try ISCSIPortal(text) }
    #expect(error?.code == .invalid)
  }

  @Test func serialPagesAreRead() {
    #expect(UnitSerialPage([0, 0x80, 0, 3] + Array("abc".utf8))?.serial == "abc")
    // LIO ends it with a NUL, tgt fills it with spaces.
    #expect(UnitSerialPage([0, 0x80, 0, 4] + Array("abc\0".utf8))?.serial == "abc")
    #expect(UnitSerialPage([0, 0x80, 0, 5] + Array("  abc".utf8) + [9, 9])?.serial == "abc")
    #expect(UnitSerialPage([0, 0x83, 0, 3] + Array("abc".utf8)) == nil)
    #expect(UnitSerialPage([0, 0x80, 0, 4] + Array("abc".utf8)) == nil)
    #expect(UnitSerialPage([0, 0x80]) == nil)
  }
}
