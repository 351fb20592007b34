import PumiceModel
import Testing

struct InventoryDigestTests {
  private let volume = VolumeID(high: 1, low: 2)
  private let attachment = AttachmentID(high: 1, low: 2)

  @Test func orderDoesNotMatter() {
    var dice = SplitMix64(seed: 3)
    let volumes = (0..<50).map { index in
      Inventory.StoredVolume(id: VolumeID(using: &dice), backend: "b\(index % 3)", pool: "p", size: .gibibytes(1))
    }
    let exports = (0..<50).map { _ in
      Inventory.Export(attachment: AttachmentID(using: &dice), volume: volume, initiator: "iqn")
    }
    let straight = Inventory(volumes: volumes, exports: exports)
    let shuffled = Inventory(volumes: volumes.shuffled(using: &dice), exports: exports.shuffled(using: &dice))
    #expect(straight.digest == shuffled.digest)
    #expect(straight.digest != Inventory(volumes: Array(volumes.dropLast()), exports: exports).digest)
    #expect(straight.digest != Inventory(volumes: volumes, exports: Array(exports.dropLast())).digest)
  }

  @Test func anEmptyNodeHasDigestZero() {
    #expect(Inventory().digest == 0)
  }

  @Test func theSameIdentityAsVolumeExportAndConnectionDiffers() {
    var asVolume = InventoryDigest()
    asVolume.add(volume: volume, on: "b", "p")
    var asExport = InventoryDigest()
    asExport.add(export: attachment)
    var asConnection = InventoryDigest()
    asConnection.add(connection: attachment)
    #expect(Set([asVolume.value, asExport.value, asConnection.value]).count == 3)
  }

  @Test func theSameVolumeOnAnotherPoolDiffers() {
    let values = [("b", "p"), ("b", "q"), ("c", "p"), ("p", "b")].map { backend, pool in
      var digest = InventoryDigest()
      digest.add(volume: volume, on: backend, pool)
      return digest.value
    }
    #expect(Set(values).count == values.count)
  }

  @Test func whatIsOnlyARecordDiffersFromADiskAndFromNothing() {
    func digest(_ device: String?) -> UInt64 {
      let connection = Inventory.Connection(
        attachment: attachment, volume: volume, instance: InstanceID(high: 3, low: 4), device: device)
      return Inventory(connections: [connection]).digest
    }
    #expect(Set([digest("vdb"), digest(nil), 0]).count == 3)
    #expect(digest("vdb") == digest("vdc"), "the name is the instance's business")
  }

  @Test func isTheSameInEveryProcess() {
    var digest = InventoryDigest()
    digest.add(volume: volume, on: "lvm", "vg")
    digest.add(export: attachment)
    digest.add(connection: attachment)
    #expect(digest.value == 3_799_759_711_684_191_370)
  }

  @Test func pairsDoNotCancelOut() {
    var dice = SplitMix64(seed: 4)
    var seen: Set<UInt64> = []
    for _ in 0..<2000 {
      var digest = InventoryDigest()
      digest.add(export: AttachmentID(using: &dice))
      digest.add(connection: AttachmentID(using: &dice))
      #expect(seen.insert(digest.value).inserted)
    }
  }
}
