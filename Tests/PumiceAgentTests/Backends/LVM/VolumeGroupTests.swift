import Foundation
import PumiceModel
import Testing

@testable import PumiceAgent

struct VolumeGroupTests {
  /// As lvm2 2.03.16 wrote it: a thick volume with a snapshot, a pool with a thin volume and a thin snapshot.
  private func fixture(file: String = #filePath) throws -> String {
    let folder = URL(filePath: file).deletingLastPathComponent().appending(path: "Fixtures")
    return try String(contentsOf: folder.appending(path: "fullreport.json"), encoding: .utf8)
  }

  @Test func aReportIsReadWithAllItsKinds() throws {
    let group = try VolumeGroup(report: fixture(), of: "vg0")
    #expect(group.uuid == "k0lgD0-0103-9zt7-ZLMn-yYuB-5Qm0-Z2Swf5")
    #expect(group.size == ByteCount(4_290_772_992) && group.free == ByteCount(2_747_269_120))
    #expect(group.extentSize == .mebibytes(4))
    #expect(group.metadataFree == ByteCount(517_632) && group.metadataSize == ByteCount(1_044_480))
    #expect(group.obstacle == nil)
    #expect(group.physicalVolumes.map(\.name) == ["/dev/vda"])
    #expect(group.physicalVolumes.allSatisfy { $0.holdsMetadata && !$0.isMissing })

    let pool = try #require(group["pool0"])
    #expect(pool.kind == .thinPool && pool.isActive && pool.zeroesChunks && pool.health == .good)
    #expect(pool.dataPercent == 1.62 && pool.metadataPercent == 10.3 && pool.metadataSize == .mebibytes(16))
    let snapshot = try #require(group["s1"])
    #expect(snapshot.kind == .thickSnapshot && snapshot.origin == "thick1" && !snapshot.isInvalid)
    #expect(snapshot.originSize == ByteCount(402_653_184) && snapshot.size == .mebibytes(32))
    #expect(group["thick1"]?.kind == .thick)
    #expect(group["thin1"]?.kind == .thin && group["thin1"]?.pool == "pool0")
    let thinSnapshot = try #require(group["thinsnap1"])
    #expect(thinSnapshot.kind == .thin && thinSnapshot.pool == "pool0" && !thinSnapshot.isActive)
    #expect(group.thickSnapshots(of: "thick1").map(\.name) == ["s1"])
  }

  @Test(arguments: [
    ("twi-cotz--", LogicalVolume.Health.needsCheck), ("twi-aotzF-", .failed), ("twi-aotzD-", .outOfData),
    ("twi-aotzM-", .metadataReadOnly), ("twi-aotzp-", .partial), ("twi-aotz--", .good),
  ])
  func healthIsInTheAttributes(_ attributes: String, _ health: LogicalVolume.Health) throws {
    let report = try fixture().replacingOccurrences(of: "twi-aotz--", with: attributes)
    #expect(try VolumeGroup(report: report, of: "vg0")["pool0"]?.health == health)
  }

  @Test func statesAreInTheAttributes() throws {
    func snapshot(_ attributes: String) throws -> LogicalVolume {
      let report = try fixture().replacingOccurrences(of: "swi-a-s---", with: attributes)
      return try #require(try VolumeGroup(report: report, of: "vg0")["s1"])
    }
    #expect(try snapshot("swi-I-s---").isInvalid)
    #expect(try snapshot("Swi-a-s---").isMerging)
    #expect(try snapshot("swi-s-s---").isSuspended)
    #expect(try snapshot("sri-aos---").isOpen)
    #expect(try snapshot("sri-aos---").isReadOnly)
    #expect(try !snapshot("swi---s---").isActive)
  }

  @Test func hiddenPartsLoseTheirBracketsAndAreNobodysVolumes() throws {
    let report = try fixture().replacingOccurrences(of: "\"lv_name\":\"thin1\"", with: "\"lv_name\":\"[thin1]\"")
    #expect(try VolumeGroup(report: report, of: "vg0")["thin1"]?.kind == .hidden)
  }

  @Test(arguments: ["", "{", "{}", "{\"report\": [{\"vg\": [{\"vg_name\": \"vg0\"}]}]}"])
  func whatIsNoReportIsAFailure(_ text: String) {
    let error = #expect(throws: StorageError.self) { try VolumeGroup(report: text, of: "vg0") }
    #expect(error?.code == .failed)
  }

  @Test func aGroupThatIsNotInTheReportIsNotFound() throws {
    let report = try fixture()
    let error = #expect(throws: StorageError.self) { try VolumeGroup(report: report, of: "other") }
    #expect(error?.code == .notFound)
  }

  @Test func sizesAreRoundedUpToExtentsAndNeverOverflow() throws {
    let group = try VolumeGroup(report: fixture(), of: "vg0")
    #expect(group.roundedUp(ByteCount(1)) == .mebibytes(4))
    #expect(group.roundedUp(.mebibytes(4)) == .mebibytes(4))
    #expect(group.roundedUp(.mebibytes(5)) == .mebibytes(8))
    #expect(group.roundedUp(ByteCount(.max)).bytes > 0)
  }

  @Test func hyphensAreDoubledInPaths() throws {
    var group = try VolumeGroup(report: fixture(), of: "vg0")
    #expect(group.path(of: "_snapshot-1") == "/dev/mapper/vg0-_snapshot--1")
    group.name = "a-b"
    #expect(group.path(of: "x--y") == "/dev/mapper/a--b-x----y")
  }

  @Test func theFilterLetsLVMSeeItsOwnDevicesOnly() {
    let text = LVMSettings.text(devices: ["/dev/sda", "/dev/disk/by-id/x.y|z"])
    #expect(text.contains(#"filter=["a|^/dev/sda$|", "a|^/dev/disk/by-id/x.y.z$|", "r|.*|"]"#))
    #expect(text.contains("use_devicesfile=0"))
    #expect(!LVMSettings.text(devices: nil).contains("filter"))
  }

  @Test func suspendedDevicesAreOursOrSomebodysElse() throws {
    var group = try VolumeGroup(report: fixture(), of: "vg0")
    group.logicalVolumes["thin1"]?.tags = [LVMTags.mark]
    let vg = group.uuid.filter { $0 != "-" }
    func uuid(_ name: String) -> String { "LVM-\(vg)\(group[name]!.uuid.filter { $0 != "-" })" }
    let output = """
      vg0-thin1|\(uuid("thin1"))|Suspended
      vg0-pool0-tpool|\(uuid("pool0"))-tpool|Suspended
      vg0-thick1|\(uuid("thick1"))|Suspended
      vg0-s1|\(uuid("s1"))|Active
      other-lv|LVM-otherotherotherotherotherotherothe|Suspended
      crypt|CRYPT-LUKS2-x|Suspended
      """
    #expect(
      SuspendedDevice.list(output, in: group) == [
        SuspendedDevice(name: "vg0-thin1", isOurs: true), SuspendedDevice(name: "vg0-pool0-tpool", isOurs: true),
        SuspendedDevice(name: "vg0-thick1", isOurs: false),
      ])
  }
}
