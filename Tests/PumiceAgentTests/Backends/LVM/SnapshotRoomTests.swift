import Logging
import PumiceModel
import Testing

@testable import PumiceAgent

struct SnapshotRoomTests {
  /// What drivers/md/dm-snap-persistent.c lays out: a header, then areas of a table and the chunks that it lists; the next
  /// table is written before the chunk that begins it.
  private func chunksOnDisk(keeping chunks: Int64) -> Int64 {
    let perTable: Int64 = (64 << 10) / 16
    return 1 + chunks / perTable + 1 + chunks
  }

  @Test(
    arguments: [ByteCount.mebibytes(1), .mebibytes(255), .mebibytes(256), .gibibytes(1), .gibibytes(4096)], [100, 25])
  func aSnapshotHasRoomForAllThatItShallKeep(_ size: ByteCount, _ percent: Int) {
    let backend = LVMBackend(
      LVMBackendConfiguration(name: "lvm", volumeGroup: "vg", provisioning: .thick, snapshotReserve: percent),
      lvm: InMemoryLVM(), devices: InMemoryLVM(), logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
    let volume = LogicalVolume(uuid: "u", name: "volume", kind: .thick, size: size)
    let room = backend.roomForSnapshot(of: volume).bytes >> 16
    let kept = (size.bytes >> 16) * Int64(percent) / 100
    #expect(room >= chunksOnDisk(keeping: kept))
    #expect(room <= chunksOnDisk(keeping: kept) + 2)
  }

  /// Of a size in percent, LVM takes as much as there is, so that a snapshot would overflow although all was kept for it.
  @Test func theRoomIsTakenWhollyOrNotAtAll() {
    let arguments = LVMCommand.createThickSnapshot(name: "s", origin: "o", room: .mebibytes(9), tags: []).arguments(
      group: "vg")
    #expect(arguments.contains("-L") && arguments.contains("9437184b"))
    #expect(!arguments.contains { $0.contains("%") })
  }
}
